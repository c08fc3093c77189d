//! Directories of every shape: bsdtar, GNU tar and umoci make the same tree of a layer, and umoci
//! leaves a base image with a merged `/usr` as it was below it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use xtask::session::Numbers;

use crate::support::{Folder, Run, tree};

/// Components of destinations: those that base images have in their own way, and some more.
const NAMES: [&str; 20] = [
    "bin", "boot", "dev", "etc", "home", "lib", "lib64", "lock", "opt", "root", "run", "sbin",
    "srv", "tmp", "usr", "var", "app", "é ü", "x.py", "0",
];

/// The links of a base image, which stand for directories.
const LINKS: [(&str, &str); 6] = [
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("var/run", "/run"),
    ("var/lock", "/run/lock"),
];

/// Random destinations with what is there; none is above another.
fn destinations(numbers: &mut Numbers) -> BTreeMap<String, &'static str> {
    let mut chosen: BTreeMap<String, &'static str> = BTreeMap::new();
    for _ in 0..60 {
        let mut path = Vec::new();
        for _ in 0..=numbers.below(5) {
            path.push(*numbers.one_of(&NAMES));
        }
        if numbers.below(10) == 0 {
            path.extend(["a-rather-long-name-of-a-directory"; 9]);
        }
        let path = path.join("/");
        let inside = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if chosen.keys().all(|other| !inside(other, &path) && !inside(&path, other)) {
            let all = ["--directory", "--empty", "--symlink=/nowhere"];
            // A file at the top would take a whole part of the base away, as asked for.
            let some = if path.contains('/') { &all[..] } else { &all[..1] };
            let what = *numbers.one_of(some);
            chosen.insert(path, what);
        }
    }
    chosen
}

/// Runs a script in the folder.
fn sh(folder: &Folder, script: &str) {
    let run = Run::of(Command::new("sh").args(["-ec", script]).current_dir(folder.path()));
    assert_eq!(run.code, 0, "{script}: {}", run.stderr);
}

/// Unpacks the layer `out`, above that in `base.tar`, to `image/rootfs`.
const UMOCI: &str = "
rm -rf layout image; umoci init --layout layout; umoci new --image layout:test
for layer in LAYERS; do umoci raw add-layer --image layout:test $layer; done
umoci unpack --rootless --image layout:test image
";

/// What is at a path, whatever links lead there.
fn is_there(root: &Path, path: &str, what: &str) -> bool {
    // The image's links are absolute, too.
    let mut at = root.to_path_buf();
    for component in Path::new(path).parent().unwrap_or(Path::new("")) {
        at.push(component);
        while let Ok(link) = fs::read_link(&at) {
            at = match link.strip_prefix("/") {
                Ok(absolute) => root.join(absolute),
                Err(_) => at.parent().unwrap().join(link),
            };
        }
    }
    let Ok(found) = fs::symlink_metadata(at.join(Path::new(path).file_name().unwrap())) else {
        return false;
    };
    match what {
        "--empty" => found.is_file(),
        // The base's own, perhaps, by a link.
        "--directory" => found.is_dir() || found.is_symlink(),
        _ => found.is_symlink(),
    }
}

#[test]
fn all_readers_see_the_same_directories() {
    let folder = Folder::new();
    for (link, text) in LINKS {
        folder.link(&format!("base/{link}"), text);
    }
    for file in ["usr/bin/sh", "usr/sbin/init", "usr/lib/libc.so", "usr/lib64/ld.so", "run/lock/x"]
    {
        folder.file(&format!("base/{file}"), b"base");
    }
    sh(&folder, "tar -C base --owner=0 --group=0 -cf base.tar .");
    for seed in 0..3 {
        let chosen = destinations(&mut Numbers::new(seed));
        let mut arguments = vec!["--compression=none".to_owned()];
        for (path, what) in &chosen {
            arguments.extend([(*what).to_owned(), format!("--to={path}")]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let entries = folder.entries(&arguments);
        let directories = entries.iter().take_while(|entry| entry.kind == "d").count();
        assert!(entries[directories..].iter().all(|entry| chosen.contains_key(&entry.path)));

        sh(&folder, "rm -rf bsd gnu; mkdir bsd gnu; umask 022; tar -xpf out -C gnu");
        sh(&folder, "umask 022; LC_ALL=C.UTF-8 bsdtar -xpf out -C bsd");
        sh(&folder, &UMOCI.replace("LAYERS", "out"));
        let expected = tree(&folder.path().join("gnu"));
        assert_eq!(tree(&folder.path().join("bsd")), expected, "seed {seed}: bsdtar");
        assert_eq!(tree(&folder.path().join("image/rootfs")), expected, "seed {seed}: umoci");
        for (path, what) in &chosen {
            let is_here = expected.iter().any(|(found, _)| found == path);
            // A directory that base images have a link for is theirs.
            let is_theirs = *what == "--directory" && LINKS.iter().any(|(link, _)| link == path);
            assert_ne!(is_here, is_theirs, "seed {seed}: {what} {path}");
        }

        sh(&folder, &UMOCI.replace("LAYERS", "base.tar out"));
        let root = folder.path().join("image/rootfs");
        for (path, what) in &chosen {
            assert!(is_there(&root, path, what), "seed {seed}: {what} {path} is lost");
        }
        for (path, what) in tree(&folder.path().join("base")) {
            // Where the layer itself has something else, that is what was asked for.
            let is_ours = |(ours, what): (&String, &&str)| {
                *what != "--directory" && Path::new(&path).starts_with(ours)
            };
            if !what.starts_with("directory") && !chosen.iter().any(is_ours) {
                let found = fs::symlink_metadata(root.join(&path));
                let is_same = found.is_ok_and(|at| at.is_symlink() == what.starts_with("link"));
                assert!(is_same, "seed {seed}: the base's {path} is lost");
            }
        }
    }
}
