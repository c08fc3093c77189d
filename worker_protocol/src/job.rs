//! What a worker program supplies and is given: [`Handler`], [`Reply`],
//! [`CancelToken`].

use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::messages::{WorkRequest, WorkResponse};

/// Exit code for a fault of the worker program itself (`EX_SOFTWARE` of sysexits.h).
pub const INTERNAL_ERROR: i32 = 70;

/// `WorkResponse.output` stays below this many bytes.
pub const MAX_OUTPUT: usize = 64 << 10;

/// The work of a worker program.
///
/// The methods are called from several threads at once, for as many requests as
/// there are slots.
pub trait Handler: Send + Sync + 'static {
    /// The files that this request will write, with `sandbox_dir` joined.
    ///
    /// While a request that writes one of them is in flight under another number,
    /// Bazel has given that one up: it is abandoned, and this request starts once
    /// it has ended. Relative paths are taken from the working directory. `.`, `..`
    /// and doubled slashes are taken away by text alone; symlinks are not followed.
    ///
    /// Called before the request is queued, on the thread that reads standard
    /// input: it must be quick.
    fn outputs(&self, request: &WorkRequest) -> Vec<PathBuf> {
        let _ = request;
        Vec::new()
    }

    /// Does the work. No file may be touched after the return: Bazel reads, moves
    /// and deletes them as soon as it has the response.
    ///
    /// # Errors
    ///
    /// [`Abandoned`] where `cancel` asked for it, and only there. Every failure of
    /// the work itself is a [`Reply`].
    fn handle(&self, request: &WorkRequest, cancel: &CancelToken) -> Result<Reply, Abandoned>;
}

/// The answer to one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// 0 for success.
    pub exit_code: i32,
    /// What Bazel shows the user, for success as well. It is cut off below
    /// [`MAX_OUTPUT`] bytes, with a note.
    pub output: String,
}

impl Reply {
    /// The response that carries this reply.
    pub fn into_response(self, request_id: i32) -> WorkResponse {
        WorkResponse {
            exit_code: self.exit_code,
            output: shorten(self.output),
            request_id,
            was_cancelled: false,
        }
    }
}

/// Cuts at a character boundary: half a character is not UTF-8, and Bazel kills a
/// worker for that.
fn shorten(mut output: String) -> String {
    if output.len() < MAX_OUTPUT {
        return output;
    }
    let note = format!("\n[cut off here; {} bytes in all]\n", output.len());
    let mut end = MAX_OUTPUT - 1 - note.len();
    while !output.is_char_boundary(end) {
        end -= 1;
    }
    output.truncate(end);
    output + &note
}

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
    abandoned: AtomicBool,
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
        self.0.abandoned.load(Ordering::SeqCst)
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

    /// Abandons the job without waiting: the event loop learns from the job's end
    /// that its last rename is over, and has other requests to attend to till then.
    pub(crate) fn request_stop(&self) {
        let mut hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.abandoned.store(true, Ordering::SeqCst);
        let called = mem::take(&mut hooks.0);
        drop(hooks);
        for hook in called {
            hook();
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The handler answered.
    Replied(Reply),
    /// The handler stopped without an answer, or was never called.
    Abandoned,
    /// The handler panicked, with this message.
    Panicked(String),
}

/// Calls the handler. A panic costs this one request; the panic
/// hook has by then written where it happened to standard error.
pub(crate) fn call(handler: &impl Handler, request: &WorkRequest, cancel: &CancelToken) -> Outcome {
    if cancel.is_abandoned() {
        return Outcome::Abandoned;
    }
    match catch(|| handler.handle(request, cancel)) {
        Ok(Ok(reply)) => Outcome::Replied(reply),
        Ok(Err(Abandoned)) => Outcome::Abandoned,
        Err(message) => Outcome::Panicked(message),
    }
}

/// The handler's outputs, or the message of its panic.
pub(crate) fn outputs(
    handler: &impl Handler,
    request: &WorkRequest,
) -> Result<Vec<PathBuf>, String> {
    catch(|| handler.outputs(request))
}

/// The reply to a request that made the handler panic.
pub(crate) fn panic_reply(message: &str) -> Reply {
    Reply {
        exit_code: INTERNAL_ERROR,
        output: format!("the worker panicked: {message}\nThis is a bug in the worker.\n"),
    }
}

fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    // The handler's shared state is its own affair: a poisoned lock tells it what
    // happened, and no state of this crate is reachable from inside.
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(panic_message)
}

