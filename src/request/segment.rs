//! A `pylayer segment` request: a layer's, of one package.

use std::ffi::OsString;

use super::LayerRequest;
use crate::error::{Error, Result};

const HINT: &str = "`pylayer segment --help` lists the flags";

impl LayerRequest {
    /// Reads the arguments after `segment`: those of a layer of exactly one package.
    pub fn parse_segment(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut request = Self::parse(arguments)?;
        let wrong = |what: &str| Err(Error::usage(what).hint(HINT));
        if request.metadata.is_some() {
            return wrong("`--metadata` is for layers");
        }
        if !request.segments.is_empty() {
            return wrong("`--segment` is for layers");
        }
        let unnamed = request.packages.remove(0);
        if !unnamed.items.is_empty() {
            return wrong("a source stands before `--package`");
        }
        let mut names: Vec<_> = request.packages.iter().map(|package| &package.name).collect();
        names.dedup();
        match names.len() {
            1 => Ok(request),
            0 => wrong("`--package` is missing"),
            _ => wrong("a segment is of one `--package`"),
        }
    }
}

/// The help of `pylayer segment`.
pub fn segment_help() -> String {
    include_str!("segment_help.txt").to_owned()
}
