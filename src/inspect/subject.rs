//! What is looked at: the layers of a file or a layout, read.

use std::path::{Path, PathBuf};

use super::packages::{self, Package};
use crate::archive::Layer;
use crate::error::Result;
use crate::fs::{self, Input, Kind};
use crate::layer::CancelCheck;
use crate::oci::{Config, Image, Layout, Platform};
use crate::segment_file;

/// A layer, a segment, or an image.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) path: PathBuf,
    /// What a layout says besides its layers; none for a layer.
    pub(super) image: Option<Image>,
    /// The package of a segment; none for a layer.
    pub(super) segment: Option<String>,
    pub(super) layers: Vec<Part>,
    pub(super) packages: Vec<Package>,
}

/// A layer of what is looked at.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) layer: Layer,
    pub(super) media_type: String,
    /// The history's word on it.
    pub(super) created_by: Option<String>,
    /// For each entry, its bytes of the blob.
    pub(super) compressed: Vec<u64>,
    /// For each entry, the number of its package.
    pub(super) packages: Vec<Option<usize>>,
}

impl Subject {
    /// Reads what is at `path`: a folder is a layout, a file is a layer.
    pub(super) fn read(
        path: &Path,
        platform: Option<&Platform>,
        check: CancelCheck<'_>,
    ) -> Result<Self> {
        let mut parts = Vec::new();
        let (mut image, mut segment) = (None, None);
        if fs::kind_followed(path) == Some(Kind::Directory) {
            let layout = Layout::open(path)?;
            let found = layout.image(platform)?;
            let history = created_by(&found.config);
            for (descriptor, created_by) in found.manifest.layers().iter().zip(history) {
                let media_type = descriptor.media_type().to_string();
                let layer = Layer::read(layout.blob(descriptor)?, check)?;
                parts.push(Part::new(layer, media_type, created_by));
            }
            image = Some(found);
        } else {
            let input = Input::open(path)?;
            let layer = match segment_file::glance(&input)? {
                Some((package, length)) => {
                    segment = Some(package);
                    Layer::of_first(input, length, check)?
                }
                None => Layer::read(input, check)?,
            };
            let media_type = layer.blob.codec.media_type().to_owned();
            parts.push(Part::new(layer, media_type, None));
        }
        let packages = packages::assign(&mut parts);
        Ok(Self { path: path.to_owned(), image, segment, layers: parts, packages })
    }
}

impl Part {
    fn new(layer: Layer, media_type: String, created_by: Option<String>) -> Self {
        let compressed = layer.compressed();
        let packages = vec![None; layer.entries.len()];
        Self { layer, media_type, created_by, compressed, packages }
    }
}

/// What the history says of each layer.
fn created_by(config: &Config) -> impl Iterator<Item = Option<String>> {
    let history = config.history.iter().flatten();
    let layers = history.filter(|entry| entry.empty_layer() != Some(true));
    let said: Vec<_> = layers.map(|entry| entry.created_by().clone()).collect();
    said.into_iter().chain(std::iter::repeat(None))
}
