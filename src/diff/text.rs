//! A difference for people.

use super::bytes::{FirstByte, Place};
use super::entries::EntryDifference;
use super::layer::LayerDifference;
use super::{Change, Difference};
use crate::archive::show as plain;

/// All that differs, of each layer at most so many entries.
pub(super) fn show(difference: &Difference, limit: usize) -> String {
    let [a, b] = [&difference.a, &difference.b].map(|path| plain(path.as_bytes()));
    if difference.same {
        return format!("{a} and {b} are the same\n");
    }
    let mut text = format!("{a} and {b} differ: {}\n", difference.causes.join(", "));
    if let Some(found) = &difference.layer {
        layer(&mut text, found, limit);
    }
    if let Some(image) = &difference.image {
        change(&mut text, &image.digests);
        image.config.iter().for_each(|found| change(&mut text, found));
        for found in &image.layers {
            let digest = &found.digest;
            match (found.a, found.b) {
                (Some(a), None) => line(&mut text, &format!("layer {a} is gone: {digest}")),
                (None, Some(b)) => line(&mut text, &format!("layer {b} is new: {digest}")),
                (Some(a), Some(b)) if found.difference.is_none() => {
                    line(&mut text, &format!("layer {a} is layer {b} now: {digest}"));
                }
                (a, b) => {
                    let [a, b] = [a, b].map(Option::unwrap_or_default);
                    line(&mut text, &format!("layer {a} and layer {b} differ:"));
                }
            }
            if let Some(found) = &found.difference {
                layer(&mut text, found, limit);
            }
        }
    }
    text
}

/// Adds a line.
fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn change(text: &mut String, change: &Change) {
    let side = |value: &Option<String>| match value.as_deref() {
        None => "(none)".to_owned(),
        Some("") => "\"\"".to_owned(),
        Some(value) => value.to_owned(),
    };
    line(
        text,
        &format!("  {}: {} -> {}", plain(change.what.as_bytes()), side(&change.a), side(&change.b)),
    );
}

fn layer(text: &mut String, layer: &LayerDifference, limit: usize) {
    entries(text, &layer.entries, limit);
    layer.blobs.iter().for_each(|found| change(text, found));
    if let Some(first) = &layer.first_archive_byte {
        first_byte(text, "archive", first);
    } else {
        line(text, "  the archives are the same");
    }
    first_byte(text, "layer", &layer.first_byte);
}

fn first_byte(text: &mut String, of: &str, first: &FirstByte) {
    let FirstByte { offset, a, b } = first;
    let side = |place: &Place| format!("{} = {}", place.what, place.value);
    let both = if a.what == b.what {
        format!("{}: {} -> {}", a.what, a.value, b.value)
    } else {
        format!("{} -> {}", side(a), side(b))
    };
    line(text, &format!("  first difference in the {of}, after {offset} bytes: {both}"));
}

fn entries(text: &mut String, entries: &EntryDifference, limit: usize) {
    if entries.is_empty() {
        line(text, "  the entries are the same");
        return;
    }
    let mut lines = Vec::new();
    lines.extend(entries.removed.iter().map(|path| format!("  - {path}")));
    lines.extend(entries.added.iter().map(|path| format!("  + {path}")));
    for entry in &entries.changed {
        let mut changed = format!("  * {}", entry.path);
        for Change { what, a, b } in &entry.changes {
            let [a, b] = [a, b].map(|value| value.as_deref().unwrap_or("(none)"));
            changed = format!("{changed}\n      {what}: {a} -> {b}");
        }
        lines.push(changed);
    }
    lines.iter().take(limit).for_each(|found| line(text, found));
    if lines.len() > limit {
        line(text, &format!("  and {} more; --limit=N shows more of them", lines.len() - limit));
    }
    if let Some(order) = &entries.order {
        change(text, &Change { what: format!("order: {}", order.what), ..order.clone() });
    }
}
