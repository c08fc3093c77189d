//! Zstandard frames (RFC 8878), by libzstd: no content size, no checksum.
//!
//! A frame without its content size keeps readers that decode a whole blob at once from growing
//! their buffer frame by frame; every reader of layers streams, and needs none.

use zstd::bulk;

use crate::error::{Error, Fault, Result};

/// Makes zstd frames at one level.
pub(super) struct Compressor(bulk::Compressor<'static>);

fn fail(source: std::io::Error) -> Error {
    Error::new(Fault::Internal, "zstd failed").because(source)
}

impl Compressor {
    pub(super) fn new(level: u8) -> Result<Self> {
        let mut compressor = bulk::Compressor::new(level.into()).map_err(fail)?;
        compressor.include_contentsize(false).map_err(fail)?;
        compressor.include_checksum(false).map_err(fail)?;
        Ok(Self(compressor))
    }

    pub(super) fn compress(&mut self, member: &[u8], output: &mut [u8]) -> Result<usize> {
        self.0.compress_to_buffer(member, output).map_err(fail)
    }
}

/// The codec's version: another one may give other bytes.
pub(super) fn version() -> String {
    format!("libzstd {}", zstd::zstd_safe::version_string())
}

/// The frame's content to `output`; none if it is no frame, or holds more.
pub(super) fn decompress(frame: &[u8], output: &mut [u8]) -> Option<usize> {
    bulk::Decompressor::new().ok()?.decompress_to_buffer(frame, output).ok()
}
