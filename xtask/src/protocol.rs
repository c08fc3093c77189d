//! The worker protocol as another implementation than the worker's understands it: rust-protobuf.
//!
//! What is wrong in the worker's codec is not wrong here, too. Requests are written field by
//! field, so that they can hold what no well-behaved client sends.

mod judge;
mod process;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::restriction,
    clippy::pedantic,
    clippy::nursery,
    reason = "generated; shared with worker_protocol/tests/independent"
)]
#[rustfmt::skip]
#[path = "../../worker_protocol/tests/independent/messages.rs"]
mod messages;

pub(crate) use judge::{Due, Judge};
pub(crate) use process::{Heard, Process};

use std::io::Read;

use protobuf::{CodedInputStream, CodedOutputStream, Message as _};

use crate::shell::{Context as _, Result, failure};

/// A `WorkRequest` whose text may be any bytes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Request {
    /// `arguments`.
    pub arguments: Vec<Vec<u8>>,
    /// `inputs`: path and digest.
    pub inputs: Vec<(Vec<u8>, Vec<u8>)>,
    /// `request_id`.
    pub id: i32,
    /// `cancel`.
    pub cancel: bool,
    /// `verbosity`.
    pub verbosity: i32,
    /// `sandbox_dir`.
    pub sandbox_dir: Vec<u8>,
    /// Fields that no Bazel has yet, by number: bytes.
    pub unknown: Vec<(u32, Vec<u8>)>,
    /// What is sent in place of all that, its length included.
    pub wire: Option<Vec<u8>>,
}

/// A `WorkResponse`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Response {
    /// `request_id`.
    pub id: i32,
    /// `exit_code`.
    pub exit_code: i32,
    /// `output`.
    pub output: String,
    /// `was_cancelled`.
    pub was_cancelled: bool,
}

impl Request {
    /// The message on the wire, after its length.
    pub fn frame(&self) -> Result<Vec<u8>> {
        match &self.wire {
            Some(wire) => Ok(wire.clone()),
            None => frame(&self.body().context("cannot encode a request")?),
        }
    }

    fn body(&self) -> protobuf::Result<Vec<u8>> {
        let mut body = Vec::new();
        let mut out = CodedOutputStream::vec(&mut body);
        for argument in &self.arguments {
            out.write_bytes(1, argument)?;
        }
        for (path, digest) in &self.inputs {
            let mut input = Vec::new();
            let mut fields = CodedOutputStream::vec(&mut input);
            for (number, value) in [(1, path), (2, digest)] {
                if !value.is_empty() {
                    fields.write_bytes(number, value)?;
                }
            }
            fields.flush()?;
            drop(fields);
            out.write_bytes(2, &input)?;
        }
        // As in proto3: a default is not written.
        if self.id != 0 {
            out.write_int32(3, self.id)?;
        }
        if self.cancel {
            out.write_bool(4, true)?;
        }
        if self.verbosity != 0 {
            out.write_int32(5, self.verbosity)?;
        }
        if !self.sandbox_dir.is_empty() {
            out.write_bytes(6, &self.sandbox_dir)?;
        }
        for (number, value) in &self.unknown {
            out.write_bytes(*number, value)?;
        }
        out.flush()?;
        drop(out);
        Ok(body)
    }

    /// Reads a message, if it is one and nothing of it would be lost.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        let message = messages::WorkRequest::parse_from_bytes(body).ok()?;
        let bytes = String::into_bytes;
        let request = Self {
            arguments: message.arguments.into_iter().map(bytes).collect(),
            inputs: message.inputs.into_iter().map(|i| (i.path.into_bytes(), i.digest)).collect(),
            id: message.request_id,
            cancel: message.cancel,
            verbosity: message.verbosity,
            sandbox_dir: message.sandbox_dir.into_bytes(),
            unknown: Vec::new(),
            wire: None,
        };
        (request.body().ok()? == body).then_some(request)
    }

    /// Whether all text is UTF-8, as a worker may demand. What is on the wire instead may be
    /// anything.
    pub(crate) fn is_text(&self) -> bool {
        if self.wire.is_some() {
            return false;
        }
        let inputs = self.inputs.iter().map(|(path, _)| path);
        let mut texts = self.arguments.iter().chain(inputs).chain([&self.sandbox_dir]);
        texts.all(|text| std::str::from_utf8(text).is_ok())
    }
}

