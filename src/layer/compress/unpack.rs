//! From members that come in pieces to their content.

use std::collections::VecDeque;
use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use super::{Compression, MEMBER, gzip, room};

/// Bytes of a large member that are unpacked at a time.
const PIECE: usize = 64 << 10;

/// Members of known lengths that are being unpacked.
#[derive(Debug)]
pub struct Unpacking {
    compression: Compression,
    /// The lengths of those that are not complete yet, compressed and uncompressed, in bytes.
    left: VecDeque<(u32, u32)>,
    /// What has come of the first of them, if it is unpacked as a whole.
    compressed: Vec<u8>,
    content: Vec<u8>,
    /// How far the first of them is, if it is unpacked in pieces.
    large: Option<Large>,
}

/// A gzip member that is too large to be held, taken whole from a wheel.
struct Large {
    inflate: Decompress,
    /// Bytes that have come, header and trailer included.
    come: usize,
    ended: bool,
}

impl fmt::Debug for Large {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Large").field("come", &self.come).finish_non_exhaustive()
    }
}

impl Unpacking {
    /// Begins with the first member.
    pub fn new(compression: Compression, lengths: Vec<(u32, u32)>) -> Self {
        let (compressed, content) = (Vec::new(), Vec::new());
        Self { compression, left: lengths.into(), compressed, content, large: None }
    }

    /// Gives the content of the next bytes to `sink`; false if they do not belong to such members.
    pub fn unpack(&mut self, mut piece: &[u8], sink: &mut dyn FnMut(&[u8])) -> bool {
        while !piece.is_empty() {
            let Some(&(compressed, uncompressed)) = self.left.front() else {
                return false;
            };
            let (compressed, uncompressed) = (compressed as usize, uncompressed as usize);
            let come = self.large.as_ref().map_or(self.compressed.len(), |large| large.come);
            let (more, rest) = piece.split_at((compressed - come).min(piece.len()));
            piece = rest;
            let complete = come + more.len() == compressed;
            let sound = if uncompressed > MEMBER {
                self.large(more, complete.then_some(uncompressed), sink)
            } else {
                self.compressed.extend_from_slice(more);
                !complete || self.whole(uncompressed, sink)
            };
            if !sound {
                return false;
            }
            if complete {
                self.left.pop_front();
            }
        }
        true
    }

    /// Whether all members are unpacked.
    pub fn is_complete(&self) -> bool {
        self.left.is_empty()
    }

    fn whole(&mut self, length: usize, sink: &mut dyn FnMut(&[u8])) -> bool {
        let Self { compression, compressed, content, .. } = self;
        let content = compression.decompress(compressed, length, content);
        content.map(sink).is_some() && {
            compressed.clear();
            true
        }
    }

    /// Unpacks more of a large member; all of it, if `length` says how long its content is.
    fn large(&mut self, more: &[u8], length: Option<usize>, sink: &mut dyn FnMut(&[u8])) -> bool {
        if !matches!(self.compression, Compression::Gzip(_)) {
            return false;
        }
        let large = self.large.get_or_insert_with(|| Large {
            inflate: Decompress::new(false),
            come: 0,
            ended: false,
        });
        let header = gzip::HEADER.len().saturating_sub(large.come).min(more.len());
        large.come += more.len();
        let mut more = &more[header..];
        let content = room(&mut self.content, 0, PIECE);
        while !more.is_empty() && !large.ended {
            let inflate = &mut large.inflate;
            let (taken, given) = (inflate.total_in(), inflate.total_out());
            let Ok(status) = inflate.decompress(more, content, FlushDecompress::None) else {
                return false;
            };
            let [taken, given] = [inflate.total_in() - taken, inflate.total_out() - given]
                .map(|count| usize::try_from(count).unwrap_or(usize::MAX));
            large.ended = status == Status::StreamEnd;
            if taken == 0 && given == 0 && !large.ended {
                return false;
            }
            sink(&content[..given]);
            more = &more[taken..];
        }
        // What comes after the stream is the trailer.
        match length {
            Some(length) => {
                let done = large.ended && large.inflate.total_out() == length as u64;
                self.large = None;
                done
            }
            None => true,
        }
    }
}
