//! Gzip members (RFC 1952), by libdeflate: the ten plain header bytes, no name, no clock.

use libdeflater::CompressionLvl;

use crate::error::{Error, Fault, Result};

/// Makes gzip members at one level.
pub(super) struct Compressor(libdeflater::Compressor);

impl Compressor {
    pub(super) fn new(level: u8) -> Result<Self> {
        match CompressionLvl::new(level.into()) {
            Ok(level) => Ok(Self(libdeflater::Compressor::new(level))),
            Err(_) => Err(Error::new(Fault::Internal, format!("no gzip level {level}"))),
        }
    }

    pub(super) fn compress(&mut self, member: &[u8], output: &mut Vec<u8>) -> Result<usize> {
        let bound = self.0.gzip_compress_bound(member.len());
        if output.len() < bound {
            output.resize(bound, 0);
        }
        self.0
            .gzip_compress(member, output)
            .map_err(|_| Error::new(Fault::Internal, "a gzip member exceeded its bound"))
    }
}