impl Response {
    /// Reads a message. Text that is not UTF-8 and fields that Bazel does not know are errors.
    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        let message = messages::WorkResponse::parse_from_bytes(body);
        let message = message.context("the worker's answer is no WorkResponse")?;
        if message.special_fields.unknown_fields().iter().next().is_some() {
            return Err(failure("the worker's answer has fields that Bazel does not know"));
        }
        Ok(Self {
            id: message.request_id,
            exit_code: message.exit_code,
            output: message.output,
            was_cancelled: message.was_cancelled,
        })
    }
}

/// A message after its length.
pub(crate) fn frame(body: &[u8]) -> Result<Vec<u8>> {
    let mut frame = Vec::new();
    let mut out = CodedOutputStream::vec(&mut frame);
    let written = u32::try_from(body.len())
        .context("a message is too long")
        .and_then(|length| out.write_raw_varint32(length).context("cannot write a length"));
    out.flush().context("cannot write a length")?;
    drop(out);
    written?;
    frame.extend_from_slice(body);
    Ok(frame)
}

/// Messages, each after its length.
pub(crate) struct Frames<'a>(CodedInputStream<'a>);

impl<'a> Frames<'a> {
    /// The messages of a stream.
    pub(crate) fn of(stream: &'a mut dyn Read) -> Self {
        Self(CodedInputStream::new(stream))
    }

    /// The next message; none where the stream ends between two.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.0.eof().context("cannot read the next message")? {
            return Ok(None);
        }
        let length = self.0.read_raw_varint32().context("cannot read a message's length")?;
        let body = self.0.read_raw_bytes(length).context("cannot read a message")?;
        Ok(Some(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_the_generated_code_writes_them() {
        let requests = [
            Request::default(),
            Request { id: -3, cancel: true, ..Request::default() },
            Request {
                arguments: vec![b"layer".to_vec(), b"".to_vec(), "é".into()],
                inputs: vec![(b"a".to_vec(), b"ff".to_vec()), (b"b".to_vec(), vec![])],
                id: 300,
                verbosity: 10,
                sandbox_dir: b"__sandbox/1/_main".to_vec(),
                ..Request::default()
            },
        ];
        for request in requests {
            let body = request.body().unwrap();
            let theirs = messages::WorkRequest::parse_from_bytes(&body).unwrap();
            assert_eq!(theirs.write_to_bytes().unwrap(), body);
            assert_eq!(Request::read(&body), Some(request));
        }
    }

    #[test]
    fn what_would_be_lost_is_not_read() {
        for body in [&[0x18, 0x00][..], &[0x0a, 0x01, 0xff], &[0x3a, 0x01, b'x'], &[0xff]] {
            assert_eq!(Request::read(body), None, "{body:?}");
        }
    }

    #[test]
    fn frames_end_between_messages_only() {
        let mut stream = [&frame(b"").unwrap()[..], &frame(&[7; 300]).unwrap(), &[5, 1]].concat();
        let mut input = &*stream.clone();
        let mut frames = Frames::of(&mut input);
        assert_eq!(frames.next().unwrap(), Some(vec![]));
        assert_eq!(frames.next().unwrap(), Some(vec![7; 300]));
        assert!(frames.next().is_err());
        stream.truncate(1);
        let mut input = &*stream;
        let mut frames = Frames::of(&mut input);
        assert_eq!(frames.next().unwrap(), Some(vec![]));
        assert_eq!(frames.next().unwrap(), None);
    }
}
