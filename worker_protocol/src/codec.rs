//! Frames: a message after its own length, as `writeDelimitedTo` and
//! `parseDelimitedFrom` of Bazel's Java code write and read them.
//!
//! The length is an unsigned varint and counts the message alone. Length 0 is an
//! ordinary frame: a message whose fields all have their default. Between two
//! frames the input may end; anywhere else its end is an error.
//!
//! The functions here block. They serve clients and tests; the worker itself reads
//! with the same rules, but without waiting.

use std::io::{self, Read, Write};

use bytes::{Buf as _, Bytes, BytesMut};
use prost::encoding::{DecodeContext, decode_key, skip_field};
use prost::{DecodeError, Message};

use crate::messages::{WorkRequest, WorkResponse};

/// The most bytes that a frame may claim, unless the caller says otherwise: 1 GiB.
///
/// Bazel has no limit. A request for 20,000 inputs is about 3 MB.
pub const MAX_FRAME: u64 = 1 << 30;

/// The most arguments and inputs that a request may have together: 2 Mi. One with more is refused,
/// and no other.
///
/// An empty one takes two bytes of a frame and 48 of memory: without this limit a frame of 60 MiB
/// takes 2.4 GB. The largest actions known have some 100,000 inputs.
pub const MAX_ITEMS: usize = 2 << 20;

/// A claimed length is believed up to here: one allocation for an ordinary request.
const FIRST_ALLOCATION: u64 = 64 << 10;

