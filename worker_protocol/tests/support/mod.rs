//! A handler that does what the test says, and the Bazel that asks it.

use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use worker_protocol::messages::{WorkRequest, WorkResponse};
use worker_protocol::testing;
use worker_protocol::{Abandoned, CancelToken, Context, Error, Handler, Options, Reply, Request};

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
/// files it writes, `panic in prepare`, or `slow to prepare`, which takes until the test ends.
struct Script {
    calls: Mutex<Sender<Call>>,
    slow: Mutex<Receiver<()>>,
}

impl Handler for Script {
    type Job = Request;

    fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, Request), Error> {
        match request.arguments.first().map(String::as_str) {
            Some("panic in prepare") => panic!("no outputs"),
            Some("slow to prepare") => drop(self.slow.lock().unwrap().recv()),
            _ => {}
        }
        let outputs = request.arguments.iter().map(|path| request.path(path)).collect();
        Ok((outputs, request))
    }

    fn handle(&self, request: Request, context: &Context) -> Result<Reply, Error> {
        let (end, ends) = mpsc::channel();
        assert_eq!(request.request_id, context.request_id());
        let call = Call { id: request.request_id, token: context.token().clone(), end };
        // A test that is over does not look any more.
        drop(self.calls.lock().unwrap().send(call));
        match ends.recv() {
            Ok(End::Reply(0, output)) => Ok(Reply::text(output)),
            Ok(End::Reply(exit_code, output)) => Err(Error::failed(exit_code, output)),
            Ok(End::Panic) => panic!("as the test says"),
            Ok(End::Abandoned) | Err(_) => Err(Abandoned.into()),
        }
    }
}

pub(crate) fn slots(slots: usize) -> Options {
    Options::default().slots(NonZeroUsize::new(slots).unwrap())
}

pub(crate) fn request(id: i32, arguments: &[&str]) -> WorkRequest {
    let arguments = arguments.iter().map(ToString::to_string).collect();
    WorkRequest { request_id: id, arguments, ..WorkRequest::default() }
}

/// A worker in this process whose requests do what the test says.
pub(crate) struct Bazel {
    inner: testing::Bazel,
    calls: Receiver<Call>,
    /// Lets slow preparations go on.
    pub(crate) slow: Sender<()>,
}

impl Deref for Bazel {
    type Target = testing::Bazel;

    fn deref(&self) -> &testing::Bazel {
        &self.inner
    }
}

impl DerefMut for Bazel {
    fn deref_mut(&mut self) -> &mut testing::Bazel {
        &mut self.inner
    }
}

impl Bazel {
    pub(crate) fn start(options: Options) -> Self {
        let (sender, calls) = mpsc::channel();
        let (slow, slows) = mpsc::channel();
        let script = Script { calls: Mutex::new(sender), slow: Mutex::new(slows) };
        Self { inner: testing::Bazel::start(script, options), calls, slow }
    }

    pub(crate) fn request(&mut self, id: i32, arguments: &[&str]) {
        self.send(request(id, arguments));
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

    pub(crate) fn end(self) -> testing::End {
        self.inner.end()
    }

    /// Closes the input: all was answered, nothing twice.
    #[track_caller]
    pub(crate) fn end_clean(self) {
        let end = self.end();
        assert!(end.is_clean(), "{end:?}");
    }
}
