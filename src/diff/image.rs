//! How two images differ: by their configs, then layer by layer.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::Change;
use super::layer::{self, Input, LayerDifference};
use crate::archive::show;
use crate::error::Result;
use crate::layer::CancelCheck;
use crate::oci::{Descriptor, Image, Layout, Platform};

/// How two images differ.
#[derive(Debug, Serialize)]
pub(super) struct ImageDifference {
    /// The manifests' digests.
    pub(super) digests: Change,
    /// What else differs in manifest and config: `env PATH`, `label x`, `entrypoint`, `base`.
    pub(super) config: Vec<Change>,
    pub(super) layers: Vec<LayerChange>,
}

/// A layer that only one of the images has, or two that stand for each other.
#[derive(Debug, Serialize)]
pub(super) struct LayerChange {
    /// The number in the first image, from 0 on.
    pub(super) a: Option<usize>,
    /// The number in the second image.
    pub(super) b: Option<usize>,
    /// The digest of the first, else of the second.
    pub(super) digest: String,
    /// How they differ; none if one is missing, or both are the same in another place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) difference: Option<LayerDifference>,
}

impl ImageDifference {
    /// Why they differ, in a word each.
    pub(super) fn causes(&self) -> Vec<&'static str> {
        let mut causes = Vec::new();
        for change in &self.config {
            let word = change.what.split(' ').next().unwrap_or_default();
            causes.push(WORDS.into_iter().find(|known| *known == word).unwrap_or("config"));
        }
        for layer in &self.layers {
            match (&layer.difference, layer.a, layer.b) {
                (Some(difference), ..) => causes.extend(&difference.causes),
                (None, Some(_), Some(_)) => causes.push("layer-order"),
                (None, None, _) => causes.push("layer-added"),
                (None, _, None) => causes.push("layer-removed"),
            }
        }
        if causes.is_empty() {
            causes.push("manifest");
        }
        causes
    }
}

/// What a difference of configs may be about.
const WORDS: [&str; 16] = [
    "base",
    "created",
    "platform",
    "history",
    "annotation",
    "env",
    "label",
    "entrypoint",
    "cmd",
    "user",
    "workdir",
    "port",
    "volume",
    "stop-signal",
    "codec",
    "config",
];

/// Compares two images; none if they are the same.
pub(super) fn compare(
    paths: [&Path; 2],
    platform: Option<&Platform>,
    check: CancelCheck<'_>,
) -> Result<Option<ImageDifference>> {
    let [layout_a, layout_b] = [Layout::open(paths[0])?, Layout::open(paths[1])?];
    let [a, b] = [layout_a.image(platform)?, layout_b.image(platform)?];
    if a.digest == b.digest {
        return Ok(None);
    }
    let digest = |image: &Image| Some(image.digest.to_string());
    let digests = Change { what: "manifest".to_owned(), a: digest(&a), b: digest(&b) };
    let config = configs(&a, &b);
    let mut layers = Vec::new();
    for (index_a, index_b) in pairs(&a, &b) {
        let of = |image: &Image, index: Option<usize>| -> Option<Descriptor> {
            image.manifest.layers().get(index?).cloned()
        };
        let (layer_a, layer_b) = (of(&a, index_a), of(&b, index_b));
        let Some(digest) = layer_a.as_ref().or(layer_b.as_ref()).map(|it| it.digest().to_string())
        else {
            continue;
        };
        let difference = match (&layer_a, &layer_b) {
            (Some(layer_a), Some(layer_b)) if layer_a.digest() != layer_b.digest() => {
                let inputs = [&Input::Blob(&layout_a, layer_a), &Input::Blob(&layout_b, layer_b)];
                layer::compare(inputs, check)?
            }
            _ => None,
        };
        layers.push(LayerChange { a: index_a, b: index_b, digest, difference });
    }
    Ok(Some(ImageDifference { digests, config, layers }))
}