pub(crate) fn panic_message(payload: Box<dyn Any + Send>) -> String {
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
mod tests {
    use super::*;

    #[test]
    fn hooks_are_called_once_the_job_is_abandoned_or_at_once() {
        let token = CancelToken::new();
        let (sender, receiver) = std::sync::mpsc::channel();
        let hook = |name: &'static str| {
            let sender = sender.clone();
            move || sender.send(name).unwrap()
        };
        token.on_abandon(hook("before"));
        assert!(receiver.try_recv().is_err());
        token.abandon();
        token.abandon();
        token.on_abandon(hook("after"));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["before", "after"]);
    }

    #[test]
    fn output_is_cut_at_a_character_below_64_kib() {
        let cases = [
            ("short".to_owned(), false),
            ("x".repeat(MAX_OUTPUT - 1), false),
            ("x".repeat(MAX_OUTPUT), true),
            ("é".repeat(MAX_OUTPUT), true),
            (format!("x{}", "日本".repeat(MAX_OUTPUT)), true),
        ];
        for (output, cut) in cases {
            let head: String = output.chars().take(100).collect();
            let length = output.len();
            let response = Reply { exit_code: 1, output }.into_response(7);
            assert!(response.output.len() < MAX_OUTPUT);
            assert!(response.output.starts_with(&head));
            assert_eq!(response.output.ends_with("bytes in all]\n"), cut, "{length}");
            assert_eq!((response.exit_code, response.request_id), (1, 7));
        }
    }

    #[test]
    fn nothing_is_published_after_abandon() {
        let token = CancelToken::new();
        assert_eq!(token.publish(|| 5), Ok(5));
        token.clone().abandon();
        assert_eq!(token.publish(|| unreachable!("published")), Err::<(), _>(Abandoned));
        assert_eq!(token.check(), Err(Abandoned));
    }

    #[test]
    fn abandon_waits_for_a_publish_that_has_begun() {
        let token = CancelToken::new();
        let published = AtomicBool::new(false);
        let (begun, begins) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                token.publish(|| {
                    begun.send(()).unwrap();
                    while !token.is_abandoned() {
                        std::thread::yield_now();
                    }
                    published.store(true, Ordering::SeqCst);
                })
            });
            begins.recv().unwrap();
            token.abandon();
            assert!(published.load(Ordering::SeqCst));
        });
    }

    #[test]
    fn a_panic_while_publishing_leaves_the_token_usable() {
        let token = CancelToken::new();
        let panicked = catch(|| token.publish(|| panic!("half way")));
        assert_eq!(panicked.map(|_: Result<(), _>| ()), Err("half way".to_owned()));
        assert_eq!(token.publish(|| 1), Ok(1));
        token.abandon();
    }

    #[test]
    fn a_handler_is_not_called_for_what_is_abandoned_already() {
        struct Eager;
        impl Handler for Eager {
            fn handle(&self, _: &WorkRequest, _: &CancelToken) -> Result<Reply, Abandoned> {
                Ok(Reply::default())
            }
        }
        let token = CancelToken::new();
        let request = WorkRequest::default();
        assert_eq!(call(&Eager, &request, &token), Outcome::Replied(Reply::default()));
        token.abandon();
        assert_eq!(call(&Eager, &request, &token), Outcome::Abandoned);
    }

    #[test]
    fn the_message_of_any_panic_is_found() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("dropped");
            }
        }
        assert_eq!(catch(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
        assert_eq!(catch(|| panic!("number {}", 5)), Err::<(), _>("number 5".to_owned()));
        let unknown = catch(|| panic::panic_any(Bomb));
        assert_eq!(unknown, Err::<(), _>("(no message)".to_owned()));
    }
}
