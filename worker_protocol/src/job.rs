//! What the runtime knows of one request's work: its token, its context, its end.

use std::any::Any;
use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::reply::{Error, Reply};

/// The work was stopped because nobody waits for it any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request was abandoned")]
pub struct Abandoned;

/// Tells a running job that nobody waits for it, and guards the moment at which
/// its outputs appear. Clones are the same token.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    abandoned: CancellationToken,
    publishing: Mutex<()>,
    hooks: Mutex<Hooks>,
}

/// What is to be called when the job is abandoned.
#[derive(Default)]
struct Hooks(Vec<Box<dyn FnOnce() + Send>>);

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hooks").field(&self.0.len()).finish()
    }
}

impl CancelToken {
    /// A token that nobody has abandoned.
    pub fn new() -> Self {
        Self::default()
    }

    /// To be called often, with `?`: at least for each file and each few megabytes.
    ///
    /// # Errors
    ///
    /// [`Abandoned`] once the job has been abandoned.
    pub fn check(&self) -> Result<(), Abandoned> {
        if self.is_abandoned() { Err(Abandoned) } else { Ok(()) }
    }

    /// Whether the job has been abandoned. Never becomes false again.
    pub fn is_abandoned(&self) -> bool {
        self.0.abandoned.is_cancelled()
    }

    /// Waits until the job is abandoned: for a `select!` in an asynchronous handler.
    pub async fn abandoned(&self) {
        self.0.abandoned.cancelled().await;
    }

    /// Has `f` called once the job is abandoned, or now if it is: what wakes a job that waits. `f`
    /// must be short; it may run on any thread, and not at all if nobody abandons the job.
    pub fn on_abandon(&self, f: impl FnOnce() + Send + 'static) {
        let mut hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_abandoned() {
            drop(hooks);
            f();
        } else {
            hooks.0.push(Box::new(f));
        }
    }

    /// Runs `f`, the step that makes outputs visible (a rename), unless the job has
    /// been abandoned. `f` must be short and must not use the token.
    ///
    /// Once [`abandon`](Self::abandon) has returned, no `f` runs or ever will.
    ///
    /// # Errors
    ///
    /// [`Abandoned`] if the job has been abandoned; `f` did not run.
    pub fn publish<T>(&self, f: impl FnOnce() -> T) -> Result<T, Abandoned> {
        let _guard = self.0.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        self.check()?;
        Ok(f())
    }

    /// Abandons the job and waits for a publishing step that has already begun.
    pub fn abandon(&self) {
        self.request_stop();
        drop(self.0.publishing.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Abandons the job without waiting: the state machine learns from the job's end
    /// that its last rename is over, and has other requests to attend to till then.
    pub(crate) fn request_stop(&self) {
        let mut hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.abandoned.cancel();
        let called = mem::take(&mut hooks.0);
        drop(hooks);
        for hook in called {
            hook();
        }
    }
}

/// What a handler has at hand while it works on one request. Clones are the same context.
#[derive(Debug, Clone)]
pub struct Context {
    request_id: i32,
    token: CancelToken,
    said: Arc<Mutex<Vec<u8>>>,
    pub(crate) span: tracing::Span,
}

impl Context {
    pub(crate) fn new(request_id: i32) -> Self {
        let span = tracing::info_span!("request", id = request_id);
        Self { request_id, token: CancelToken::new(), said: Arc::default(), span }
    }

    /// The number that Bazel gave the request.
    pub fn request_id(&self) -> i32 {
        self.request_id
    }

    /// The request's token, for code that needs no more of the context.
    pub fn token(&self) -> &CancelToken {
        &self.token
    }

    /// As [`CancelToken::check`].
    ///
    /// # Errors
    ///
    /// [`Abandoned`] once nobody waits for the request.
    pub fn check(&self) -> Result<(), Abandoned> {
        self.token.check()
    }

    /// As [`CancelToken::publish`].
    ///
    /// # Errors
    ///
    /// [`Abandoned`] if nobody waits for the request; `f` did not run.
    pub fn publish<T>(&self, f: impl FnOnce() -> T) -> Result<T, Abandoned> {
        self.token.publish(f)
    }

    /// Where messages for the user go: they stand before the reply's own text. Standard output
    /// is not at hand, and standard error is the log of all requests.
    pub fn output(&self) -> impl Write + Send + use<> {
        Said(Arc::clone(&self.said))
    }

    /// The reply after what was said before.
    fn complete(&self, mut reply: Reply) -> Reply {
        let said = mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner));
        if !said.is_empty() {
            reply.output.insert_str(0, &String::from_utf8_lossy(&said));
        }
        reply
    }

    /// Runs a step of the request's work. A panic costs this one request; the panic
    /// hook has by then written where it happened to standard error.
    pub(crate) fn run<T>(&self, step: impl FnOnce() -> Result<T, Error>) -> Result<T, Outcome> {
        if self.token.is_abandoned() {
            return Err(Outcome::Abandoned);
        }
        let _entered = self.span.enter();
        match catch(step) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(match error.into_reply() {
                Ok(reply) => Outcome::Replied(self.complete(reply)),
                Err(Abandoned) => Outcome::Abandoned,
            }),
            Err(message) => Err(Outcome::Panicked(message)),
        }
    }

    /// Runs the step that ends in a reply.
    pub(crate) fn finish(&self, step: impl FnOnce() -> Result<Reply, Error>) -> Outcome {
        match self.run(step) {
            Ok(reply) => Outcome::Replied(self.complete(reply)),
            Err(outcome) => outcome,
        }
    }
}

struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler answered.
    Replied(Reply),
    /// The handler stopped without an answer, or was never called.
    Abandoned,
    /// The handler panicked, with this message.
    Panicked(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replied(reply) => f.write_str(&reply.output),
            Self::Abandoned => Abandoned.fmt(f),
            Self::Panicked(message) => {
                write!(f, "the worker panicked: {message}\nThis is a bug in the worker.\n")
            }
        }
    }
}

pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    // The handler's shared state is its own affair: a poisoned lock tells it what
    // happened, and no state of this crate is reachable from inside.
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(panic_message)
}

fn panic_message(payload: Box<dyn Any + Send>) -> String {
    let payload = match payload.downcast::<String>() {
        Ok(text) => return *text,
        Err(other) => other,
    };
    if let Some(text) = payload.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    // The drop of an unknown payload may panic again, and that would end the thread.
    mem::forget(payload);
    "(no message)".to_owned()
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
