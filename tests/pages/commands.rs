//! Every shell block of README, a tutorial, or a how-to guide is run as it stands, and has to succeed.
//!
//! A page's blocks are run in order, in one folder that is empty at first. `tests/pages/programs` has
//! what stands in for a network and for docker, and says so.

use std::path::Path;

use crate::support::pages::{blocks, is_for_bazel, pages, read, shell};
use crate::support::{Folder, PYLAYER, Run};

/// Runs the shell blocks of a page; gives what the last command of each printed.
fn run(page: &str) -> Vec<String> {
    let (folder, state) = (Folder::new(), Folder::new());
    let text = read(page);
    let shell_blocks = blocks(&text).into_iter().filter(|block| block.language == "sh");
    let said = shell_blocks.filter(|block| !is_for_bazel(block)).map(|block| {
        let mut command = shell(&block.text, folder.path(), state.path(), Path::new(PYLAYER));
        let Run { code, stdout, stderr } = Run::of(&mut command);
        assert_eq!(code, 0, "{page}:\n{}\n{stdout}{stderr}", block.text);
        stdout
    });
    said.collect()
}

#[test]
fn commands_of_readme_run() {
    let said = run("README.md");
    assert_eq!(said.len(), 3, "the installation, and the quick start at a shell");
    assert_eq!(said[2], "Hello, world!\n");
}

#[test]
fn commands_of_the_tutorials_run() {
    let said = run("docs/tutorial/shell.md");
    assert_eq!(said[3], "<p>Hello, check!</p>\n", "{said:?}");
    assert!(said[1].contains("jinja2"), "{said:?}");
    for page in pages("docs/tutorial").iter().filter(|page| !page.ends_with("/shell.md")) {
        run(page);
    }
}

#[test]
fn commands_of_guides_and_explanations_run() {
    let (guides, explanations) = (pages("docs/how-to"), pages("docs/explanation"));
    assert!(guides.len() >= 8, "{guides:?}");
    guides.iter().chain(&explanations).for_each(|page| drop(run(page)));
}

#[test]
fn every_block_is_of_a_kind_that_is_known() {
    // A command in a block that names no language would not be run.
    let known = ["sh", "starlark", "json", "text", "python"];
    let all = ["docs/tutorial", "docs/how-to", "docs/reference", "docs/explanation"].map(pages);
    for page in all.iter().flatten().map(String::as_str).chain(["README.md"]) {
        for block in blocks(&read(page)) {
            assert!(known.contains(&&*block.language), "{page}: `{}`", block.language);
        }
    }
}

#[test]
fn figures_of_readme_are_those_that_were_measured() {
    let measured = read("docs/explanation/performance.md");
    let share = |case: &str| -> f64 {
        let row = measured.lines().find(|line| line.starts_with(&format!("| {case}"))).unwrap();
        row.split('|').nth(2).unwrap().trim().parse().unwrap()
    };
    let readme = read("README.md");
    for (case, decimals) in [
        ("scientific packages, pylayer, gzip 6, wheels: CPU", 0),
        ("scientific packages, pylayer, gzip 6: CPU", 0),
        ("29 packages, all known: CPU of bsdtar's", 1),
        ("20 images of 60 wheels, `bazel build` from nothing: CPU", 0),
    ] {
        let figure = format!("**{:.decimals$} %**", share(case) * 100.0);
        assert!(readme.contains(&figure), "{case}: README does not have {figure}");
    }
}
