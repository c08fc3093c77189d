//! OCI image layouts: what is in one, and the parts that an image consists of.
//!
//! Descriptors, manifests, and indexes are `oci-spec`'s types. A config keeps what its types do not
//! know, such as Docker's `Healthcheck`: it is added to, and must not lose anything.

mod config;
mod layout;
mod platform;

pub use config::{Config, RunConfig};
pub use layout::{Image, Layout, Name, REF_NAME};
pub use oci_spec::image::{Descriptor, History, ImageIndex, ImageManifest, MediaType};
pub use platform::Platform;

use serde::Serialize;

use crate::error::{Error, Fault, Result};

/// A value as JSON: without spaces, every object's keys sorted, so that no map's order shows.
pub fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    // A `serde_json::Value` has its keys sorted.
    serde_json::to_value(value)
        .and_then(|value| serde_json::to_vec(&value))
        .map_err(|source| Error::new(Fault::Internal, "an image as JSON").because(source))
}
