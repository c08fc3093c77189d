//! The event loop: feeds the state machine and does what it says.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};
use std::{env, thread};

use crate::codec::{FrameError, MAX_FRAME};
use crate::job::{CancelToken, Handler};
use crate::messages::WorkResponse;
use crate::protocol::Protocol;
use crate::signals::Watch;
use crate::state::{Action, Event, JobNumber, State};
use crate::stdio;
use crate::threads::{self, Assignment, Notice, Pool, Work};

/// How long after a signal running jobs may take to remove their temporary files.
const SIGNAL_GRACE: Duration = Duration::from_millis(50);

/// How long, once no job is waited for, the last responses may take to be written.
const FLUSH_GRACE: Duration = Duration::from_millis(50);

/// What a worker may be told to do otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many requests run at once; the others wait. Default: as many as the
    /// process has processors.
    pub slots: NonZeroUsize,
    /// The form of messages. Default: protobuf.
    pub protocol: Protocol,
    /// The longest frame accepted, in bytes. Default: [`MAX_FRAME`].
    pub max_frame: u64,
    /// How long the jobs may take to stop once the input has ended; what runs even
    /// then is left to the end of the process. Default: 700 ms.
    pub close_grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slots: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            protocol: Protocol::default(),
            max_frame: MAX_FRAME,
            close_grace: Duration::from_millis(700),
        }
    }
}

