//! From members that come in pieces to their content.

use std::collections::VecDeque;
use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Compression, MEMBER, gzip};

/// Members of known lengths that are being unpacked.
#[derive(Debug)]
pub struct Unpacking {
    compression: Compression,
    /// The lengths of those that are not complete yet, compressed and uncompressed, in bytes.
    left: VecDeque<(u32, u32)>,
    /// What has come of the first of them, if it is unpacked as a whole.
    come: Vec<u8>,
    /// How far the first of them is, if it is unpacked in pieces.
    large: Option<LargeMember>,
}

/// A gzip member that is too large to be held, taken whole from a wheel.
struct LargeMember {
    inflate: Decompress,
    /// Bytes that have come, header and trailer included.
    come: usize,
    ended: bool,
}

/// How many bytes were taken, and how many given.
#[derive(Default)]
struct Moved {
    taken: usize,
    given: usize,
}

impl fmt::Debug for LargeMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LargeMember").field("come", &self.come).finish_non_exhaustive()
    }
}

impl Unpacking {
    /// Begins with the first member.
    pub fn new(compression: Compression, lengths: Vec<(u32, u32)>) -> Self {
        Self { compression, left: lengths.into(), come: Vec::new(), large: None }
    }

    /// Unpacks the next bytes to `content`, which has room for [`MEMBER`] bytes; gives how many it
    /// took and how many it gave. It takes all of them unless their content has no room, and none
    /// of what does not belong to such members: then there is no answer.
    pub fn unpack(&mut self, piece: &[u8], content: &mut [u8]) -> Option<(usize, usize)> {
        let (mut taken, mut given) = (0, 0);
        while let Some(&(compressed, uncompressed)) = self.left.front() {
            let lengths = (compressed as usize, uncompressed as usize);
            let (piece, content) = (&piece[taken..], &mut content[given..]);
            let (more, done) = if lengths.1 > MEMBER {
                self.large(piece, lengths, content)?
            } else {
                self.whole(piece, lengths, content)?
            };
            taken += more.taken;
            given += more.given;
            if !done {
                return Some((taken, given));
            }
            self.left.pop_front();
        }
        (taken == piece.len()).then_some((taken, given))
    }

