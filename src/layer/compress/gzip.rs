//! Gzip members (RFC 1952), by libdeflate: the ten plain header bytes, no name, no clock.

use libdeflater::CompressionLvl;

use crate::error::{Error, Fault, Result};

/// libdeflate's level for each of zlib's nine, by which users know gzip: the cheapest one whose
/// members are at most 1 % larger than zlib's (measured on pure-Python and on binary wheels).
const LEVELS: [i32; 9] = [1, 1, 2, 3, 4, 5, 6, 7, 9];

/// The codec's version: another one may give other bytes. Pinned in `Cargo.lock`.
pub(super) const VERSION: &str = "libdeflate-sys 1.26.1";

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

/// The member's content to `output`; none if it is no member, or holds more.
pub(super) fn decompress(member: &[u8], output: &mut [u8]) -> Option<usize> {
    libdeflater::Decompressor::new().gzip_decompress(member, output).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_that_is_linked() {
        let lock = include_str!("../../../Cargo.lock");
        let (name, version) = VERSION.split_once(' ').unwrap();
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")));
    }
}
