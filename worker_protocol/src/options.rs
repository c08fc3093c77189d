//! What a worker may be told to do otherwise.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use crate::codec::MAX_FRAME;
use crate::protocol::Protocol;

/// What the end of input means for the requests that are not answered yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnClose {
    /// They are finished and answered, as long as somebody reads the answers: a session can be
    /// piped through. Bazel's death closes both streams, and is noticed at once.
    #[default]
    Drain,
    /// They are abandoned.
    Abandon,
}

/// What a worker may be told to do otherwise.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// How many requests run at once; the others wait. Default: as many as the
    /// process has processors.
    pub slots: NonZeroUsize,
    /// The form of messages. Default: protobuf.
    pub protocol: Protocol,
    /// The longest message accepted, in bytes. Default: [`MAX_FRAME`].
    pub max_frame: u64,
    /// What the end of input means. Default: [`OnClose::Drain`].
    pub on_close: OnClose,
    /// How long abandoned jobs may take to stop once nobody reads answers; what runs even
    /// then is left to the end of the process. Default: 700 ms.
    pub close_grace: Duration,
    /// How long the answer to a superseded request waits for its number to come again, which
    /// happens with Bazel up to 8.2: longer than Bazel takes on a busy machine to write the
    /// requests of a new build. Default: 300 ms.
    pub superseded_hold: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slots: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            protocol: Protocol::default(),
            max_frame: MAX_FRAME,
            on_close: OnClose::default(),
            close_grace: Duration::from_millis(700),
            superseded_hold: Duration::from_millis(300),
        }
    }
}

impl Options {
    /// Runs so many requests at once.
    #[must_use]
    pub fn slots(self, slots: NonZeroUsize) -> Self {
        Self { slots, ..self }
    }

    /// Speaks this protocol.
    #[must_use]
    pub fn protocol(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// Accepts messages of so many bytes.
    #[must_use]
    pub fn max_frame(self, max_frame: u64) -> Self {
        Self { max_frame, ..self }
    }

    /// Does this at the end of input.
    #[must_use]
    pub fn on_close(self, on_close: OnClose) -> Self {
        Self { on_close, ..self }
    }

    /// Waits so long for abandoned jobs.
    #[must_use]
    pub fn close_grace(self, close_grace: Duration) -> Self {
        Self { close_grace, ..self }
    }

    /// Holds the answers to superseded requests for so long.
    #[must_use]
    pub fn superseded_hold(self, superseded_hold: Duration) -> Self {
        Self { superseded_hold, ..self }
    }
}