    /// Whether all members are unpacked.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty()
    }

    /// Unpacks a member once it has come and there is room for it; says whether that is so.
    fn whole(
        &mut self,
        piece: &[u8],
        (compressed, uncompressed): (usize, usize),
        content: &mut [u8],
    ) -> Option<(Moved, bool)> {
        let missing = compressed - self.come.len();
        if piece.len() < missing {
            self.come.extend_from_slice(piece);
            return Some((Moved { taken: piece.len(), given: 0 }, false));
        }
        let Some(content) = content.get_mut(..uncompressed) else {
            return Some((Moved::default(), false));
        };
        let (end, _next) = piece.split_at(missing);
        if self.come.is_empty() {
            self.compression.decompress(end, content)?;
        } else {
            self.come.extend_from_slice(end);
            self.compression.decompress(&self.come, content)?;
            self.come.clear();
        }
        Some((Moved { taken: missing, given: uncompressed }, true))
    }

    /// Unpacks more of a large member; says whether that was all of it.
    fn large(
        &mut self,
        piece: &[u8],
        (compressed, uncompressed): (usize, usize),
        content: &mut [u8],
    ) -> Option<(Moved, bool)> {
        if !matches!(self.compression, Compression::Gzip(_)) {
            return None;
        }
        let large = self.large.get_or_insert_with(|| LargeMember {
            inflate: Decompress::new(false),
            come: 0,
            ended: false,
        });
        let piece = &piece[..piece.len().min(compressed - large.come)];
        let header = gzip::HEADER.len().saturating_sub(large.come).min(piece.len());
        let mut moved = Moved { taken: header, given: 0 };
        while !large.ended && moved.taken < piece.len() && moved.given < content.len() {
            let inflate = &mut large.inflate;
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let (from, to) = (&piece[moved.taken..], &mut content[moved.given..]);
            let status = inflate.decompress(from, to, FlushDecompress::None).ok()?;
            let [taken, given] = [inflate.total_in() - before_in, inflate.total_out() - before_out]
                .map(|count| usize::try_from(count).unwrap_or(usize::MAX));
            large.ended = status == Status::StreamEnd;
            if taken == 0 && given == 0 && !large.ended {
                return None;
            }
            moved.taken += taken;
            moved.given += given;
        }
        if large.ended {
            // What comes after the stream is the trailer.
            moved.taken = piece.len();
        }
        large.come += moved.taken;
        if large.come < compressed {
            return Some((moved, false));
        }
        let done = large.ended && large.inflate.total_out() == uncompressed as u64;
        self.large = None;
        done.then_some((moved, true))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::DeflateEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::layer::compress::Compressor;

    /// A member of any length: a deflate stream between a plain header and what is no trailer.
    fn large(content: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(gzip::HEADER.to_vec(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        let mut member = encoder.finish().unwrap();
        member.extend_from_slice(&[0; 8]);
        member
    }

    fn member(compression: Compression, content: &[u8]) -> Vec<u8> {
        if content.len() > MEMBER {
            return large(content);
        }
        let Some(mut compressor) = Compressor::new(compression).unwrap() else {
            return content.to_vec();
        };
        let mut output = vec![0; content.len() + content.len() / 64 + 1024];
        let length = compressor.compress(content, &mut output).unwrap();
        output.truncate(length);
        output
    }

    /// The content of members that come in pieces.
    fn unpack(mut unpacking: Unpacking, bytes: &[u8], piece: usize) -> Option<Vec<u8>> {
        let (mut content, mut room) = (Vec::new(), vec![0; MEMBER]);
        for mut piece in bytes.chunks(piece) {
            while !piece.is_empty() {
                let (taken, given) = unpacking.unpack(piece, &mut room)?;
                assert!(taken > 0 || given > 0);
                content.extend_from_slice(&room[..given]);
                piece = &piece[taken..];
            }
        }
        unpacking.is_complete().then_some(content)
    }

    fn check(compression: Compression, contents: &[Vec<u8>], piece: usize) {
        let members: Vec<Vec<u8>> =
            contents.iter().map(|content| member(compression, content)).collect();
        let length = |bytes: &Vec<u8>| u32::try_from(bytes.len()).unwrap();
        let lengths: Vec<(u32, u32)> =
            members.iter().map(length).zip(contents.iter().map(length)).collect();
        let bytes = members.concat();
        let unpacking = |lengths: &[(u32, u32)]| Unpacking::new(compression, lengths.to_vec());
        assert!(unpack(unpacking(&lengths), &bytes, piece) == Some(contents.concat()));

        let wrong = |change: fn(&mut (u32, u32))| {
            let mut lengths = lengths.clone();
            lengths.last_mut().map(change);
            unpack(unpacking(&lengths), &bytes, piece)
        };
        assert!(wrong(|last| last.0 -= 1).is_none(), "a member that is too short");
        assert!(wrong(|last| last.0 += 1).is_none(), "a member that is too long");
        assert!(wrong(|last| last.1 += 1).is_none(), "content that is too short");
        assert!(wrong(|last| last.1 -= 1).is_none(), "content that is too long");
        assert!(unpack(unpacking(&lengths[1..]), &bytes, piece).is_none(), "a member too many");
    }

    #[test]
    fn content_without_room_is_given_later() {
        // Of zeros more than there is room for comes in one piece.
        let zeros = |length: usize| vec![0; length];
        let mixed = [zeros(MEMBER), zeros(3 * MEMBER + 5), zeros(MEMBER - 1), zeros(2)];
        check("gzip:6".parse().unwrap(), &mixed, usize::MAX);
        check("gzip:6".parse().unwrap(), &mixed, 700);
        check("zstd:3".parse().unwrap(), &[zeros(MEMBER), zeros(MEMBER), zeros(9)], usize::MAX);
    }

    proptest! {
        #[test]
        fn pieces_of_any_length_give_the_same_content(
            contents in proptest::collection::vec(
                proptest::collection::vec(any::<u8>(), 1..3000), 1..6),
            compression in proptest::sample::select(vec!["none", "gzip:6", "zstd:3"]),
            piece in 1_usize..9000,
        ) {
            check(compression.parse().unwrap(), &contents, piece);
        }
    }
}
