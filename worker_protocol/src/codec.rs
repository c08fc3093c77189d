//! Frames: a message after its own length, as `writeDelimitedTo` and
//! `parseDelimitedFrom` of Bazel's Java code write and read them.
//!
//! The length is an unsigned varint and counts the message alone. Length 0 is an
//! ordinary frame: a message whose fields all have their default. Between two
//! frames the input may end; anywhere else its end is an error.

use std::io::{self, Read, Write};

use prost::Message;

use crate::messages::{WorkRequest, WorkResponse};

/// The most bytes that a frame may claim, unless the caller says otherwise: 1 GiB.
///
/// Bazel has no limit. A request for 20,000 inputs is about 3 MB.
pub const MAX_FRAME: u64 = 1 << 30;

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
    /// The body is not a message at all: not even a `request_id` can be found.
    #[error("the body of a frame is not a message: {0}")]
    Malformed(#[source] prost::DecodeError),
    /// The JSON protocol was chosen, and what came is none of its requests.
    #[cfg(feature = "json")]
    #[error("the input is not as the JSON protocol has it: {0}")]
    Json(String),
    /// The input cannot be read.
    #[error("cannot read the next frame: {0}")]
    Io(#[source] io::Error),
}

/// A message from Bazel, as far as it can be understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// A request in order.
    Request(WorkRequest),
    /// A frame whose request number can be read, while another field cannot (text
    /// that is not UTF-8). Nothing is lost but this one request.
    Unreadable {
        /// The request's number.
        request_id: i32,
        /// What is wrong with it.
        reason: String,
    },
}

/// The fields that are needed to answer; all others are skipped unseen.
#[derive(Clone, Copy, PartialEq, Message)]
struct Envelope {
    #[prost(int32, tag = "3")]
    request_id: i32,
    #[prost(bool, tag = "4")]
    cancel: bool,
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
    let Some(length) = read_length(input)? else {
        return Ok(None);
    };
    if length > limit {
        return Err(FrameError::TooLarge { length, limit });
    }
    let mut body = Vec::new();
    read_body(input, length, &mut body)?;
    Ok(Some(body))
}

fn read_body(input: &mut impl Read, length: u64, body: &mut Vec<u8>) -> Result<(), FrameError> {
    body.reserve(usize::try_from(length.min(FIRST_ALLOCATION)).unwrap_or(0));
    let read = input.take(length).read_to_end(body).map_err(FrameError::Io)? as u64;
    if read < length {
        return Err(FrameError::Truncated { part: "body", read });
    }
    Ok(())
}

/// Reads one request; `None` where the input ends between frames.
///
/// `limit` is in bytes, as for [`read_frame`].
///
/// # Errors
///
/// Any [`FrameError`].
pub fn read_request(input: &mut impl Read, limit: u64) -> Result<Option<Incoming>, FrameError> {
    read_frame(input, limit)?.map(|body| decode_request(&body)).transpose()
}

/// Decodes a frame's body. Unknown fields are skipped: forks of Bazel add their own.
///
/// # Errors
///
/// [`FrameError::Malformed`] if not even the request's number can be read. The
/// request could not be answered then, and Bazel would wait for it forever.
pub fn decode_request(body: &[u8]) -> Result<Incoming, FrameError> {
    let error = match WorkRequest::decode(body) {
        Ok(request) => return Ok(Incoming::Request(request)),
        Err(error) => error,
    };
    let Envelope { request_id, cancel } = Envelope::decode(body).map_err(FrameError::Malformed)?;
    if cancel {
        return Ok(Incoming::Request(WorkRequest { request_id, cancel, ..WorkRequest::default() }));
    }
    Ok(Incoming::Unreadable { request_id, reason: error.to_string() })
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

/// Reads a varint, canonical or not; `None` if the input ends before its first byte.
fn read_length(input: &mut impl Read) -> Result<Option<u64>, FrameError> {
    let mut length = 0;
    for index in 0..10 {
        let Some(byte) = read_byte(input)? else {
            return if index == 0 {
                Ok(None)
            } else {
                Err(FrameError::Truncated { part: "length", read: index })
            };
        };
        // The tenth byte has room for the topmost bit alone.
        if index == 9 && byte > 1 {
            return Err(FrameError::BadLength);
        }
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some(length));
        }
    }
    Err(FrameError::BadLength)
}

fn read_byte(input: &mut impl Read) -> Result<Option<u8>, FrameError> {
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(Some(byte[0])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FrameError::Io(error)),
        }
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
