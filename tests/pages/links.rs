//! Links, lengths, and the table of contents.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Run;
use crate::support::pages::{read, root};

/// The most lines of a page in `docs`, and of README.
const LONGEST: [usize; 2] = [250, 200];

/// Every page of the checkout.
fn all() -> Vec<String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"]);
    let listed = Run::of(git.current_dir(root())).stdout;
    // `cargo xtask bench` writes a page of another folder from that one.
    let pages = listed.lines().filter(|page| *page != "benches/performance.md");
    let there = pages.filter(|page| root().join(page).exists());
    there.map(str::to_owned).collect()
}

/// A page's lines outside of fenced blocks.
fn prose(text: &str) -> Vec<&str> {
    let mut outside = true;
    let prose = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        outside ^= fence;
        outside && !fence
    });
    prose.collect()
}

/// A line without its code.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// What a page links to: `](TARGET)`, `src=`, and `srcset=`.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(text) {
        let line = without_code(line);
        for (open, close) in [("](", ')'), (" src=\"", '"'), (" srcset=\"", '"')] {
            let rests = line.split(open).skip(1);
            found.extend(rests.filter_map(|rest| rest.split(close).next()).map(str::to_owned));
        }
    }
    found
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).into_iter().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    headings.map(anchor).collect()
}

#[test]
fn links_lead_somewhere() {
    let pages = all();
    assert!(pages.len() > 30, "{pages:?}");
    let mut wrong = Vec::new();
    for page in &pages {
        for target in targets(&read(page)) {
            if target.contains("://") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = Path::new(page).parent().unwrap();
            let file = if path.is_empty() { PathBuf::from(page) } else { folder.join(path) };
            let text = fs::read_to_string(root().join(&file));
            let found = anchor.is_empty() || text.is_ok_and(|text| anchors(&text).contains(anchor));
            if !root().join(&file).exists() || !found {
                wrong.push(format!("{page}: {target}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn the_table_of_contents_has_every_page_and_the_index_too() {
    let summary: BTreeSet<_> = targets(&read("docs/SUMMARY.md")).into_iter().collect();
    let index: BTreeSet<_> = targets(&read("docs/README.md")).into_iter().collect();
    for page in all() {
        let Some(page) = page.strip_prefix("docs/") else { continue };
        if page == "SUMMARY.md" {
            continue;
        }
        assert!(summary.contains(page), "docs/SUMMARY.md does not name {page}");
        assert!(page == "README.md" || index.contains(page), "docs/README.md does not name {page}");
    }
}

#[test]
fn no_page_is_too_long() {
    for page in all() {
        let [most, of_readme] = LONGEST;
        let most = if page == "README.md" { of_readme } else { most };
        let lines = read(&page).lines().count();
        let is_limited = page.starts_with("docs/") || page == "README.md";
        assert!(lines <= most || !is_limited, "{page}: {lines} lines");
    }
}

#[test]
fn files_that_contributors_are_sent_to_are_there() {
    for (page, roots) in [
        ("CONTRIBUTING.md", &["", "py/private"][..]),
        ("ARCHITECTURE.md", &["", "src", "py/private"]),
    ] {
        let text = read(page);
        let code = prose(&text).into_iter().flat_map(|line| line.split('`').skip(1).step_by(2));
        let ends = [".rs", ".bzl", "/"];
        let paths: Vec<&str> = code
            .filter(|code| ends.iter().any(|end| code.ends_with(end)) && !code.contains(' '))
            .collect();
        assert!(paths.len() > 5, "{page}: {paths:?}");
        for path in paths {
            let is_there = roots.iter().any(|folder| root().join(folder).join(path).exists());
            assert!(is_there, "{page}: there is no {path}");
        }
    }
}