/// Why the worker ended as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The input ended between two frames: Bazel has gone, or wants us to.
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
pub enum ServeError {
    /// The streams, the signals or a thread could not be set up.
    #[error("cannot start the worker: {0}")]
    Setup(#[source] io::Error),
    /// What Bazel sent is no frame.
    #[error("cannot read the requests: {0}")]
    Input(#[source] FrameError),
    /// Bazel does not take the responses.
    #[error("cannot write a response: {0}")]
    Output(#[source] io::Error),
}

impl ServeError {
    /// What `main` returns: 3, the environment is at fault.
    pub fn code(&self) -> u8 {
        3
    }
}

/// Serves Bazel on standard input and output until it has had enough.
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
    let served = serve_process(handler, options);
    if let Err(error) = &served {
        // Without a standard error there is nobody left to tell.
        drop(writeln!(io::stderr(), "worker: {error}"));
    }
    served
}

fn serve_process(handler: impl Handler, options: Options) -> Result<Exit, ServeError> {
    let stdio = stdio::take().map_err(ServeError::Setup)?;
    let (notices, inbox) = mpsc::channel();
    let told = notices.clone();
    let _watch = Watch::start(move |signal| {
        drop(told.send(Notice::Signal(signal)));
    })
    .map_err(ServeError::Setup)?;
    Worker::start(handler, stdio.input, stdio.output, options, notices)?.serve(&inbox)
}

/// Serves whoever writes `input` and reads `output`, without signals. Two threads
/// own the streams and may outlive the call, blocked in a read or a write.
///
/// # Errors
///
/// Any [`ServeError`]; nothing is printed.
pub fn run(
    handler: impl Handler,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    options: Options,
) -> Result<Exit, ServeError> {
    let (notices, inbox) = mpsc::channel();
    Worker::start(handler, input, output, options, notices)?.serve(&inbox)
}

/// The state machine and what its actions act upon.
struct Worker<H> {
    state: State,
    pool: Pool<H>,
    /// Requests that wait for a slot.
    waiting: HashMap<JobNumber, Work>,
    /// The tokens of the running jobs.
    tokens: HashMap<JobNumber, CancelToken>,
    last_job: u64,
    /// To the writer; `None` once there is nothing more to answer.
    responses: Option<Sender<WorkResponse>>,
    /// Whether no job is waited for any longer.
    stopped: bool,
    /// Whether the writer has ended.
    flushed: bool,
    close_grace: Duration,
    /// What [`Worker::serve`] will return, once that is known.
    ending: Option<Result<Exit, ServeError>>,
    /// When to stop waiting for jobs, or for the writer.
    deadline: Option<Instant>,
}

impl<H: Handler> Worker<H> {
    fn start(
        handler: H,
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
        options: Options,
        notices: Sender<Notice>,
    ) -> Result<Self, ServeError> {
        let handler = Arc::new(handler);
        // Without a working directory, relative paths are at least comparable.
        let base = env::current_dir().unwrap_or_default();
        let (responses, unsent) = mpsc::channel();
        let form = (options.protocol, options.max_frame);
        threads::write(output, options.protocol, unsent, notices.clone())
            .map_err(ServeError::Setup)?;
        threads::read(Arc::clone(&handler), input, form, base, notices.clone())
            .map_err(ServeError::Setup)?;
        Ok(Self {
            state: State::new(options.slots),
            pool: Pool::new(handler, notices),
            waiting: HashMap::new(),
            tokens: HashMap::new(),
            last_job: 0,
            responses: Some(responses),
            stopped: false,
            flushed: false,
            close_grace: options.close_grace,
            ending: None,
            deadline: None,
        })
    }

    fn serve(mut self, inbox: &Receiver<Notice>) -> Result<Exit, ServeError> {
        while !(self.stopped && self.flushed) {
            match self.receive(inbox) {
                Some(notice) => self.take(notice),
                // The jobs have had their time; the answers already made get theirs.
                None if !self.stopped => {
                    self.stop();
                    self.deadline = Some(Instant::now() + FLUSH_GRACE);
                }
                None => break,
            }
        }
        self.ending.unwrap_or(Ok(Exit::Clean))
    }

    /// The next notice; `None` if there is none before the deadline.
    fn receive(&self, inbox: &Receiver<Notice>) -> Option<Notice> {
        match self.deadline {
            // Cannot fail: the pool holds a sender.
            None => inbox.recv().ok(),
            Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())).ok(),
        }
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Request { id, outputs, work } => {
                self.last_job += 1;
                let job = JobNumber(self.last_job);
                self.waiting.insert(job, work);
                self.feed(Event::Request { job, id, outputs });
            }
            Notice::Cancel { id } => self.feed(Event::Cancel { id }),
            Notice::Finished { job, outcome } => {
                self.tokens.remove(&job);
                self.feed(Event::Finished { job, outcome });
            }
            Notice::InputEnded => self.end(Ok(Exit::Clean)),
            Notice::InputBroken(error) => self.end(Err(ServeError::Input(error))),
            Notice::OutputBroken(error) => {
                self.responses = None;
                self.flushed = true;
                self.end(Err(ServeError::Output(error)));
            }
            Notice::Signal(signal) => {
                self.ending = Some(Ok(Exit::Terminated(signal)));
                self.deadline = Some(Instant::now() + SIGNAL_GRACE);
                self.feed(Event::Closed);
            }
            Notice::Flushed => self.flushed = true,
        }
    }

    /// Begins to end. The first reason stands: after Bazel has gone, a response
    /// that cannot be written is no news.
    fn end(&mut self, ending: Result<Exit, ServeError>) {
        self.ending.get_or_insert(ending);
        self.deadline.get_or_insert_with(|| Instant::now() + self.close_grace);
        self.feed(Event::Closed);
    }

    fn feed(&mut self, event: Event) {
        for action in self.state.handle(event) {
            match action {
                Action::Start { job } => self.start_job(job),
                Action::Abandon { job } => {
                    if let Some(token) = self.tokens.get(&job) {
                        token.request_stop();
                    }
                }
                Action::Forget { job } => drop(self.waiting.remove(&job)),
                Action::Respond { response } => {
                    if let Some(responses) = &self.responses {
                        // If the writer is gone, its own notice is on the way.
                        drop(responses.send(response));
                    }
                }
                Action::Exit => self.stop(),
            }
        }
    }

    /// From here on nothing is answered; the writer ends with what it has.
    fn stop(&mut self) {
        self.stopped = true;
        self.responses = None;
    }

    fn start_job(&mut self, job: JobNumber) {
        let Some(work) = self.waiting.remove(&job) else { return };
        let cancel = CancelToken::new();
        self.tokens.insert(job, cancel.clone());
        self.pool.start(Assignment { job, work, cancel }, self.tokens.len());
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
