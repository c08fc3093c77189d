//! The page: what is in an image, as one HTML file that needs nothing else.

mod against;
mod tree;

use bytesize::ByteSize;
use serde::Serialize;

use super::subject::Subject;
use super::summary::Summary;
use crate::error::{Error, Fault, Result};
use crate::oci::Image;
use against::Against;

const PAGE: &str = include_str!("report/page.html");
const STYLE: &str = include_str!("report/page.css");
const SCRIPT: &str = include_str!("report/page.js");

/// What the page's script draws.
#[derive(Debug, Serialize)]
struct Page {
    name: String,
    facts: Vec<String>,
    pull: String,
    layers: Vec<PageLayer>,
    others: Vec<Other>,
    against: Option<Against>,
    config: Vec<(&'static str, String)>,
    tree: tree::Node,
}

#[derive(Debug, Serialize)]
struct PageLayer {
    digest: String,
    from: String,
    codec: &'static str,
    size: u64,
    bytes: u64,
    files: u64,
    members: usize,
    /// The other images that have it.
    also: Vec<usize>,
}

/// Another image, and what it has in common with this one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Other {
    name: String,
    layers: usize,
    size: u64,
    shared: usize,
    shared_size: u64,
}

/// An image to compare with, under its name.
pub(super) type Named = (String, Image);

/// The page about a subject: which layers the others have, and what changed since `against`.
pub(super) fn page(
    name: &str,
    subject: &Subject,
    others: &[Named],
    against: Option<(&str, &Subject)>,
) -> Result<String> {
    let summary = Summary::of(subject);
    let page = Page {
        name: name.to_owned(),
        facts: facts(&summary),
        pull: super::table::pull(&summary),
        layers: layers(&summary, others),
        others: others.iter().map(|other| compare(&summary, other)).collect(),
        against: against.map(|(name, other)| Against::new(name, other, subject)),
        config: super::table::config(&summary),
        tree: tree::of(subject),
    };
    let data = serde_json::to_string(&page)
        .map_err(|source| Error::new(Fault::Internal, "a page's data").because(source))?;
    // Nothing in the data may end the script element that it is in, or look like a comment.
    let data = data.replace('<', "\\u003c");
    let title = name.replace('&', "&amp;").replace('<', "&lt;");
    let mut html = String::with_capacity(data.len() + PAGE.len() + STYLE.len() + SCRIPT.len());
    let mut rest = PAGE;
    // In the page's order: what is filled in is not looked at again.
    for (mark, text) in
        [("@TITLE@", &*title), ("@STYLE@", STYLE), ("@DATA@", &data), ("@SCRIPT@", SCRIPT)]
    {
        let (before, after) = rest
            .split_once(mark)
            .ok_or_else(|| Error::new(Fault::Internal, format!("no {mark} in the page")))?;
        html.push_str(before);
        html.push_str(text.trim_end());
        rest = after;
    }
    html.push_str(rest);
    Ok(html)
}

fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

fn facts(summary: &Summary) -> Vec<String> {
    let files: u64 = summary.layers.iter().map(|layer| layer.files).sum();
    let mut facts = Vec::new();
    match &summary.image {
        Some(image) => facts.extend([image.platform.clone(), image.digest.clone()]),
        None => facts.extend(summary.layers.iter().map(|layer| layer.digest.to_string())),
    }
    facts.push(format!("{} compressed", size(summary.compressed)));
    facts.push(format!("{} in {files} files", size(summary.bytes)));
    let wasted: u64 = summary.duplicates.iter().map(|duplicate| duplicate.wasted).sum();
    if wasted > 0 {
        facts.push(format!("{} is there more than once", size(wasted)));
    }
    if !summary.overridden.is_empty() {
        facts.push(format!("{} paths are in more than one layer", summary.overridden.len()));
    }
    facts
}

fn layers(summary: &Summary, others: &[Named]) -> Vec<PageLayer> {
    let layers = summary.layers.iter().map(|layer| {
        let digest = layer.digest.to_string();
        let has = |(_, image): &Named| {
            image.manifest.layers().iter().any(|layer| layer.digest().as_ref() == digest)
        };
        let also = others.iter().enumerate().filter(|(_, other)| has(other));
        PageLayer {
            also: also.map(|(index, _)| index).collect(),
            digest,
            from: layer.created_by.clone().unwrap_or_default(),
            codec: layer.codec,
            size: layer.size,
            bytes: layer.bytes,
            files: layer.files,
            members: layer.members,
        }
    });
    layers.collect()
}

fn compare(summary: &Summary, (name, image): &Named) -> Other {
    let all = image.manifest.layers();
    let ours = |digest: &str| summary.layers.iter().any(|layer| layer.digest.to_string() == digest);
    let shared: Vec<u64> = all
        .iter()
        .filter(|layer| ours(layer.digest().as_ref()))
        .map(crate::oci::Descriptor::size)
        .collect();
    Other {
        name: name.clone(),
        layers: all.len(),
        size: all.iter().map(crate::oci::Descriptor::size).sum(),
        shared: shared.len(),
        shared_size: shared.iter().sum(),
    }
}
