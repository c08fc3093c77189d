//! The event loop: requests, answers, signals and deadlines.

use std::io::{self, Write as _};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::codec::FrameError;
use crate::handler::Handler;
use crate::messages::WorkResponse;
use crate::options::{OnClose, Options};
use crate::protocol::{Messages, Protocol};
use crate::state::Event;
use crate::stdio;
use crate::worker::Worker;

/// How long after a signal running jobs may take to remove their temporary files.
const SIGNAL_GRACE: Duration = Duration::from_millis(50);

/// Why the worker ended as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// The input ended between two frames, or nobody reads the answers any more: Bazel has gone,
    /// or wants us to.
    Clean,
    /// This signal came.
    Terminated(i32),
}

impl Exit {
    /// What `main` returns: 0, or as a shell has it, 128 and the signal's number.
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Terminated(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// Why the worker could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The streams, the signals or the runtime could not be set up.
    #[error("cannot start the worker: {0}")]
    Setup(#[source] io::Error),
    /// What Bazel sent is no frame.
    #[error("cannot read the requests: {0}")]
    Input(#[source] FrameError),
    /// The responses cannot be written, although there may be somebody who reads them.
    #[error("cannot write a response: {0}")]
    Output(#[source] io::Error),
}

impl ServeError {
    /// What `main` returns: 3, the environment is at fault.
    pub fn code(&self) -> u8 {
        3
    }
}

/// Serves Bazel on standard input and output until it has had enough, on a runtime of its own
/// that runs on this thread.
///
/// To be called once, before anything else is printed or read. `main` returns soon
/// after this does: a job that would not stop in time still runs, and ends with
/// the process.
///
/// From then on file descriptor 0 is `/dev/null` and 1 is standard error, for this
/// process and its children. SIGTERM and SIGINT end the worker; once this has
/// returned they end the process as if they were not caught.
///
/// # Errors
///
/// Any [`ServeError`]; it has been written to standard error, where Bazel shows
/// the user the end of the worker's log.
pub fn serve(handler: impl Handler, options: Options) -> Result<Exit, ServeError> {
    let built = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name("job")
        // Requests that are prepared do not take the places of those that run.
        .max_blocking_threads(2 * options.slots.get())
        // Threads that wait for jobs sleep; they do not wake up to end.
        .thread_keep_alive(Duration::MAX)
        .build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => return report(Err(ServeError::Setup(error))),
    };
    let served = match first_thread(&runtime) {
        Ok(()) => runtime.block_on(serve_async(handler, options)),
        Err(error) => report(Err(ServeError::Setup(error))),
    };
    // A job that did not stop in time is not waited for.
    runtime.shutdown_background();
    served
}

/// Starts the first of the threads that run jobs, which stays. Later ones may fail to start: a job
/// then waits for another's end. Without the first, tokio panics.
fn first_thread(runtime: &Runtime) -> io::Result<()> {
    // The error that tokio does not give.
    drop(std::thread::Builder::new().spawn(|| ())?.join());
    drop(runtime.spawn_blocking(|| ()));
    Ok(())
}

/// As [`serve`], on the tokio runtime of the caller, which needs its I/O and time drivers. Jobs
/// are run by [`spawn_blocking`](tokio::task::spawn_blocking).
///
/// # Errors
///
/// As [`serve`].
pub async fn serve_async(handler: impl Handler, options: Options) -> Result<Exit, ServeError> {
    report(serve_process(handler, options).await)
}

fn report(served: Result<Exit, ServeError>) -> Result<Exit, ServeError> {
    served.inspect_err(|error| {
        // Without a standard error there is nobody left to tell.
        drop(writeln!(io::stderr(), "worker: {error}"));
    })
}

async fn serve_process(handler: impl Handler, options: Options) -> Result<Exit, ServeError> {
    let mut signals = Signals::catch().map_err(ServeError::Setup)?;
    let stdio = stdio::take().map_err(ServeError::Setup)?;
    let ends = Ends { signal: signals.next(), gone: stdio.reader.gone() };
    serve_until(handler, stdio.input, stdio.output, options, ends, |_| {}).await
}

/// Serves whoever writes `input` and reads `output`, without signals, on the tokio runtime of
/// the caller.
///
/// # Errors
///
/// Any [`ServeError`]; nothing is printed.
pub async fn run(
    handler: impl Handler,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
    options: Options,
) -> Result<Exit, ServeError> {
    let ends = Ends { signal: std::future::pending(), gone: std::future::pending() };
    serve_until(handler, input, output, options, ends, |_| {}).await
}

/// What ends a worker besides its streams: a signal's number, and that nobody reads responses.
pub(crate) struct Ends<S, G> {
    pub(crate) signal: S,
    pub(crate) gone: G,
}

/// `seen` is told how many messages have been dealt with.
pub(crate) async fn serve_until(
    handler: impl Handler,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
    options: Options,
    ends: Ends<impl Future<Output = i32>, impl Future<Output = ()>>,
    seen: impl Fn(u64),
) -> Result<Exit, ServeError> {
    let (responses, unsent) = mpsc::unbounded_channel();
    let (breaks, mut broken) = oneshot::channel();
    let worker = Worker::new(handler, &options, responses);
    let mut messages = Messages::new(input, options.protocol, options.max_frame);
    let mut writing = pin!(write(output, options.protocol, unsent, breaks));
    let (mut signal, mut gone) = (pin!(ends.signal), pin!(ends.gone));
    // The first reason to end stands, unless a signal comes.
    let mut ending = None;
    let mut deadline: Option<Instant> = None;
    let mut received = 0;
    loop {
        let signalled = matches!(ending, Some(Ok(Exit::Terminated(_))));
        let why = tokio::select! {
            message = messages.next(), if ending.is_none() => match message {
                Ok(Some(message)) => {
                    worker.receive(message);
                    received += 1;
                    seen(received);
                    continue;
                }
                Ok(None) if options.on_close == OnClose::Drain => {
                    ending = Some(Ok(Exit::Clean));
                    worker.tell(Event::Closed);
                    continue;
                }
                Ok(None) => Ok(Exit::Clean),
                Err(error) => Err(ServeError::Input(error)),
            },
            // All is answered.
            () = &mut writing => break,
            () = &mut gone, if deadline.is_none() => Ok(Exit::Clean),
            Ok(error) = &mut broken, if deadline.is_none() => match error.kind() {
                io::ErrorKind::BrokenPipe => Ok(Exit::Clean),
                _ => Err(ServeError::Output(error)),
            },
            number = &mut signal, if !signalled => {
                ending = None;
                Ok(Exit::Terminated(number))
            }
            () = until(deadline) => break,
        };
        let grace = match why {
            Ok(Exit::Terminated(_)) => SIGNAL_GRACE,
            _ => options.close_grace,
        };
        let at = Instant::now() + grace;
        deadline = Some(deadline.map_or(at, |earlier| earlier.min(at)));
        ending.get_or_insert(why);
        worker.tell(Event::Stopped);
    }
    ending.unwrap_or(Ok(Exit::Clean))
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Writes responses, whole and one after the other, until there are no more. It alone can reach
/// `output`.
async fn write(
    mut output: impl AsyncWrite + Unpin,
    protocol: Protocol,
    mut unsent: UnboundedReceiver<WorkResponse>,
    breaks: oneshot::Sender<io::Error>,
) {
    while let Some(response) = unsent.recv().await {
        let written = output.write_all(&protocol.encode(&response)).await;
        if let Err(error) = match written {
            Ok(()) => output.flush().await,
            failed => failed,
        } {
            drop(breaks.send(error));
            break;
        }
    }
    // What is left to wait for is the end of the jobs.
    while unsent.recv().await.is_some() {}
}

/// SIGTERM and SIGINT. While this lives, the first is an event; after that, and once this is
/// dropped, a signal ends the process as if nobody had caught it. Bazel waits
/// without limit for a worker it has sent SIGTERM to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    default: Arc<AtomicBool>,
}

impl Signals {
    fn catch() -> io::Result<Self> {
        let default = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            flag::register_conditional_default(signal, Arc::clone(&default))?;
        }
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())?, default })
    }

    async fn next(&mut self) -> i32 {
        let first = tokio::select! {
            _ = self.terminate.recv() => SIGTERM,
            _ = self.interrupt.recv() => SIGINT,
        };
        self.default.store(true, Ordering::SeqCst);
        first
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.default.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        assert_eq!(Exit::Clean.code(), 0);
        assert_eq!(Exit::Terminated(15).code(), 143);
        assert_eq!(Exit::Terminated(2).code(), 130);
        assert_eq!(ServeError::Input(FrameError::BadLength).code(), 3);
    }
}
