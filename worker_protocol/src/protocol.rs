//! In which form requests and responses are written, and how the worker reads them.

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::codec::{self, FrameError};
#[cfg(feature = "json")]
use crate::json;
use crate::messages::{WorkRequest, WorkResponse};

/// How many bytes of requests cost one system call.
const READ_BUFFER: usize = 64 << 10;

/// The form of messages, which an action asks for by the execution requirement
/// `requires-worker-protocol`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// `proto`, which is what Bazel speaks unless it is told to do otherwise: see [`codec`].
    #[default]
    Protobuf,
    /// `json`, where an action asks for it by `requires-worker-protocol`. Some
    /// remote executors do not speak it.
    #[cfg(feature = "json")]
    Json,
}

/// A message from Bazel, read as far as the event loop has to know it.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) id: i32,
    pub(crate) cancel: bool,
    /// The whole message.
    pub(crate) body: Bytes,
}

/// The fields that are needed to route a message; all others are skipped unseen.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Envelope {
    #[prost(int32, tag = "3")]
    request_id: i32,
    #[prost(bool, tag = "4")]
    cancel: bool,
}

impl Protocol {
    fn route(self, body: Bytes) -> Result<Incoming, FrameError> {
        let (id, cancel) = match self {
            // A message without a number could not be answered, and Bazel would wait for ever.
            Self::Protobuf => Envelope::decode(&*body)
                .map(|Envelope { request_id, cancel }| (request_id, cancel))
                .map_err(FrameError::Malformed)?,
            #[cfg(feature = "json")]
            Self::Json => json::route(&body),
        };
        Ok(Incoming { id, cancel, body })
    }

    /// Reads a whole request; the error says what is wrong with it.
    pub(crate) fn decode(self, body: &[u8]) -> Result<WorkRequest, String> {
        match self {
            Self::Protobuf => codec::decode_request(body),
            #[cfg(feature = "json")]
            Self::Json => json::decode(body),
        }
    }

    /// The bytes of a response.
    pub(crate) fn encode(self, response: &WorkResponse) -> Vec<u8> {
        match self {
            Self::Protobuf => response.encode_length_delimited_to_vec(),
            #[cfg(feature = "json")]
            Self::Json => json::encode(response),
        }
    }
}

/// The messages of a stream.
#[derive(Debug)]
pub(crate) struct Messages<R> {
    input: R,
    arrived: BytesMut,
    protocol: Protocol,
    limit: u64,
    #[cfg(feature = "json")]
    scanner: json::Scanner,
}

impl<R: AsyncRead + Unpin> Messages<R> {
    /// Messages of at most `limit` bytes.
    pub(crate) fn new(input: R, protocol: Protocol, limit: u64) -> Self {
        Self {
            input,
            arrived: BytesMut::new(),
            protocol,
            limit,
            #[cfg(feature = "json")]
            scanner: json::Scanner::default(),
        }
    }

    /// The next message; `None` where the stream ends between two. May be dropped and called
    /// again: nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Option<Incoming>, FrameError> {
        loop {
            if let Some(body) = self.take()? {
                // What follows does not keep the memory of a large message.
                if body.len() > READ_BUFFER {
                    self.arrived = BytesMut::from(&*self.arrived);
                }
                return self.protocol.route(body).map(Some);
            }
            self.arrived.reserve(READ_BUFFER / 2);
            let read = self.input.read_buf(&mut self.arrived).await.map_err(FrameError::Io)?;
            if read == 0 {
                return self.end().map(|()| None);
            }
        }
    }

    fn take(&mut self) -> Result<Option<Bytes>, FrameError> {
        match self.protocol {
            Protocol::Protobuf => codec::take_frame(&mut self.arrived, self.limit),
            #[cfg(feature = "json")]
            Protocol::Json => self.scanner.take(&mut self.arrived, self.limit),
        }
    }

    fn end(&self) -> Result<(), FrameError> {
        match self.protocol {
            _ if self.arrived.is_empty() => Ok(()),
            Protocol::Protobuf => Err(codec::unfinished(&self.arrived)),
            #[cfg(feature = "json")]
            Protocol::Json => Err(FrameError::Json("the input ended inside a request".to_owned())),
        }
    }
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
