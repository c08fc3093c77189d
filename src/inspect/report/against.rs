//! What changed since another image: the files as a container sees them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::archive::{Entry, Kind, show};
use crate::diff::{Change, config_changes};
use crate::inspect::subject::Subject;

/// How many paths are named, those first whose size changed most.
const MOST: usize = 1000;

/// What changed.
#[derive(Debug, Serialize)]
pub(super) struct Against {
    name: String,
    sum: String,
    config: Vec<Change>,
    /// What happened, the path, and by how many bytes it grew.
    entries: Vec<(&'static str, String, i64)>,
    /// How many paths are not named.
    rest: usize,
}

impl Against {
    pub(super) fn new(name: &str, old: &Subject, new: &Subject) -> Self {
        let [mut before, after] = [old, new].map(files);
        let mut entries = Vec::new();
        for (path, entry) in after {
            let size = signed(entry.size);
            match before.remove(path) {
                None => entries.push(("added", show(path), size)),
                Some(old) if !is_same(old, entry) => {
                    entries.push(("changed", show(path), size - signed(old.size)));
                }
                Some(_) => {}
            }
        }
        let gone = before.into_iter();
        entries.extend(gone.map(|(path, entry)| ("removed", show(path), -signed(entry.size))));
        let count = |what: &str| entries.iter().filter(|(found, ..)| *found == what).count();
        let sum = format!(
            "{} paths added, {} removed, {} changed",
            count("added"),
            count("removed"),
            count("changed")
        );
        entries.sort_by(|a, b| (b.2.abs(), &a.1).cmp(&(a.2.abs(), &b.1)));
        let rest = entries.len().saturating_sub(MOST);
        entries.truncate(MOST);
        let config = match (&old.image, &new.image) {
            (Some(old), Some(new)) => {
                let mut changes = config_changes(old, new);
                // The layers say it better.
                changes.retain(|change| !change.is_about("history"));
                changes
            }
            _ => Vec::new(),
        };
        Self { name: name.to_owned(), sum, config, entries, rest }
    }
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn is_same(a: &Entry, b: &Entry) -> bool {
    (a.kind, a.size, a.content, a.mode, a.owner, &a.link)
        == (b.kind, b.size, b.content, b.mode, b.owner, &b.link)
}

/// What is at each path in the end: higher layers win, and whiteouts remove (OCI image-spec,
/// layer.md).
fn files(subject: &Subject) -> BTreeMap<&[u8], &Entry> {
    let mut files: BTreeMap<&[u8], &Entry> = BTreeMap::new();
    for part in &subject.layers {
        let entries = || part.layer.entries.iter().filter(|entry| entry.kind != Kind::Directory);
        // What a whiteout names is of lower layers.
        for (folder, name) in entries().filter_map(whiteout) {
            let opaque = name == b".wh..opq";
            files.retain(|path, _| match path.strip_prefix(folder) {
                Some(rest) if !opaque => {
                    let after = rest.strip_prefix(name);
                    !after.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
                }
                inside => inside.is_none(),
            });
        }
        let real = entries().filter(|entry| whiteout(entry).is_none());
        files.extend(real.map(|entry| (&*entry.path, entry)));
    }
    files
}

/// The folder, with a slash at its end, in which an entry hides something of lower layers, and what.
fn whiteout(entry: &Entry) -> Option<(&[u8], &[u8])> {
    let at = entry.path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    let (folder, name) = entry.path.split_at(at);
    name.strip_prefix(b".wh.").map(|hidden| (folder, hidden))
}
