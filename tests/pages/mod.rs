//! The pages for people: their commands run, their links lead somewhere, and none is too long.

mod commands;
mod links;

use std::fs;
use std::path::{Path, PathBuf};

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
