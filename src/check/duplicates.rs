//! Paths that two layers of an image deliver.
//!
//! No layer is read: the rules write the arguments that name a layer's sources into a file, and
//! those files say where each source goes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use crate::error::{Error, Result};
use crate::fs;
use crate::layer::CancelCheck;
use crate::layer::spec::{Destination, SourcePath};

/// How many paths a message lists.
const LISTED: usize = 5;

/// The longest list that is read, in bytes.
const LIST: u64 = 1 << 30;

/// What a layer puts at a path.
struct Delivery {
    layer: usize,
    /// The argument that names the source, such as `--file=a/b.py`.
    source: Vec<u8>,
    /// The globs in force: several layers have one package, each a part of it.
    globs: Vec<Vec<u8>>,
}

/// What is wrong with the layers of these lists, in one message.
pub(super) fn duplicates(lists: &[SourcePath], check: CancelCheck<'_>) -> Result<Option<String>> {
    let mut places: BTreeMap<Destination, Delivery> = BTreeMap::new();
    let mut found: BTreeMap<Destination, [(usize, Vec<u8>); 2]> = BTreeMap::new();
    for (layer, list) in lists.iter().enumerate() {
        check()?;
        let bytes = fs::read(list.full(), LIST)?;
        let (mut source, mut globs): (Option<&[u8]>, Vec<Vec<u8>>) = (None, Vec::new());
        for line in bytes.split(|&byte| byte == b'\n') {
            if line.starts_with(b"--package=") {
                globs.clear();
            } else if line.starts_with(b"--include=") || line.starts_with(b"--exclude=") {
                globs.push(line.to_vec());
            } else if let Some(to) = line.strip_prefix(b"--to=") {
                let Some(source) = source.take() else {
                    let what = format!("{}: a `--to` without a source", list.typed().display());
                    return Err(Error::input(what));
                };
                let new = Delivery { layer, source: source.to_vec(), globs: globs.clone() };
                let to = Destination::new(to)?;
                match places.get(&to) {
                    Some(old) if old.layer != layer && !old.is_other_part_of(&new) => {
                        let both = [(old.layer, old.source.clone()), (layer, new.source)];
                        found.entry(to).or_insert(both);
                    }
                    Some(_) => {}
                    None => {
                        places.insert(to, new);
                    }
                }
            } else if line.starts_with(b"--") {
                source = Some(line);
            }
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    let mut text = format!("{} in two layers; an image has each path once:", paths(found.len()));
    for (to, both) in found.iter().take(LISTED) {
        // Writing to a string cannot fail.
        _ = write!(text, "\n  {}", OsStr::from_bytes(to.bytes()).display());
        for (layer, source) in both {
            let source = OsStr::from_bytes(source).display();
            let list = lists[*layer].typed().file_name().unwrap_or_default().display().to_string();
            let layer = list.strip_suffix(".sources").unwrap_or(&list);
            _ = write!(text, "\n    in {layer}: {source}");
        }
    }
    if found.len() > LISTED {
        _ = write!(text, "\n  and {} more", found.len() - LISTED);
    }
    Ok(Some(text))
}

fn paths(count: usize) -> String {
    if count == 1 { "1 path is".to_owned() } else { format!("{count} paths are") }
}

impl Delivery {
    /// Whether two layers take different files of one source.
    fn is_other_part_of(&self, other: &Self) -> bool {
        self.source == other.source && self.globs != other.globs
    }
}
