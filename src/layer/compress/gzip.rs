//! Gzip members (RFC 1952), by libdeflate: the ten plain header bytes, no name, no clock.

use libdeflater::CompressionLvl;

use crate::error::{Error, Fault, Result};

/// libdeflate's level for each of zlib's nine, by which users know gzip: the cheapest one whose
/// members are at most 1 % larger than zlib's (measured on pure-Python and on binary wheels).
const LEVELS: [i32; 9] = [1, 1, 2, 3, 4, 5, 6, 7, 9];

/// Makes gzip members at one level.
pub(super) struct Compressor(libdeflater::Compressor);

impl Compressor {
    pub(super) fn new(level: u8) -> Result<Self> {
        let known = usize::from(level).checked_sub(1).and_then(|index| LEVELS.get(index));
        match known.map(|&own| CompressionLvl::new(own)) {
            Some(Ok(own)) => Ok(Self(libdeflater::Compressor::new(own))),
            _ => Err(Error::new(Fault::Internal, format!("no gzip level {level}"))),
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
