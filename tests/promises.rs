//! `docs/reference/worker.md` says which test shows what: they are all there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rows of the tables under a heading: their cells.
fn rows(text: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells =
        |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// The links in a cell, as name and path from the checkout.
fn links(cell: &str) -> Vec<(String, PathBuf)> {
    let links = cell.split(", ").filter(|link| *link != "–").map(|link| {
        let (name, path) = link.trim_matches(['[', ')']).split_once("](../../").unwrap();
        (name.to_owned(), PathBuf::from(path))
    });
    links.collect()
}

/// Whether a file has a test of this name, or is the session of it.
fn is_there(name: &str, path: &Path) -> bool {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let Ok(text) = fs::read_to_string(file) else { return false };
    if path.extension().is_some_and(|kind| kind == "session") {
        return path.file_stem().unwrap() == name;
    }
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    let between = before.rsplit("#[test]").next().unwrap();
    // Other attributes may stand between, but no other function.
    before.contains("#[test]") && !between.contains("fn ")
}

#[test]
fn what_the_worker_promises_is_shown_by_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/reference/worker.md")).unwrap();
    let mut named = BTreeSet::new();
    for (heading, columns, least) in
        [("What each Bazel does", 4, 20), ("What the worker promises", 2, 20)]
    {
        let rows = rows(&text, heading);
        assert!(rows.len() >= least, "{heading}: {} rows", rows.len());
        for row in rows {
            assert_eq!(row.len(), columns, "{row:?}");
            let links = links(&row[columns - 1]);
            let nothing_to_show = columns == 4 && row[columns - 1] == "–";
            assert!(!links.is_empty() || nothing_to_show, "`{}` is shown by nothing", row[0]);
            for (name, path) in links {
                assert!(is_there(&name, &path), "there is no {name} in {}", path.display());
                named.insert(path);
            }
        }
    }
    // Each session is there for something.
    for folder in ["tests/replay/recorded", "tests/replay/written"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = Path::new(folder).join(entry.unwrap().file_name());
            assert!(named.contains(&path), "no row names {}", path.display());
        }
    }
}
