//! Which entries two layers do not have in common, and how the others differ.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Change;
use crate::archive::{Entry, show};
use crate::digest::hex;

/// What differs between the entries of two layers.
#[derive(Debug, Default, Serialize)]
pub(super) struct EntryDifference {
    /// Paths that only the second has.
    pub(super) added: Vec<String>,
    /// Paths that only the first has.
    pub(super) removed: Vec<String>,
    pub(super) changed: Vec<ChangedEntry>,
    /// The first place where the entries that both have are in another order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<Change>,
}

/// An entry that both have.
#[derive(Debug, Serialize)]
pub(super) struct ChangedEntry {
    pub(super) path: String,
    pub(super) changes: Vec<Change>,
}

impl EntryDifference {
    pub(super) fn is_empty(&self) -> bool {
        let Self { added, removed, changed, order } = self;
        added.is_empty() && removed.is_empty() && changed.is_empty() && order.is_none()
    }

    /// What kinds of differences there are, a word each.
    pub(super) fn causes(&self) -> Vec<&'static str> {
        let mut causes = Vec::new();
        if !self.added.is_empty() {
            causes.push("added");
        }
        if !self.removed.is_empty() {
            causes.push("removed");
        }
        if self.order.is_some() {
            causes.push("order");
        }
        for word in WORDS {
            let changes = self.changed.iter().flat_map(|entry| &entry.changes);
            if changes.into_iter().any(|change| change.what == word) {
                causes.push(word);
            }
        }
        causes
    }
}

/// What may differ between two entries of one path.
const WORDS: [&str; 8] = ["kind", "content", "link", "mode", "owner", "owner-name", "time", "pax"];

/// Compares entries; of several with one path the first with the first, and so on.
pub(super) fn compare(a: &[Entry], b: &[Entry]) -> EntryDifference {
    let mut places: BTreeMap<&[u8], Vec<usize>> = BTreeMap::new();
    for (index, entry) in b.iter().enumerate().rev() {
        places.entry(&entry.path).or_default().push(index);
    }
    let mut difference = EntryDifference::default();
    // For each common entry of the first, in its order: the place in the second.
    let mut common = Vec::new();
    for entry in a {
        match places.get_mut(&*entry.path).and_then(Vec::pop) {
            None => difference.removed.push(show(&entry.path)),
            Some(index) => {
                common.push(index);
                let changes = changes(entry, &b[index]);
                if !changes.is_empty() {
                    difference.changed.push(ChangedEntry { path: show(&entry.path), changes });
                }
            }
        }
    }
    let mut added: Vec<usize> = places.into_values().flatten().collect();
    added.sort_unstable();
    difference.added = added.into_iter().map(|index| show(&b[index].path)).collect();
    let mut sorted = common.clone();
    sorted.sort_unstable();
    let moved = common.iter().zip(&sorted).position(|(is, would_be)| is != would_be);
    difference.order = moved.map(|nth| Change {
        what: format!("entry {} of those that both have", nth + 1),
        a: Some(show(&b[common[nth]].path)),
        b: Some(show(&b[sorted[nth]].path)),
    });
    difference
}

/// What differs between two entries of one path.
fn changes(a: &Entry, b: &Entry) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut compare = |what: &str, values: [String; 2]| {
        let [a, b] = values;
        if a != b {
            changes.push(Change { what: what.to_owned(), a: Some(a), b: Some(b) });
        }
    };
    let both = [a, b];
    compare("kind", both.map(|entry| entry.kind.name().to_owned()));
    compare("content", both.map(content));
    compare("link", both.map(|entry| show(&entry.link)));
    compare("mode", both.map(|entry| format!("{:04o}", entry.mode)));
    compare("owner", both.map(|entry| format!("{}:{}", entry.owner.0, entry.owner.1)));
    let names = |entry: &Entry| format!("{}:{}", show(&entry.names.0), show(&entry.names.1));
    compare("owner-name", both.map(names));
    compare("time", both.map(|entry| entry.mtime.to_string()));
    // What a record says of what is compared already is not told twice.
    let told: Vec<&str> = changes.iter().map(|change| &*change.what).collect();
    let is_news = |key: &str| !match key {
        "uid" | "gid" => told.contains(&"owner"),
        "uname" | "gname" => told.contains(&"owner-name"),
        "mtime" => told.contains(&"time"),
        "linkpath" => told.contains(&"link"),
        "size" => told.contains(&"content"),
        _ => false,
    };
    let records = |entry: &Entry| -> String {
        let records = entry.pax.iter().filter(|(key, _)| is_news(key));
        let records = records.map(|(key, value)| format!("{key}={}", show(value)));
        records.collect::<Vec<_>>().join(" ")
    };
    let [a, b] = both.map(records);
    if a != b {
        let value = |text: String| (!text.is_empty()).then_some(text);
        changes.push(Change { what: "pax".to_owned(), a: value(a), b: value(b) });
    }
    changes
}

/// A file's content: its length, and what tells it from others of this length.
fn content(entry: &Entry) -> String {
    match entry.content {
        Some(digest) => format!("{} bytes, blake3 {}", entry.size, &hex(&digest)[..12]),
        None => String::new(),
    }
}
