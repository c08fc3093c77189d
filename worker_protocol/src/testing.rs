//! A Bazel in memory, for tests of a handler: by hand, or with everything that a Bazel may do, in
//! schedules from seeds.
//!
//! ```
//! use worker_protocol::messages::WorkRequest;
//! use worker_protocol::testing::Bazel;
//! use worker_protocol::{Context, Options, Reply, Request};
//!
//! let handler = |request: &Request, _: &Context| Ok(Reply::text(request.arguments.concat()));
//! let mut bazel = Bazel::start(handler, Options::default());
//! bazel.send(WorkRequest { request_id: 7, ..WorkRequest::default() });
//! assert_eq!(bazel.receive().unwrap().request_id, 7);
//! bazel.cancel(7); // too late: no answer
//! bazel.close();
//! assert!(bazel.end().is_clean());
//! ```

use std::future::pending;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use crate::codec::MAX_FRAME;
use crate::handler::Handler;
use crate::messages::{WorkRequest, WorkResponse};
use crate::options::Options;
use crate::runtime::{Ends, Exit, ServeError, serve_until};

pub use schedule::{Schedule, Step};

/// What a stream holds before its writer has to wait, in bytes: as a pipe's.
const PIPE: usize = 64 << 10;

/// A worker in this process, and the Bazel that uses it. The worker speaks protobuf.
///
/// Methods panic where a Bazel would give up; nothing waits for a time.
#[derive(Debug)]
pub struct Bazel {
    runtime: Runtime,
    to_worker: Option<DuplexStream>,
    from_worker: Option<DuplexStream>,
    arrived: bytes::BytesMut,
    sent: u64,
    last_seen: u64,
    seen: Receiver<u64>,
    signal: Option<oneshot::Sender<i32>>,
    worker: JoinHandle<Result<Exit, ServeError>>,
}

/// How a worker ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct End {
    /// What [`serve`](crate::serve) returns.
    pub result: Result<Exit, ServeError>,
    /// The answers that nobody had asked for yet.
    pub unread: Vec<WorkResponse>,
}

impl End {
    /// Whether the worker ended well and had nothing more to say.
    pub fn is_clean(&self) -> bool {
        matches!(self.result, Ok(Exit::Clean)) && self.unread.is_empty()
    }
}

impl Bazel {
    /// Starts a worker.
    pub fn start(handler: impl Handler, options: Options) -> Self {
        let (to_worker, input) = duplex(PIPE);
        let (from_worker, output) = duplex(PIPE);
        let (tell, seen) = mpsc::channel();
        let (signal, signalled) = oneshot::channel();
        let worker = thread::spawn(move || {
            let runtime = runtime();
            let signal = async {
                match signalled.await {
                    Ok(signal) => signal,
                    Err(_) => pending().await,
                }
            };
            let ends = Ends { signal, gone: pending() };
            // Nobody may wait for what was seen.
            let seen = |count| _ = tell.send(count);
            let served = serve_until(handler, input, output, options, ends, seen);
            let result = runtime.block_on(served);
            runtime.shutdown_background();
            result
        });
        Self {
            runtime: runtime(),
            to_worker: Some(to_worker),
            from_worker: Some(from_worker),
            arrived: bytes::BytesMut::new(),
            sent: 0,
            last_seen: 0,
            seen,
            signal: Some(signal),
            worker,
        }
    }

    /// Sends bytes, which may be no message. A worker that has ended does not take them.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        if let Some(to_worker) = &mut self.to_worker {
            drop(self.runtime.block_on(to_worker.write_all(bytes)));
        }
    }

    /// Sends a request.
    pub fn send(&mut self, request: impl Into<WorkRequest>) {
        self.sent += 1;
        self.send_bytes(&request.into().encode_length_delimited_to_vec());
    }

    /// Sends a cancel for the request with this number.
    pub fn cancel(&mut self, request_id: i32) {
        self.send(WorkRequest { request_id, cancel: true, ..WorkRequest::default() });
    }

    /// Waits until the worker has taken in all requests and cancels that were sent: what is due
    /// to running requests because of them has happened.
    ///
    /// # Panics
    ///
    /// The worker has ended.
    pub fn seen(&mut self) {
        while self.last_seen < self.sent {
            self.last_seen = self.seen.recv().expect("the worker has not ended");
        }
    }

    /// Waits for the next answer; `None` once the worker has ended.
    ///
    /// # Panics
    ///
    /// What comes is no answer.
    pub fn receive(&mut self) -> Option<WorkResponse> {
        let from_worker = self.from_worker.as_mut()?;
        loop {
            let frame = crate::codec::take_frame(&mut self.arrived, MAX_FRAME);
            if let Some(body) = frame.expect("frames") {
                return Some(WorkResponse::decode(body).expect("responses"));
            }
            let read = self.runtime.block_on(from_worker.read_buf(&mut self.arrived));
            if read.expect("memory can be read") == 0 {
                assert!(self.arrived.is_empty(), "half an answer");
                return None;
            }
        }
    }

    /// Ends the worker's input.
    pub fn close(&mut self) {
        self.to_worker = None;
    }

    /// Stops reading answers, as a Bazel that has died.
    pub fn hang_up(&mut self) {
        self.from_worker = None;
    }

    /// Sends the worker a signal: nothing but its number, this process does not get it.
    pub fn signal(&mut self, number: i32) {
        if let Some(signal) = self.signal.take() {
            _ = signal.send(number);
        }
    }

    /// Ends the worker's input and waits for its end.
    ///
    /// # Panics
    ///
    /// The worker has panicked.
    pub fn end(mut self) -> End {
        self.close();
        let unread = std::iter::from_fn(|| self.receive()).collect();
        End { result: self.worker.join().expect("the worker does not panic"), unread }
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be built")
}

mod schedule;
