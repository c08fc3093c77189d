//! What happens to processes and machines: kills, full disks, few descriptors, odd clocks,
//! collection under load, other versions. The layer is right, or the request fails and says why.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use pylayer::cache::FORMAT;

use super::{LAYER, expected, explained, layer, packages};
use crate::support::worker::Worker;
use crate::support::{PYLAYER, Run, sha256sum};

/// Kills processes that build into one cache, so many times, each at another instant.
fn kill_builders(times: u64) {
    let folder = packages();
    let right = expected(&folder, &[]).0;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut instant = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        Duration::from_micros(seed % 60_000)
    };
    let start = |number: u64| -> Child {
        let output = format!("--output=out{number}");
        let arguments = layer(&[&output]);
        let arguments = arguments.iter().filter(|argument| **argument != "--metadata=json");
        folder
            .command(&["--cache-dir=cache"])
            .args(arguments)
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    for round in 0..times {
        if round % 7 == 0 {
            drop(fs::remove_dir_all(folder.path().join("cache")));
        }
        let mut builders: Vec<Child> = (0..4).map(start).collect();
        for builder in &mut builders[..3] {
            thread::sleep(instant() / 3);
            builder.kill().unwrap();
        }
        for (number, builder) in builders.iter_mut().enumerate() {
            let finished = builder.wait().unwrap().success();
            let output = folder.path().join(format!("out{number}"));
            assert!(finished || number < 3, "round {round}: nobody has killed the last one");
            if output.exists() {
                assert_eq!(sha256sum(&fs::read(&output).unwrap()), right, "round {round}");
                fs::remove_file(output).unwrap();
            }
        }
        let verified = folder.run(&["cache", "verify", "--cache-dir=cache"]).stdout;
        assert!(verified.contains(" 0 damaged"), "round {round}: {verified}");
    }
    assert_eq!(explained(&folder, "cache", &[]), ["hit"; 3]);
    let names = folder.names();
    assert_eq!(names, ["big", "cache", "cached", "json", "links", "many", "plain"]);
}

