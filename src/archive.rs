//! Reading layers, whoever made them: members, entries, digests.
//!
//! A layer is read once, from its first byte to its last, and memory grows with its entries and
//! members alone.

mod codec;
mod entries;
mod members;
mod source;

pub use entries::{Entry, Kind, Layer, Record, show};
pub use members::{Blob, FinishedBlob, Member};
