//! The pages for people, and the shell that runs their commands.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::sha256sum;

/// A fenced block of a page.
pub(crate) struct Block {
    /// The language that its first line names.
    pub(crate) language: String,
    pub(crate) text: String,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page's text.
pub(crate) fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap()
}

/// The fenced blocks of a page, in order, without the blanks that all lines of one begin with.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut indent = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, indent) {
            (Some(language), None) => {
                indent = Some(line.len() - line.trim_start().len());
                blocks.push(Block { language: language.to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => indent = None,
            (None, Some(indent)) => {
                let block = blocks.last_mut().unwrap();
                block.text += line.get(indent..).unwrap_or_default();
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// All pages of a folder of `docs`, by name.
pub(crate) fn pages(folder: &str) -> Vec<String> {
    let names = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(PathBuf::from).filter(|name| name.extension().is_some_and(|e| e == "md"));
    let mut pages: Vec<String> = names.map(|name| format!("{folder}/{}", name.display())).collect();
    pages.sort();
    pages
}

/// Whether Bazel runs a block: `tests/bazel/pages.rs` does so.
pub(crate) fn is_for_bazel(block: &Block) -> bool {
    block.text.lines().any(|line| line.starts_with("bazel "))
}

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
    if !bin.join("pylayer").exists() {
        fs::create_dir_all(&bin).unwrap();
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
