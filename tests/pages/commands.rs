//! Every shell block of README, a tutorial, or a how-to guide is run as it stands, and has to succeed.
//!
//! A page's blocks are run in order, in one folder that is empty at first. `tests/pages/programs` has
//! what stands in for a network and for docker, and says so.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::{blocks, is_for_bazel, pages, read, root};
use crate::support::{Folder, PYLAYER, Run, sha256sum};

/// Where a program is on `PATH`.
#[expect(clippy::disallowed_methods, reason = "the programs of this machine")]
fn which(program: &str) -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap();
    let mut found = std::env::split_paths(&paths).map(|folder| folder.join(program));
    found.find(|path| path.is_file()).unwrap_or_else(|| panic!("there is no {program}"))
}

/// A layout that stands in for a base image with Python: one empty layer, and this machine's `PATH`.
pub(crate) fn base(layout: &Path) {
    let put = |media_type: &str, bytes: &[u8]| {
        let digest = sha256sum(bytes);
        let path = layout.join("blobs").join(digest.replace(':', "/"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    };
    let archive = [0; 1024];
    let layer = put("application/vnd.oci.image.layer.v1.tar", &archive);
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [format!("PATH={}", path())], "Cmd": ["python3"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256sum(&archive)]},
    });
    let config = put("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
    let index =
        json!({"schemaVersion": 2, "manifests": [put(kind, manifest.to_string().as_bytes())]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the programs of this machine")]
fn path() -> String {
    std::env::var("PATH").unwrap()
}

/// What stands in for other programs, and what they need.
pub(crate) fn shell(script: &str, folder: &Path, state: &Path, pylayer: &Path) -> Command {
    let bin = state.join("bin");
    if !bin.exists() {
        fs::create_dir(&bin).unwrap();
        base(&state.join("base"));
        symlink(pylayer, bin.join("pylayer")).unwrap();
        for entry in fs::read_dir(root().join("tests/pages/programs")).unwrap() {
            let program = entry.unwrap();
            symlink(program.path(), bin.join(program.file_name())).unwrap();
        }
    }
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script]).current_dir(folder);
    bash.env("PATH", format!("{}:{}", bin.display(), path()));
    bash.env("PAGES_STATE", state).env("PAGES_CHECKOUT", root());
    bash.env("PAGES_SKOPEO", which("skopeo")).env("PAGES_CARGO", env!("CARGO"));
    bash.env("PAGES_TARGET", Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap());
    bash
}

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
    assert_eq!(said.len(), 2, "the installation, and the quick start at a shell");
    assert_eq!(said[1], "Hello, world!\n");
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
