//! The arguments of `pylayer inspect`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::flags;
use crate::oci::Platform;

/// Says what is in a layer or an image: bytes, members, digests, and what is there twice
#[derive(Debug, Parser)]
#[command(
    after_help = "Compressed sizes are shares of the gzip members or zstd frames that the files are in."
)]
pub struct InspectRequest {
    /// A layer, uncompressed or compressed by gzip or zstd, a segment of `pylayer segment`, or a
    /// folder that is an OCI image layout
    #[arg(value_name = "FILE")]
    pub(super) file: OsString,
    /// Answers in JSON, with every entry and exact numbers
    #[arg(long)]
    pub(super) json: bool,
    /// How many rows the tables have at most
    #[arg(long, value_name = "ROWS", default_value = "15")]
    pub(super) limit: usize,
    /// Which image of a layout is meant
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = flags::parsed::<Platform>)]
    pub(super) platform: Option<Platform>,
    /// Writes a page in place of the tables: one HTML file that needs nothing else
    #[arg(long, value_name = "FILE.html", conflicts_with = "json")]
    pub(super) report: Option<OsString>,
    /// The page says what changed since this layer or layout
    #[arg(long, value_name = "FILE", requires = "report")]
    pub(super) against: Option<OsString>,
    /// The page says which layers this layout has in common; may be repeated
    #[arg(long, value_name = "DIR", requires = "report")]
    pub(super) other: Vec<OsString>,
}

impl InspectRequest {
    /// The page that will be written.
    pub fn target(&self, base: &Path) -> Option<PathBuf> {
        self.report.as_ref().map(|report| base.join(report))
    }
}
