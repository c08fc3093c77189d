//! In which form requests and responses are written.

use std::io::{BufReader, Read};

use prost::Message as _;

use crate::codec::{self, FrameError, Incoming};
#[cfg(feature = "json")]
use crate::json;
use crate::messages::WorkResponse;

/// Every so many bytes of requests cost one system call.
const READ_BUFFER: usize = 64 << 10;

/// The form of messages, which an action asks for by the execution requirement
/// `requires-worker-protocol`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// `proto`, which is what Bazel speaks unless it is told to do otherwise: see [`codec`].
    #[default]
    Protobuf,
    /// `json`: for Bazel 5.1 and later, or with `--experimental_worker_allow_json_protocol`. Some
    /// remote executors do not speak it.
    #[cfg(feature = "json")]
    Json,
}

impl Protocol {
    /// Reads a request of at most `limit` bytes with each call, until there is none.
    pub(crate) fn requests(
        self,
        input: impl Read + Send + 'static,
        limit: u64,
    ) -> Box<dyn FnMut() -> Result<Option<Incoming>, FrameError>> {
        match self {
            Self::Protobuf => {
                let mut input = BufReader::with_capacity(READ_BUFFER, input);
                Box::new(move || codec::read_request(&mut input, limit))
            }
            #[cfg(feature = "json")]
            Self::Json => Box::new(json::requests(input, limit)),
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