/// Which layers stand for each other, but for those that are the same in the same order: by digest,
/// else by `diff_id`, else in order. What only one image has stands alone.
fn pairs(a: &Image, b: &Image) -> Vec<(Option<usize>, Option<usize>)> {
    let digests = |image: &Image| -> Vec<String> {
        image.manifest.layers().iter().map(|layer| layer.digest().to_string()).collect()
    };
    let diff_ids = |image: &Image| image.config.rootfs.diff_ids().clone();
    let mut left_a: BTreeSet<usize> = (0..a.manifest.layers().len()).collect();
    let mut left_b: BTreeSet<usize> = (0..b.manifest.layers().len()).collect();
    let (mut same, mut pairs) = (Vec::new(), Vec::new());
    for (nth, (of_a, of_b)) in
        [(digests(a), digests(b)), (diff_ids(a), diff_ids(b))].into_iter().enumerate()
    {
        for index_a in left_a.clone() {
            let found = left_b.iter().copied().find(|index_b| of_a[index_a] == of_b[*index_b]);
            if let Some(index_b) = found {
                left_a.remove(&index_a);
                left_b.remove(&index_b);
                if nth == 0 {
                    same.push((index_a, index_b));
                } else {
                    pairs.push((index_a, index_b));
                }
            }
        }
    }
    // Of those that are the same, the ones that are in another order.
    let mut sorted: Vec<usize> = same.iter().map(|(_, index_b)| *index_b).collect();
    sorted.sort_unstable();
    let moved = same.iter().zip(sorted).filter(|((_, is), would_be)| is != would_be);
    pairs.extend(moved.map(|(pair, _)| *pair));
    let mut pairs: Vec<_> = pairs.into_iter().map(|(a, b)| (Some(a), Some(b))).collect();
    let (mut rest_a, mut rest_b) = (left_a.into_iter(), left_b.into_iter());
    loop {
        match (rest_a.next(), rest_b.next()) {
            (None, None) => break,
            pair => pairs.push(pair),
        }
    }
    pairs.sort_unstable();
    pairs
}

/// What differs in two images besides their layers.
pub(crate) fn configs(a: &Image, b: &Image) -> Vec<Change> {
    let [facts_a, facts_b] = [a, b].map(facts);
    let keys: BTreeSet<&String> = facts_a.keys().chain(facts_b.keys()).collect();
    let mut changes = Vec::new();
    for key in keys {
        let [value_a, value_b] = [&facts_a, &facts_b].map(|facts| facts.get(key));
        if value_a != value_b {
            let shown = |value: Option<&String>| value.map(|value| show(value.as_bytes()));
            changes.push(Change { what: key.clone(), a: shown(value_a), b: shown(value_b) });
        }
    }
    changes
}

/// All that an image says besides its layers, by what it is about.
fn facts(image: &Image) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut say = |what: String, value: String| drop(facts.insert(what, value));
    for (key, value) in image.manifest.annotations().iter().flatten() {
        match &**key {
            "org.opencontainers.image.base.digest" => say("base".to_owned(), value.clone()),
            key => say(format!("annotation {key}"), value.clone()),
        }
    }
    let config = &image.config;
    say("platform".to_owned(), image.name.platform.to_string());
    for (index, entry) in config.history.iter().flatten().enumerate() {
        say(format!("history {index}"), serde_json::json!(entry).to_string());
    }
    if let Some(created) = &config.created {
        say("created".to_owned(), created.clone());
    }
    for (key, value) in &config.rest {
        say(format!("config {key}"), value.to_string());
    }
    let Some(run) = &config.config else { return facts };
    let words = |words: &Vec<String>| serde_json::json!(words).to_string();
    for line in run.env.iter().flatten() {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        say(format!("env {name}"), value.to_owned());
    }
    for (name, value) in run.labels.iter().flatten() {
        say(format!("label {name}"), value.clone());
    }
    for (what, value) in [("entrypoint", &run.entrypoint), ("cmd", &run.cmd)] {
        if let Some(value) = value {
            say(what.to_owned(), words(value));
        }
    }
    for (what, value) in
        [("user", &run.user), ("workdir", &run.working_dir), ("stop-signal", &run.stop_signal)]
    {
        if let Some(value) = value {
            say(what.to_owned(), value.clone());
        }
    }
    for (what, all) in [("port", &run.exposed_ports), ("volume", &run.volumes)] {
        for name in all.iter().flat_map(BTreeMap::<String, Value>::keys) {
            say(format!("{what} {name}"), String::new());
        }
    }
    for (key, value) in &run.rest {
        say(format!("config {key}"), value.to_string());
    }
    facts
}
