//! The threads around the event loop: one reads, one writes, the others work.
//!
//! Each tells the loop what happened through the one channel of [`Notice`]s and
//! ends with its own channel or stream. None is ever joined: a read, a write or a
//! job may never end.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::codec::{FrameError, Incoming};
use crate::job::{self, CancelToken, Handler, Outcome, Reply};
use crate::messages::{WorkRequest, WorkResponse};
use crate::paths::normal_path;
use crate::protocol::Protocol;
use crate::state::JobNumber;

/// What the threads tell the event loop.
#[derive(Debug)]
pub(crate) enum Notice {
    Request { id: i32, outputs: Vec<PathBuf>, work: Work },
    Cancel { id: i32 },
    InputEnded,
    InputBroken(FrameError),
    Finished { job: JobNumber, outcome: Outcome },
    Signal(i32),
    OutputBroken(io::Error),
    Flushed,
}

/// What a job has to do.
#[derive(Debug)]
pub(crate) enum Work {
    Handle(WorkRequest),
    /// The handler cannot be asked; this is the answer.
    Refuse(Outcome),
}

/// A job for one of the pool's threads.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) job: JobNumber,
    pub(crate) work: Work,
    pub(crate) cancel: CancelToken,
}

pub(crate) fn spawn(name: &str, f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(f).map(drop)
}

/// Reads requests until the input ends. Never waits for anything else: a reader
/// that waited for a slot would not see the cancel that frees it.
pub(crate) fn read(
    handler: Arc<impl Handler>,
    input: impl Read + Send + 'static,
    (protocol, max_frame): (Protocol, u64),
    base: PathBuf,
    notices: Sender<Notice>,
) -> io::Result<()> {
    spawn("requests", move || {
        let mut requests = protocol.requests(input, max_frame);
        loop {
            let (notice, last) = match requests() {
                Ok(Some(incoming)) => (prepare(&*handler, &base, incoming), false),
                Ok(None) => (Notice::InputEnded, true),
                Err(error) => (Notice::InputBroken(error), true),
            };
            if notices.send(notice).is_err() || last {
                return;
            }
        }
    })
}

fn prepare(handler: &impl Handler, base: &Path, incoming: Incoming) -> Notice {
    let request = match incoming {
        Incoming::Request(request) => request,
        Incoming::Unreadable { request_id, reason } => {
            let output = format!("the WorkRequest cannot be read: {reason}\n");
            let refusal = Outcome::Replied(Reply { exit_code: 1, output });
            return Notice::Request {
                id: request_id,
                outputs: Vec::new(),
                work: Work::Refuse(refusal),
            };
        }
    };
    let id = request.request_id;
    if request.cancel {
        return Notice::Cancel { id };
    }
    match job::outputs(handler, &request) {
        Ok(outputs) => Notice::Request {
            id,
            outputs: outputs.iter().map(|path| normal_path(base, path)).collect(),
            work: Work::Handle(request),
        },
        Err(message) => Notice::Request {
            id,
            outputs: Vec::new(),
            work: Work::Refuse(Outcome::Panicked(message)),
        },
    }
}

/// Writes responses, whole and one after the other, until their channel closes.
/// This thread alone can reach `output`. One that Bazel does not empty blocks this
/// thread and no other.
pub(crate) fn write(
    mut output: impl Write + Send + 'static,
    protocol: Protocol,
    responses: Receiver<WorkResponse>,
    notices: Sender<Notice>,
) -> io::Result<()> {
    spawn("responses", move || {
        let written = responses.iter().try_for_each(|response| {
            output.write_all(&protocol.encode(&response))?;
            output.flush()
        });
        // An error means that the loop is gone: nobody is left to be told.
        drop(notices.send(match written {
            Ok(()) => Notice::Flushed,
            Err(error) => Notice::OutputBroken(error),
        }));
    })
}

/// Threads that carry out jobs: as many as ever ran at once, kept for later jobs.
#[derive(Debug)]
pub(crate) struct Pool<H> {
    handler: Arc<H>,
    notices: Sender<Notice>,
    assignments: Sender<Assignment>,
    /// Whoever holds the lock gets the next job.
    taken_from: Arc<Mutex<Receiver<Assignment>>>,
    threads: usize,
}

impl<H: Handler> Pool<H> {
    pub(crate) fn new(handler: Arc<H>, notices: Sender<Notice>) -> Self {
        let (assignments, receiver) = mpsc::channel();
        let taken_from = Arc::new(Mutex::new(receiver));
        Self { handler, notices, assignments, taken_from, threads: 0 }
    }

    /// Starts a job; `running` counts it too. The job's end is a [`Notice::Finished`].
    pub(crate) fn start(&mut self, assignment: Assignment, running: usize) {
        if self.threads < running {
            match self.add_thread() {
                Ok(()) => self.threads += 1,
                // The job waits for a thread that is busy now.
                Err(_) if self.threads > 0 => {}
                Err(error) => {
                    let output = format!("cannot start a thread: {error}\n");
                    let outcome = Outcome::Replied(Reply { exit_code: 3, output });
                    drop(self.notices.send(Notice::Finished { job: assignment.job, outcome }));
                    return;
                }
            }
        }
        // Cannot fail: `self` holds the other end.
        drop(self.assignments.send(assignment));
    }

    fn add_thread(&self) -> io::Result<()> {
        let handler = Arc::clone(&self.handler);
        let notices = self.notices.clone();
        let taken_from = Arc::clone(&self.taken_from);
        spawn("job", move || {
            while let Some(Assignment { job, work, cancel }) = next(&taken_from) {
                let outcome = match work {
                    Work::Handle(request) => job::call(&*handler, &request, &cancel),
                    Work::Refuse(outcome) => outcome,
                };
                if notices.send(Notice::Finished { job, outcome }).is_err() {
                    return;
                }
            }
        })
    }
}

fn next(taken_from: &Mutex<Receiver<Assignment>>) -> Option<Assignment> {
    taken_from.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
