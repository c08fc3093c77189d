//! The other end of the pipes: a Bazel that the tests play by hand.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use prost::Message;
use worker_protocol::messages::{WorkRequest, WorkResponse};
use worker_protocol::{
    Abandoned, CancelToken, Exit, Handler, Options, Reply, ServeError, codec, run,
};

/// A test that waits this long has failed; nothing else depends on time.
pub(crate) const FOREVER: Duration = Duration::from_secs(60);

/// What a test lets a running request do next, and last.
pub(crate) enum End {
    Reply(i32, &'static str),
    Abandoned,
    Panic,
}

/// A request that runs now.
pub(crate) struct Call {
    pub(crate) id: i32,
    pub(crate) token: CancelToken,
    end: Sender<End>,
}

impl Call {
    pub(crate) fn end(&self, end: End) {
        self.end.send(end).unwrap();
    }

    pub(crate) fn wait_until_abandoned(&self) {
        let start = Instant::now();
        while !self.token.is_abandoned() {
            assert!(start.elapsed() < FOREVER);
            thread::yield_now();
        }
    }
}

/// Reports each request to the test and does what the test says. Arguments: the
/// files it writes, or `panic in outputs`.
struct Script(Mutex<Sender<Call>>);

impl Handler for Script {
    fn outputs(&self, request: &WorkRequest) -> Vec<PathBuf> {
        assert!(request.arguments.iter().all(|path| path != "panic in outputs"), "no outputs");
        request.arguments.iter().map(PathBuf::from).collect()
    }

    fn handle(&self, request: &WorkRequest, cancel: &CancelToken) -> Result<Reply, Abandoned> {
        let (end, ends) = mpsc::channel();
        let call = Call { id: request.request_id, token: cancel.clone(), end };
        // A test that is over does not look any more.
        drop(self.0.lock().unwrap().send(call));
        match ends.recv() {
            Ok(End::Reply(exit_code, output)) => Ok(Reply { exit_code, output: output.to_owned() }),
            Ok(End::Panic) => panic!("as the test says"),
            Ok(End::Abandoned) | Err(_) => Err(Abandoned),
        }
    }
}

pub(crate) fn slots(slots: usize) -> Options {
    Options { slots: NonZeroUsize::new(slots).unwrap(), ..Options::default() }
}

pub(crate) fn request(id: i32, arguments: &[&str]) -> WorkRequest {
    let arguments = arguments.iter().map(ToString::to_string).collect();
    WorkRequest { request_id: id, arguments, ..WorkRequest::default() }
}

/// A worker in this process and the streams that lead to it.
pub(crate) struct Bazel {
    to_worker: Option<PipeWriter>,
    from_worker: PipeReader,
    calls: Receiver<Call>,
    worker: JoinHandle<Result<Exit, ServeError>>,
}

impl Bazel {
    pub(crate) fn start(options: Options) -> Self {
        let (sender, calls) = mpsc::channel();
        Self::with(Script(Mutex::new(sender)), options, calls)
    }

    pub(crate) fn with(handler: impl Handler, options: Options, calls: Receiver<Call>) -> Self {
        let (input, to_worker) = pipe().unwrap();
        let (from_worker, output) = pipe().unwrap();
        let worker = thread::spawn(move || run(handler, input, output, options));
        Self { to_worker: Some(to_worker), from_worker, calls, worker }
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.to_worker.as_ref().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn send(&mut self, id: i32, arguments: &[&str]) {
        self.send_bytes(&request(id, arguments).encode_length_delimited_to_vec());
    }

    pub(crate) fn cancel(&mut self, id: i32) {
        let cancel = WorkRequest { request_id: id, cancel: true, ..WorkRequest::default() };
        self.send_bytes(&cancel.encode_length_delimited_to_vec());
    }

    /// The next request that starts.
    #[track_caller]
    pub(crate) fn any_call(&self) -> Call {
        self.calls.recv_timeout(FOREVER).unwrap()
    }

    #[track_caller]
    pub(crate) fn call(&self, id: i32) -> Call {
        let call = self.any_call();
        assert_eq!(call.id, id);
        call
    }

    /// Whether a request has started that no call was taken for.
    pub(crate) fn has_call(&self) -> bool {
        self.calls.try_recv().is_ok()
    }

    pub(crate) fn receive(&mut self) -> Option<WorkResponse> {
        let frame = codec::read_frame(&mut self.from_worker, codec::MAX_FRAME).unwrap()?;
        Some(WorkResponse::decode(&frame[..]).unwrap())
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, id: i32, exit_code: i32, output: &str) {
        let response = self.receive().expect("a response");
        assert_eq!((response.request_id, response.exit_code), (id, exit_code), "{response:?}");
        assert!(response.output.contains(output), "{response:?}");
        assert!(!response.was_cancelled);
    }

    #[track_caller]
    pub(crate) fn expect_cancelled(&mut self, id: i32) {
        let cancelled =
            WorkResponse { request_id: id, was_cancelled: true, ..WorkResponse::default() };
        assert_eq!(self.receive(), Some(cancelled));
    }

    pub(crate) fn close(&mut self) {
        drop(self.to_worker.take());
    }

    /// Nobody reads responses any more.
    pub(crate) fn stop_reading(self) -> (PipeWriter, JoinHandle<Result<Exit, ServeError>>) {
        (self.to_worker.unwrap(), self.worker)
    }

    /// Closes the input; the worker's end, and what it answered that nobody expected.
    pub(crate) fn end(mut self) -> (Result<Exit, ServeError>, Vec<u8>) {
        self.close();
        let end = self.worker.join().unwrap();
        let mut rest = Vec::new();
        self.from_worker.read_to_end(&mut rest).unwrap();
        (end, rest)
    }

    /// Closes the input: all was answered, nothing twice.
    #[track_caller]
    pub(crate) fn end_clean(self) {
        let (end, rest) = self.end();
        assert_eq!((end.unwrap(), rest), (Exit::Clean, vec![]));
    }
}
