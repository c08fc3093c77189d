//! How a layer is compressed, as its first bytes say.

use crate::layer::compress::Codec;

/// The length of a block of an archive, in bytes.
pub(super) const BLOCK: usize = 512;

/// What a blob that begins with these bytes is; none if it is no layer.
pub(super) fn detect(start: &[u8]) -> Option<Codec> {
    match start {
        [0x1f, 0x8b, ..] => Some(Codec::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Codec::Zstd),
        _ => is_archive(&start[..start.len().min(BLOCK)]).then_some(Codec::None),
    }
}

/// Whether an archive may begin with this block: nothing, zeros, or a header, whose checksum is
/// right (POSIX, pax).
pub(super) fn is_archive(block: &[u8]) -> bool {
    if block.iter().all(|&byte| byte == 0) {
        return true;
    }
    if block.len() < BLOCK {
        return false;
    }
    let byte =
        |(at, &byte): (usize, &u8)| u32::from(if (148..156).contains(&at) { b' ' } else { byte });
    let sum: u32 = block.iter().enumerate().map(byte).sum();
    tar::Header::from_byte_slice(block).cksum().is_ok_and(|stated| stated == sum)
}

/// Whether these bytes begin a zstd frame without content.
pub(super) fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}
