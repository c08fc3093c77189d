//! The limit of the cache's size holds at every moment, whatever processes come to.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use pylayer::cache::FORMAT;
use xtask::session::noise;

use crate::support::Folder;

/// A request for many packages of 1 MiB each.
fn packages(numbers: std::ops::Range<u64>) -> (Folder, Vec<String>) {
    let folder = Folder::new();
    let mut arguments = ["layer", "--output=out", "--compression=none"].map(str::to_owned).to_vec();
    for number in numbers {
        folder.file(&format!("p{number}/f"), &noise(1 << 20, number));
        let package = [format!("--package=p{number}"), format!("--tree=p{number}")];
        arguments.extend(package.into_iter().chain([format!("--to=p{number}")]));
    }
    (folder, arguments)
}

const LIMIT: &str = "--cache-size=4MiB";

/// What a folder takes on the disk, in bytes.
fn on_disk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => on_disk(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}

fn run(folder: &Folder, size: &str, arguments: &[String]) {
    let startup = ["--cache-dir=cache", size];
    let arguments = startup.into_iter().chain(arguments.iter().map(String::as_str));
    let run = folder.run(&arguments.collect::<Vec<_>>());
    assert_eq!((run.code, &*run.stderr), (0, ""));
}

/// The most bytes of the disk that a folder takes while something happens.
fn peak(cache: &Path, happen: impl FnOnce()) -> u64 {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0;
            while !is_over.load(Ordering::Relaxed) {
                peak = on_disk(cache).max(peak);
            }
            peak
        });
        happen();
        is_over.store(true, Ordering::Relaxed);
        watcher.join().unwrap()
    })
}

#[test]
fn one_request_of_many_segments_does_not_overshoot_the_limit() {
    let (folder, arguments) = packages(0..16);
    let cache = folder.path().join("cache");
    let peak = peak(&cache, || run(&folder, LIMIT, &arguments));
    assert!(peak <= (4 << 20) * 21 / 20, "the cache took {peak} bytes of 4 MiB");
    assert!(on_disk(&cache) > 1 << 20, "nothing is stored");
}

#[test]
fn processes_do_not_overshoot_the_limit_together() {
    let (folder, arguments) = packages(0..16);
    let cache = folder.path().join("cache");
    let peak = peak(&cache, || {
        thread::scope(|scope| {
            for process in 0..6 {
                // Other segments in each of them.
                let mut arguments = arguments.clone();
                arguments[1] = format!("--output=out{process}");
                arguments.push(format!("--mtime={process}"));
                let folder = &folder;
                scope.spawn(move || run(folder, LIMIT, &arguments));
            }
        });
    });
    assert!(peak <= (4 << 20) * 21 / 20, "the cache took {peak} bytes of 4 MiB");
    assert!(on_disk(&cache) > 1 << 20, "nothing is stored");
}

#[test]
fn a_process_that_stops_while_it_stores_holds_up_no_other() {
    let (folder, arguments) = packages(0..1);
    run(&folder, LIMIT, &arguments);
    let cache = folder.path().join("cache");
    let before = on_disk(&cache);
    let stopped = fs::File::open(cache.join(format!("v{FORMAT}/collected"))).unwrap();
    stopped.lock().unwrap();
    let (other, arguments) = packages(1..3);
    fs::rename(&cache, other.path().join("cache")).unwrap();
    // The answer is right, and nothing is stored, for nobody knows what there is room for.
    run(&other, LIMIT, &arguments);
    let cache = other.path().join("cache");
    let small = 64 << 10;
    assert!(on_disk(&cache) < before + small, "{} bytes", on_disk(&cache));
    drop(stopped);
    run(&other, LIMIT, &arguments);
    assert!(on_disk(&cache) > before + small, "nothing is stored");
}

#[test]
fn blobs_that_no_entry_names_count() {
    // As after a kill between the blob and its entry, or where entries were damaged.
    let (folder, arguments) = packages(0..3);
    run(&folder, "--cache-size=1GiB", &arguments);
    let cache = folder.path().join("cache");
    fs::remove_dir_all(cache.join(format!("v{FORMAT}/segments"))).unwrap();
    let bytes = on_disk(&cache);
    assert!(bytes > 3 << 20, "{bytes} bytes");
    let (other, arguments) = packages(3..9);
    fs::rename(&cache, other.path().join("cache")).unwrap();
    run(&other, LIMIT, &arguments);
    let cache = other.path().join("cache");
    let bytes = on_disk(&cache);
    assert!(bytes <= (4 << 20) * 21 / 20, "the cache takes {bytes} bytes of 4 MiB");
    assert_eq!(other.run(&["--cache-size=0", "cache", "gc", "--cache-dir=cache"]).code, 0);
    let bytes = on_disk(&cache);
    assert!(bytes < 64 << 10, "{bytes} bytes are left");
}