/// Why no further frame can be read. There is no way to find the next frame, so
/// each of these ends the worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The input ended inside a frame.
    #[error("the input ended inside a frame, after {read} bytes of its {part}")]
    Truncated {
        /// "length" or "body".
        part: &'static str,
        /// How many bytes of that part had arrived.
        read: u64,
    },
    /// The frame claims more bytes than allowed. None of them was read.
    #[error("a frame of {length} bytes is above the limit of {limit}")]
    TooLarge {
        /// The bytes claimed.
        length: u64,
        /// The bytes allowed.
        limit: u64,
    },
    /// The length is not a varint of at most 64 bits.
    #[error("the length of a frame is not a varint")]
    BadLength,
    /// The body is not a message. For a worker: not even a `request_id` can be found.
    #[error("the body of a frame is not a message: {0}")]
    Malformed(#[source] prost::DecodeError),
    /// The JSON protocol was chosen, and the input is no sequence of objects.
    #[cfg(feature = "json")]
    #[error("the input does not follow the JSON protocol: {0}")]
    Json(String),
    /// The input cannot be read.
    #[error("cannot read the next frame: {0}")]
    Io(#[source] io::Error),
}

/// Reads one frame's body; `None` where the input ends between frames.
///
/// `limit` is in bytes. The memory grows with the bytes that arrive, whatever
/// length is claimed. `input` is read a byte at a time for the length, so it
/// should be buffered.
///
/// # Errors
///
/// Any [`FrameError`] but `Malformed`.
pub fn read_frame(input: &mut impl Read, limit: u64) -> Result<Option<Vec<u8>>, FrameError> {
    let mut prefix = Vec::with_capacity(10);
    let length = loop {
        if let Some((length, _)) = length(&prefix, limit)? {
            break length;
        }
        let read = input.by_ref().take(1).read_to_end(&mut prefix).map_err(FrameError::Io)?;
        if read == 0 {
            return if prefix.is_empty() { Ok(None) } else { Err(unfinished(&prefix)) };
        }
    };
    let mut body = Vec::with_capacity(usize::try_from(length.min(FIRST_ALLOCATION)).unwrap_or(0));
    let read = input.take(length).read_to_end(&mut body).map_err(FrameError::Io)? as u64;
    if read < length {
        return Err(FrameError::Truncated { part: "body", read });
    }
    Ok(Some(body))
}

/// Reads one request; `None` where the input ends between frames.
///
/// `limit` is in bytes, as for [`read_frame`].
///
/// # Errors
///
/// Any [`FrameError`].
pub fn read_request(input: &mut impl Read, limit: u64) -> Result<Option<WorkRequest>, FrameError> {
    read(input, limit)
}

/// Reads one response; `None` where the input ends between frames.
///
/// `limit` is in bytes, as for [`read_frame`].
///
/// # Errors
///
/// Any [`FrameError`].
pub fn read_response(
    input: &mut impl Read,
    limit: u64,
) -> Result<Option<WorkResponse>, FrameError> {
    read(input, limit)
}

fn read<M: Message + Default>(input: &mut impl Read, limit: u64) -> Result<Option<M>, FrameError> {
    let body = read_frame(input, limit)?;
    body.map(|body| M::decode(&*body).map_err(FrameError::Malformed)).transpose()
}

/// Writes one request with a single `write_all`, then flushes.
///
/// # Errors
///
/// Whatever `output` answers; the stream is then of no further use.
pub fn write_request(output: &mut impl Write, request: &WorkRequest) -> io::Result<()> {
    output.write_all(&request.encode_length_delimited_to_vec())?;
    output.flush()
}

/// Writes one response with a single `write_all`, then flushes.
///
/// # Errors
///
/// Whatever `output` answers; the stream is then of no further use.
pub fn write_response(output: &mut impl Write, response: &WorkResponse) -> io::Result<()> {
    output.write_all(&response.encode_length_delimited_to_vec())?;
    output.flush()
}

/// Takes the first frame's body from what has arrived; `None` until all of it has.
pub(crate) fn take_frame(arrived: &mut BytesMut, limit: u64) -> Result<Option<Bytes>, FrameError> {
    let Some((length, prefix)) = length(arrived, limit)? else { return Ok(None) };
    match usize::try_from(length) {
        Ok(length) if arrived.len() - prefix >= length => {
            arrived.advance(prefix);
            Ok(Some(arrived.split_to(length).freeze()))
        }
        _ => Ok(None),
    }
}

/// Reads a request; the error says what is wrong with it.
pub(crate) fn decode_request(body: &[u8]) -> Result<WorkRequest, String> {
    let (arguments, inputs) = items(body).map_err(|error| error.to_string())?;
    check_items(arguments + inputs)?;
    let mut request = WorkRequest::default();
    // Two lists that need not grow.
    request.arguments.reserve_exact(arguments);
    request.inputs.reserve_exact(inputs);
    request.merge(body).map_err(|error| error.to_string())?;
    Ok(request)
}

/// Whether a request may have so many arguments and inputs.
pub(crate) fn check_items(items: usize) -> Result<(), String> {
    if items > MAX_ITEMS {
        return Err(format!("its {items} arguments and inputs are more than {MAX_ITEMS}"));
    }
    Ok(())
}

/// How many arguments and inputs a request has.
fn items(mut body: &[u8]) -> Result<(usize, usize), DecodeError> {
    let (mut arguments, mut inputs) = (0, 0);
    while !body.is_empty() {
        let (tag, wire_type) = decode_key(&mut body)?;
        arguments += usize::from(tag == 1);
        inputs += usize::from(tag == 2);
        skip_field(wire_type, tag, &mut body, DecodeContext::default())?;
    }
    Ok((arguments, inputs))
}

/// The error for an input that ended after these bytes of a frame.
pub(crate) fn unfinished(arrived: &[u8]) -> FrameError {
    let (part, prefix) = match length(arrived, u64::MAX) {
        Ok(Some((_, prefix))) => ("body", prefix),
        _ => ("length", 0),
    };
    FrameError::Truncated { part, read: (arrived.len() - prefix) as u64 }
}

/// The length that stands at the start of `bytes`, a varint, canonical or not, and how many bytes
/// it takes; `None` if it goes on after them.
fn length(bytes: &[u8], limit: u64) -> Result<Option<(u64, usize)>, FrameError> {
    let mut length = 0;
    for (index, byte) in bytes.iter().enumerate() {
        // The tenth byte has room for the topmost bit alone.
        if index == 9 && *byte > 1 {
            return Err(FrameError::BadLength);
        }
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if length > limit {
                return Err(FrameError::TooLarge { length, limit });
            }
            return Ok(Some((length, index + 1)));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
