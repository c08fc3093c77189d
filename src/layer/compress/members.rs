//! From some of a layer's bytes to members: one for each part, each by itself.

use std::cell::RefCell;

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

/// A thread's tools, kept from one buffer to the next.
#[derive(Default)]
struct Tools {
    compressor: Option<Compressor>,
    verifier: Option<StreamVerifier>,
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
        let Tools { compressor, verifier } = tools;
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
                (None, Some(compressor)) => compressor.compress(content, room)?,
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
