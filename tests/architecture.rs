//! The house's rules that no compiler checks: which module may use which, and how long a file
//! may be.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each room of `src/` may use of the others.
const ALLOWED: &[(&str, &[&str])] = &[
    ("main", &["cli", "error", "fs", "observe", "service"]),
    ("archive", &["digest", "error", "fs", "layer"]),
    ("cache", &["cancel", "digest", "error", "fs", "sync"]),
    ("cancel", &["error", "sync"]),
    ("check", &["error", "flags", "fs", "layer", "segment_file"]),
    ("cli", &["check", "diff", "error", "flags", "image", "inspect", "load", "request"]),
    ("diff", &["archive", "digest", "error", "flags", "fs", "layer", "oci", "segment_file"]),
    ("digest", &[]),
    ("error", &[]),
    ("flags", &["error"]),
    ("fs", &["error"]),
    (
        "image",
        &["archive", "digest", "error", "flags", "fs", "inspect", "layer", "oci", "segment_file"],
    ),
    (
        "inspect",
        &["archive", "diff", "digest", "error", "flags", "fs", "layer", "oci", "segment_file"],
    ),
    ("layer", &["digest", "error", "fs"]),
    ("lib", &[]),
    ("load", &["error", "flags", "fs", "layer", "oci"]),
    ("observe", &["error", "fs"]),
    ("oci", &["digest", "error", "fs"]),
    (
        "pipeline",
        &["cache", "digest", "error", "fs", "layer", "observe", "segment_file", "workers"],
    ),
    ("request", &["error", "flags", "fs", "layer"]),
    ("segment_file", &["error", "fs", "layer"]),
    (
        "service",
        &[
            "cache", "cancel", "check", "cli", "diff", "error", "fs", "image", "inspect", "layer",
            "load", "observe", "pipeline", "request", "workers",
        ],
    ),
    ("sync", &[]),
    ("workers", &["cancel", "error", "layer", "sync"]),
];

fn sources(directory: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                pending.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found
}

/// The room that a file of `src/` belongs to.
fn room(path: &Path) -> String {
    let relative = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn modules_use_only_what_they_may() {
    let mut seen = BTreeSet::new();
    for path in sources("src", "rs") {
        let room = room(&path);
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{room} is not in the table"));
        let text = fs::read_to_string(&path).unwrap();
        let own = text.split("#[cfg(test)]").next().unwrap();
        for marker in ["crate::", "pylayer::"] {
            for (at, _) in own.match_indices(marker) {
                let used: String = own[at + marker.len()..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let fine = used == room || allowed.contains(&&*used) || used.is_empty();
                assert!(fine, "{} uses {used}", path.display());
                seen.insert((room.clone(), used));
            }
        }
    }
    for (room, allowed) in ALLOWED {
        for used in *allowed {
            let edge = (room.to_string(), used.to_string());
            assert!(seen.contains(&edge), "{room} may use {used} and does not: narrow the table");
        }
    }
}

#[test]
fn only_one_room_touches_the_file_system_and_one_knows_the_protocol() {
    for path in sources("src", "rs") {
        let room = room(&path);
        let text = fs::read_to_string(&path).unwrap();
        let own = text.split("#[cfg(test)]").next().unwrap();
        for (means, rooms) in [
            ("std::fs", &["fs"][..]),
            ("rustix::fs", &["fs"]),
            ("worker_protocol::", &["service", "main"]),
            ("std::env", &["main"]),
            ("SystemTime", &["cache", "fs"]),
            ("HashMap", &["pipeline"]),
            ("process::exit", &[]),
        ] {
            let fine = !own.contains(means) || rooms.contains(&&*room);
            assert!(fine, "{} uses {means}", path.display());
        }
    }
}

#[test]
fn no_file_outgrows_one_idea() {
    for directory in ["src", "worker_protocol", "xtask", "tests", "py", "examples"] {
        for extension in ["rs", "bzl", "py"] {
            for path in sources(directory, extension) {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let generated =
                    text.starts_with("// This file is @generated") || text.contains("@generated");
                let lines = text.lines().count();
                assert!(lines <= 400 || generated, "{}: {lines} lines", path.display());
            }
        }
    }
}
