//! A layer that is given: what its metadata says of it, or what reading it tells.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::encoding;
use super::request::LayerArgument;
use crate::archive::Blob;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::fs::{self, Input};
use crate::layer::CancelCheck;
use crate::layer::compress::Codec;
use crate::oci::{Descriptor, History, MediaType};
use crate::segment_file;

/// The largest metadata that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// The `diff_id`s of archives without entries: two blocks of zeros, as is usual, one, none, and as
/// many as tar programs pad archives to.
const EMPTY: [&str; 4] = [
    "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef",
    "sha256:076a27c79e5ace2a3d47f9dd2e83e4ff6ea8872b3c2218f66c92b89b55f36560",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha256:84ff92691f909a05b224e1c56abb4864f01b4f8e3c854e4bb4c7baf1d3f6d652",
];

/// A layer that is given.
#[derive(Debug)]
pub(super) struct Given {
    /// The blob.
    pub(super) input: Input,
    /// Its name, without the folders that it is in.
    pub(super) name: String,
    pub(super) media_type: MediaType,
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) diff_id: Digest,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) history: Vec<History>,
    /// Whether there are no entries in it.
    pub(super) is_empty: bool,
}

/// What `pylayer layer --metadata` writes of a layer.
#[derive(Debug, Deserialize)]
struct Metadata {
    #[serde(rename = "mediaType")]
    media_type: MediaType,
    digest: Digest,
    size: u64,
    diff_id: Digest,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    history: Vec<History>,
}

impl Given {
    /// Looks at a layer; reads it only where there is no metadata.
    pub(super) fn new(layer: &LayerArgument, base: &Path, check: CancelCheck<'_>) -> Result<Self> {
        check()?;
        let path = encoding::path(base, &layer.file);
        let input = Input::open(&path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(metadata) = &layer.metadata else {
            if segment_file::glance(&input)?.is_some() {
                return Err(Error::input("a segment is no layer:")
                    .at(path)
                    .hint("`pylayer layer --segment=FILE` makes a layer of segments"));
            }
            let stamp = input.stamp();
            let read = Blob::new(input, check)?.finish()?;
            let input = Input::reopen(&path, &stamp)?;
            return Ok(Self {
                input,
                name,
                media_type: read.codec.media_type().into(),
                digest: read.digest,
                size: read.size,
                diff_id: read.diff_id,
                annotations: BTreeMap::new(),
                history: Vec::new(),
                is_empty: read.said == 0,
            });
        };
        let metadata = encoding::path(base, metadata);
        let described = Metadata::read(&metadata)?;
        if described.size != input.size() {
            let (is, said) = (input.size(), described.size);
            let what = format!(
                "the metadata is another layer's: it says {said} bytes, and there are {is} in"
            );
            return Err(Error::input(what).at(path).hint(format!(
                "give each layer its own metadata, in the same order; this one's is `{}`",
                metadata.display()
            )));
        }
        let Metadata { media_type, digest, size, diff_id, annotations, history } = described;
        let is_empty = EMPTY.contains(&&*diff_id.to_string());
        Ok(Self { input, name, media_type, digest, size, diff_id, annotations, history, is_empty })
    }

    /// The layer's descriptor.
    pub(super) fn descriptor(&self) -> Result<Descriptor> {
        let mut descriptor = super::describe(self.media_type.clone(), self.digest, self.size)?;
        if !self.annotations.is_empty() {
            descriptor.set_annotations(Some(self.annotations.clone().into_iter().collect()));
        }
        Ok(descriptor)
    }

    /// Where it is, for people.
    pub(super) fn path(&self) -> String {
        self.input.path().display().to_string()
    }
}

impl Metadata {
    fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path, LARGEST)?;
        let metadata: Self = serde_json::from_slice(&bytes).map_err(|source| {
            Error::input("not the metadata of a layer:")
                .at(path)
                .because(source)
                .hint("`pylayer layer --metadata=FILE` writes it")
        })?;
        let known = [Codec::None, Codec::Gzip, Codec::Zstd].map(Codec::media_type);
        if !known.contains(&metadata.media_type.as_ref()) {
            let what = format!("`{}` is no layer's media type, in", metadata.media_type);
            return Err(Error::input(what)
                .at(path)
                .hint(format!("an image's layers have one of {}", known.join(", "))));
        }
        let layers = metadata.history.iter().filter(|entry| entry.empty_layer() != Some(true));
        if !metadata.history.is_empty() && layers.count() != 1 {
            let what = "the history has not one entry for the layer itself, in";
            return Err(Error::input(what).at(path));
        }
        Ok(metadata)
    }
}
