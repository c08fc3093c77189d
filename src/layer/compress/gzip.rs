//! Gzip members (RFC 1952), by libdeflate: the ten plain header bytes, no name, no clock.

use libdeflater::CompressionLvl;

use crate::error::{Error, Fault, Result};

/// libdeflate's level for each of zlib's nine, by which users know gzip: the cheapest one whose
/// members are at most 1 % larger than zlib's (measured on pure-Python and on binary wheels).
const LEVELS: [i32; 9] = [1, 1, 2, 3, 4, 5, 6, 7, 9];

/// The header of a member whose deflate stream is somebody else's (RFC 1952, 2.3): no flags, no
/// clock, no word on how it was compressed, and the operating system unknown.
pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A member's end (RFC 1952, 2.3.1): CRC-32 and length of its content, the latter modulo 2^32.
pub(super) fn trailer(crc: u32, length: u64) -> [u8; 8] {
    let mut trailer = [0; 8];
    trailer[..4].copy_from_slice(&crc.to_le_bytes());
    trailer[4..].copy_from_slice(&length.to_le_bytes()[..4]);
    trailer
}

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

    pub(super) fn compress(&mut self, member: &[u8], output: &mut [u8]) -> Result<usize> {
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
