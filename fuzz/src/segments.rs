//! Segments read back: members of any lengths and any bytes, in any pieces.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pylayer::layer::compress::{Compression, MEMBER, Unpacking};

#[derive(Arbitrary, Debug)]
struct Segment {
    compression: u8,
    members: Vec<(u32, u32)>,
    bytes: Vec<u8>,
    piece: u8,
}

fn unpack(segment: &Segment, compression: Compression, piece: usize) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let mut room = vec![0; MEMBER];
    let mut unpacking = Unpacking::new(compression, segment.members.clone());
    for mut piece in segment.bytes.chunks(piece) {
        while !piece.is_empty() {
            let (taken, given) = unpacking.unpack(piece, &mut room)?;
            assert!(taken > 0 || given > 0);
            content.extend_from_slice(&room[..given]);
            piece = &piece[taken..];
        }
    }
    unpacking.is_complete().then_some(content)
}

fuzz_target!(|segment: Segment| {
    let compression = match segment.compression % 3 {
        0 => Compression::None,
        1 => "gzip:6".parse().unwrap(),
        _ => "zstd:3".parse().unwrap(),
    };
    let whole = unpack(&segment, compression, usize::MAX);
    assert_eq!(whole, unpack(&segment, compression, usize::from(segment.piece) + 1));
    if let Some(content) = whole {
        let lengths = segment.members.iter().map(|&(_, length)| u64::from(length));
        assert_eq!(content.len() as u64, lengths.sum::<u64>());
    }
});
