//! What `--metadata` tells about a blob: what an image's manifest and config need of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, Fault, Result};

/// A finished blob.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Blob {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of the decompressed bytes (OCI image-spec, config.md, "Layer `DiffID`").
    pub diff_id: Digest,
}

/// The metadata file; the fields' order is the order of the keys.
#[derive(Debug, Serialize)]
struct Metadata<'a> {
    #[serde(rename = "mediaType")]
    media_type: &'a str,
    digest: Digest,
    size: u64,
    diff_id: Digest,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    history: &'a [&'a str],
}

/// One JSON object on a line.
pub fn json(blob: &Blob, media_type: &str) -> Result<Vec<u8>> {
    let metadata = Metadata {
        media_type,
        digest: blob.digest,
        size: blob.size,
        diff_id: blob.diff_id,
        annotations: BTreeMap::new(),
        history: &[],
    };
    let mut json = serde_json::to_vec(&metadata)
        .map_err(|source| Error::new(Fault::Internal, "metadata as JSON").because(source))?;
    json.push(b'\n');
    Ok(json)
}
