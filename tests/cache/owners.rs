//! Whose a cache folder is: only what pylayer made and nobody else can change is one, and what is no
//! cache is not touched.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::{explained, layer, packages};

const VERBS: [&str; 4] = ["stat", "verify", "gc", "clear"];

#[test]
fn what_is_no_cache_is_left_as_it_is() {
    let folder = packages();
    folder.file("home/v3/thesis", b"years of work");
    for verb in VERBS {
        for (directory, said) in [("home", "not a cache"), ("nowhere", "no cache directory")] {
            let run = folder.run(&["cache", verb, &format!("--cache-dir={directory}")]);
            assert_eq!(run.code, 1, "{verb} {directory}: {}", run.stderr);
            assert!(run.stderr.contains(said), "{verb} {directory}: {}", run.stderr);
        }
    }
    let run = folder.run(&[&["--cache-dir=home"], &*layer(&["--output=out"])].concat());
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_eq!(folder.read("home/v3/thesis"), b"years of work");
    assert_eq!(fs::read_dir(folder.path().join("home")).unwrap().count(), 1, "and no tag");
    assert!(!folder.path().join("nowhere").exists());
}

#[test]
fn asking_makes_nothing() {
    let folder = packages();
    fs::create_dir(folder.path().join("empty")).unwrap();
    for verb in VERBS {
        assert_eq!(folder.run(&["cache", verb, "--cache-dir=empty"]).code, 0, "{verb}");
    }
    assert_eq!(fs::read_dir(folder.path().join("empty")).unwrap().count(), 0);
}

#[test]
fn what_others_can_change_is_refused() {
    for opened in ["cache", "cache/v3", "cache/v3/segments"] {
        let folder = packages();
        explained(&folder, "cache", &[]);
        let path = folder.path().join(opened);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let run = folder.run(&[&["--cache-dir=cache"], &*layer(&["--output=out"])].concat());
        assert_eq!(run.code, 3, "{opened}: {}", run.stderr);
        assert!(run.stderr.contains("cannot be relied on"), "{}", run.stderr);
    }
    let folder = packages();
    explained(&folder, "cache", &[]);
    fs::rename(folder.path().join("cache/v3"), folder.path().join("away")).unwrap();
    folder.link("cache/v3", folder.path().join("away"));
    assert_eq!(folder.run(&["cache", "verify", "--cache-dir=cache"]).code, 3);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let run = folder.run(&[&["--cache-dir=other"], &*layer(&["--output=out"])].concat());
    assert_eq!(run.code, 3, "another could be put in its place: {}", run.stderr);
}
