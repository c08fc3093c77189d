//! Container image layers for Python, made inside Bazel by a persistent worker.
//!
//! One request takes one road, and each of its stations is a module:
//!
//! ```text
//! stdin ─▶ worker_protocol ─▶ service ─▶ request ─▶ pipeline ─▶ output ─▶ response
//! argv  ─▶ cli ──────────────┘                       │
//!                                     layer: walk, links, plan, tar, segment, compress
//! ```
//!
//! The library exists for the `pylayer` binary and its tests; the promises to others are the
//! command line and the layers' bytes.

pub mod archive;
pub mod cache;
pub mod cancel;
pub mod check;
pub mod cli;
pub mod diff;
pub mod digest;
pub mod error;
pub mod flags;
pub mod fs;
pub mod image;
pub mod inspect;
pub mod layer;
pub mod load;
pub mod observe;
pub mod oci;
pub mod pipeline;
pub mod request;
pub mod segment_file;
pub mod service;
pub(crate) mod sync;
pub mod workers;
