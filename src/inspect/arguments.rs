//! The arguments of `pylayer inspect`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser};

use crate::error::Result;
use crate::flags;
use crate::oci::Platform;

const HINT: &str = "`pylayer inspect --help` lists the flags";

/// Says what is in a layer or an image: bytes by package and directory, members, digests, the
/// largest files, and what is there twice.
///
/// Compressed sizes are shares of the gzip members or zstd frames that the files are in.
#[derive(Debug, Parser)]
#[command(name = "pylayer inspect", no_binary_name = true, disable_version_flag = true)]
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
    /// Reads the arguments after `inspect`.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        Self::try_parse_from(arguments).map_err(|error| flags::refused(&error, HINT))
    }

    /// The page that will be written.
    pub fn target(&self, base: &Path) -> Option<PathBuf> {
        self.report.as_ref().map(|report| base.join(report))
    }
}

/// The help of `pylayer inspect`.
pub fn help() -> String {
    InspectRequest::command().render_long_help().to_string()
}