#[test]
fn a_kill_at_any_instant_loses_nothing() {
    kill_builders(25);
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak`"]
fn five_hundred_kills_lose_nothing() {
    kill_builders(500);
}

#[test]
fn a_disk_that_is_full_at_any_write_costs_hits_alone() {
    let folder = packages();
    let right = expected(&folder, &["--compression=none"]);
    fs::create_dir(folder.path().join("disk")).unwrap();
    let arguments = layer(&["--compression=none"]).join(" ");
    // From no room at all to room for everything, in steps smaller than any file.
    let script = format!(
        "for pages in 1 4 8 16 32 64 128 512 1024 1460 1500 2000 4000; do
           mount -t tmpfs -o size=${{pages}}k tmpfs disk || exit 99
           for round in 1 2; do
             {PYLAYER} --cache-dir=disk/cache {arguments} --output=out$pages-$round || exit 98
           done
           {PYLAYER} cache verify --cache-dir=disk/cache || true
           umount disk
         done"
    );
    let mut command = Command::new("unshare");
    let run = Run::of(command.args(["-rm", "sh", "-c", &script]).current_dir(folder.path()));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.lines().all(|line| line.contains(" 0 damaged")), "{}", run.stdout);
    let outputs: Vec<String> =
        folder.names().into_iter().filter(|name| name.starts_with("out")).collect();
    assert_eq!(outputs.len(), 2 * 13);
    for output in outputs {
        assert_eq!(sha256sum(&folder.read(&output)), right.0, "{output}");
    }
}

#[test]
fn few_file_descriptors_are_enough() {
    let folder = packages();
    let right = expected(&folder, &[]).0;
    let script = format!("ulimit -n 64; exec {PYLAYER} --cache-dir=cache --persistent_worker");
    let mut worker = Worker::of(Command::new("sh").args(["-c", &script]), folder.path());
    for id in 1..=40 {
        let output = format!("--output=out{id}");
        let arguments = layer(&[&output]);
        let arguments: Vec<_> =
            arguments.into_iter().filter(|argument| *argument != "--metadata=json").collect();
        worker.request(id, &arguments);
    }
    for _ in 1..=40 {
        let response = worker.response();
        assert_eq!((response.exit_code, &*response.output), (0, ""));
        let output = format!("out{}", response.request_id);
        assert_eq!(sha256sum(&folder.read(&output)), right);
    }
    assert!(worker.end().success());
}

#[test]
fn times_in_the_future_and_long_ago_do_no_harm() {
    for time in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 33)] {
        let folder = packages();
        explained(&folder, "cache", &[]);
        for (path, what) in crate::support::tree(&folder.path().join("cache")) {
            if what.starts_with("file") {
                let file =
                    File::options().append(true).open(folder.path().join("cache").join(path));
                file.unwrap().set_modified(time).unwrap();
            }
        }
        assert_eq!(folder.run(&["cache", "gc", "--cache-dir=cache"]).stdout, "0 bytes freed\n");
        assert_eq!(explained(&folder, "cache", &[]), ["hit"; 3]);
    }
}

#[test]
fn collection_under_load_costs_hits_alone() {
    let folder = packages();
    let right = expected(&folder, &[]).0;
    explained(&folder, "cache", &[]);
    let mut worker = Worker::start(folder.path(), &["--cache-dir=cache"]);
    let collect = ["--cache-size=0", "cache", "gc", "--cache-dir=cache"];
    for id in 1..=60 {
        let output = format!("--output=out{}", id % 8);
        let arguments = [&LAYER[..1], &LAYER[2..], &[&output]].concat();
        worker.request(id, &arguments);
        if id % 4 == 0 {
            assert_eq!(folder.run(&collect).code, 0);
        }
        let response = worker.response();
        assert_eq!((response.exit_code, &*response.output), (0, ""));
        assert_eq!(sha256sum(&folder.read(&format!("out{}", id % 8))), right);
    }
    assert!(worker.end().success());
}

#[test]
fn other_versions_share_the_folder_and_nothing_in_it() {
    let folder = packages();
    explained(&folder, "cache", &[]);
    assert_eq!(folder.run(&["cache", "clear", "--cache-dir=cache"]).code, 0);
    folder.file("cache/v0/segments/ab/abcd", b"old");
    let next = format!("cache/v{}/index.db", FORMAT + 1);
    folder.file(&next, b"new");
    explained(&folder, "cache", &[]);
    assert_eq!(explained(&folder, "cache", &[]), ["hit"; 3]);
    assert_eq!(folder.run(&["cache", "clear", "--cache-dir=cache"]).code, 0);
    assert_eq!(folder.read("cache/v0/segments/ab/abcd"), b"old");
    assert_eq!(folder.read(&next), b"new");
}

#[test]
fn a_cache_can_be_cleared_while_workers_fill_it() {
    let folder = packages();
    thread::scope(|scope| {
        for name in ["one", "two"] {
            let folder = &folder;
            scope.spawn(move || {
                let mut worker = Worker::start(folder.path(), &["--cache-dir=cache"]);
                for number in 0..200 {
                    // A segment that there has never been.
                    let (output, mtime) = (format!("--output={name}"), format!("--mtime={number}"));
                    worker.request(1, &["layer", &output, &mtime, "--empty", "--to=x"]);
                    let response = worker.response();
                    assert_eq!((response.exit_code, &*response.output), (0, ""));
                }
                assert!(worker.end().success());
            });
        }
        for _ in 0..60 {
            let run = folder.run(&["cache", "clear", "--cache-dir=cache"]);
            // Once the first worker has made it.
            assert!(run.code == 0 || run.stderr.contains("no cache"), "{}", run.stderr);
        }
    });
}
