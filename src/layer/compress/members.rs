//! From some of a layer's bytes to members: one for each part, each by itself.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::stream::StreamVerifier;
use super::{Compression, Compressor};
use crate::error::{Error, Fault, Result};
use crate::layer::wheel::Stream;

/// A part of a buffer, which becomes one member.
#[derive(Debug)]
pub struct Part {
    /// Where it ends in the buffer, and the next one begins.
    pub end: usize,
    /// The stream that is its deflate stream already, if it turns out to be.
    pub stream: Option<Stream>,
}

/// How many small members a thread remembers.
const REMEMBERED: usize = 4;

/// The longest of them, in bytes before compression.
const LONGEST: usize = 4 << 10;

/// A thread's tools, kept from one buffer to the next.
#[derive(Default)]
struct Tools {
    compressor: Option<Compressor>,
    verifier: Option<StreamVerifier>,
    remembered: Remembered,
}

/// Small members, the last used first. Each layer ends with the same one, and many begin with one
/// that the layer before began with; to set up a compressor takes longer than to compress them.
#[derive(Default)]
struct Remembered(VecDeque<SmallMember>);

struct SmallMember {
    compression: Compression,
    content: Box<[u8]>,
    compressed: Box<[u8]>,
}

impl Remembered {
    /// Puts the member of these bytes at the start of `output`, which has room for it; gives its
    /// length.
    fn compress(
        &mut self,
        compressor: &mut Compressor,
        content: &[u8],
        output: &mut [u8],
    ) -> Result<usize> {
        if content.len() > LONGEST {
            return compressor.compress(content, output);
        }
        let compression = compressor.compression();
        let found = self.0.iter().position(|member| {
            (member.compression, &*member.content) == (compression, content)
                && member.compressed.len() <= output.len()
        });
        let member = if let Some(member) = found.and_then(|at| self.0.remove(at)) {
            output[..member.compressed.len()].copy_from_slice(&member.compressed);
            member
        } else {
            let length = compressor.compress(content, output)?;
            self.0.truncate(REMEMBERED - 1);
            SmallMember {
                compression,
                content: content.into(),
                compressed: output[..length].into(),
            }
        };
        let length = member.compressed.len();
        self.0.push_front(member);
        Ok(length)
    }
}

thread_local! {
    static TOOLS: RefCell<Tools> = RefCell::default();
}

/// Drops what this thread keeps to compress with: for a codec at a high level that is much.
pub fn forget_codecs() {
    TOOLS.take();
}

/// Makes a member of each part of an archive's bytes, one after the other at the start of `output`, which
/// has room for them and a little more; gives the length of each, compressed and
/// uncompressed, in bytes.
pub fn compress(
    compression: Compression,
    archive: &[u8],
    parts: &[Part],
    output: &mut [u8],
) -> Result<Vec<(usize, usize)>> {
    TOOLS.with_borrow_mut(|tools| {
        let Tools { compressor, verifier, remembered } = tools;
        if compressor.as_ref().is_none_or(|last| last.compression() != compression) {
            *compressor = Compressor::new(compression)?;
        }
        let (mut lengths, mut start, mut at) = (Vec::with_capacity(parts.len()), 0, 0);
        for Part { end, stream } in parts {
            let content = &archive[start..*end];
            let room = output.get_mut(at..).unwrap_or_default();
            let from_wheel = stream
                .as_ref()
                .and_then(|stream| verifier.get_or_insert_default().member(stream, content, room));
            let length = match (from_wheel, &mut *compressor) {
                (Some(length), _) => length,
                (None, Some(compressor)) => remembered.compress(compressor, content, room)?,
                (None, None) => {
                    let full = || Error::new(Fault::Internal, "a buffer is too small");
                    room.get_mut(..content.len()).ok_or_else(full)?.copy_from_slice(content);
                    content.len()
                }
            };
            lengths.push((length, content.len()));
            (start, at) = (*end, at + length);
        }
        Ok(lengths)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_small_member_is_the_same_whatever_was_compressed_before(
            turns in prop::collection::vec((0..3_usize, 0..6_usize), 1..40),
        ) {
            let codecs = [Compression::Gzip(6), Compression::Gzip(1), Compression::Zstd(3)];
            let text = |length| b"one, two ".iter().copied().cycle().take(length).collect();
            let contents: [Vec<u8>; 6] =
                [vec![], vec![0; 1024], text(1024), text(LONGEST), text(LONGEST + 1), text(9000)];
            for (codec, at) in turns {
                let (compression, content) = (codecs[codec], &contents[at]);
                let mut expected = vec![0; 2 * content.len() + 1024];
                let length = Compressor::new(compression)
                    .unwrap()
                    .unwrap()
                    .compress(content, &mut expected)
                    .unwrap();
                let mut output = vec![0; expected.len()];
                let part = Part { end: content.len(), stream: None };
                let members = compress(compression, content, &[part], &mut output).unwrap();
                prop_assert_eq!(members, [(length, content.len())]);
                prop_assert_eq!(&output[..length], &expected[..length]);
            }
        }
    }
}
