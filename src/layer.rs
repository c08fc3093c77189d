//! What a layer is: from a valid [`LayerSpec`] to the bytes of a blob.
//!
//! ```text
//! LayerSpec ──plan──▶ Plan ──segment──▶ archive bytes ──compress──▶ members
//!   spec      walk, links, order    tar                   compress
//! ```
//!
//! [`plan`] looks at names, kinds, and link texts; [`segment`] reads contents. No clock,
//! environment variable, or hash map's order can reach the bytes.

pub mod compress;
pub(crate) mod filter;
mod links;
pub mod metadata;
mod node;
mod paths;
pub mod plan;
mod sandbox;
pub mod segment;
pub mod spec;
pub mod tar;
mod walk;
pub mod warnings;
pub mod wheel;

pub use filter::Filter;
pub use spec::LayerSpec;
pub use warnings::Warnings;

/// Asks whether the work is still wanted; an error means that it is not.
pub type CancelCheck<'a> = &'a (dyn Fn() -> crate::error::Result<()> + Sync);
