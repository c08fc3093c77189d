//! Bad luck: damage, loss, and folders that cannot be used cost hits, never a wrong layer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pylayer::cache::FORMAT;

use super::{expected, explained, layer, packages};
use crate::support::worker::Worker;
use crate::support::{Folder, sha256sum};

/// Where the cache has what this version stores.
fn stored(folder: &Folder) -> PathBuf {
    folder.path().join(format!("cache/v{FORMAT}"))
}

fn files(folder: &Folder, kind: &str) -> Vec<PathBuf> {
    let listed = crate::support::tree(&stored(folder).join(kind));
    let files = listed.into_iter().filter(|(_, what)| what.starts_with("file"));
    files.map(|(path, _)| stored(folder).join(kind).join(path)).collect()
}

fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn damage_is_a_miss_and_is_healed() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 4] = [
        ("a flipped bit", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        ("truncated", |bytes| bytes.truncate(bytes.len() - 1)),
        ("longer", |bytes| bytes.push(0)),
        ("empty", Vec::clear),
    ];
    for (name, change) in changes {
        for kind in ["blobs", "segments", "checkpoints"] {
            let folder = packages();
            explained(&folder, "cache", &[]);
            for file in files(&folder, kind) {
                damage(&file, change);
            }
            let how = if kind == "checkpoints" { ["hit"; 3] } else { ["built"; 3] };
            assert_eq!(explained(&folder, "cache", &[]), how, "{kind}: {name}");
            assert_eq!(explained(&folder, "cache", &[]), ["hit"; 3], "{kind}: {name}");
            let run = folder.run(&["cache", "verify", "--cache-dir=cache"]);
            assert!(run.stdout.contains(" 0 damaged"), "{}", run.stdout);
        }
    }
}

#[test]
fn what_is_missing_in_part_is_built_again() {
    for kind in ["blobs", "segments", "checkpoints", "locks"] {
        let folder = packages();
        explained(&folder, "cache", &[]);
        fs::remove_dir_all(stored(&folder).join(kind)).unwrap();
        explained(&folder, "cache", &[]);
        assert_eq!(explained(&folder, "cache", &[]), ["hit"; 3], "{kind}");
    }
}

#[test]
fn a_larger_damaged_segment_is_taken_back_from_the_middle_of_a_layer() {
    // Beyond what is kept in memory, a segment is copied before it is known to be whole.
    let folder = packages();
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..6_000_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()[7]
        })
        .collect();
    folder.file("links/noise", &noise);
    explained(&folder, "cache", &[]);
    let blobs = files(&folder, "blobs");
    let large = blobs.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    damage(large, |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(explained(&folder, "cache", &[]), ["hit", "built", "hit"]);
    // Without a known checkpoint, hashing reads members one by one and sees damage earlier.
    damage(large, |bytes| bytes[3_000_000] ^= 1);
    fs::remove_dir_all(stored(&folder).join("checkpoints")).unwrap();
    assert_eq!(explained(&folder, "cache", &[]), ["hit", "built", "hit"]);
}

#[test]
fn a_cache_that_cannot_be_used_costs_hits_alone() {
    let folder = packages();
    explained(&folder, "cache", &[]);
    // Root may write anywhere, so a file stands where a folder should be.
    for kind in ["blobs", "segments", "checkpoints", "locks"] {
        let path = stored(&folder).join(kind);
        fs::remove_dir_all(&path).unwrap();
        fs::write(path, "").unwrap();
    }
    assert_eq!(explained(&folder, "cache", &[]), ["built"; 3]);

    let mut worker = Worker::start(folder.path(), &["--cache-dir=cache2"]);
    let build = |worker: &mut Worker| {
        worker.request(1, &layer(&["--output=cached"]));
        let response = worker.response();
        assert_eq!((response.exit_code, &*response.output), (0, ""));
        assert_eq!(
            (sha256sum(&folder.read("cached")), folder.read("json")),
            expected(&folder, &[])
        );
    };
    build(&mut worker);
    fs::remove_dir_all(folder.path().join("cache2")).unwrap();
    build(&mut worker);
    folder.file("many/more.py", b"");
    fs::write(folder.path().join("cache2"), "").ok();
    build(&mut worker);
    assert!(worker.end().success());
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let folder = packages();
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let run = folder.run(&[&["--cache-dir=cache"], &layer(&["--output=o"])[..]].concat());
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("cache") && run.stderr.contains("hint"), "{}", run.stderr);
    explained(&folder, "fresh", &[]);
    let mode = fs::metadata(folder.path().join("fresh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(folder.path().join("fresh/CACHEDIR.TAG").exists());
}
