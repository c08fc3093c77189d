//! The arguments of `pylayer diff`.

use std::ffi::OsString;

use clap::Parser;

use crate::flags;
use crate::oci::Platform;

/// Says why two layers or two images differ: by entries, then by the first byte that differs
#[derive(Debug, Parser)]
#[command(
    after_help = "Exit codes: 0 they are the same; 1 they differ, or cannot be read; 2 usage; 3 the environment."
)]
pub struct DiffRequest {
    /// A layer, a segment of `pylayer segment`, or a folder that is an OCI image layout
    #[arg(value_name = "A")]
    pub(super) a: OsString,
    /// Another of the same kind
    #[arg(value_name = "B")]
    pub(super) b: OsString,
    /// Answers in JSON, with everything that differs
    #[arg(long)]
    pub(super) json: bool,
    /// How many entries of a layer are named at most
    #[arg(long, value_name = "ENTRIES", default_value = "20")]
    pub(super) limit: usize,
    /// Which image of each layout is meant
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = flags::parsed::<Platform>)]
    pub(super) platform: Option<Platform>,
}
