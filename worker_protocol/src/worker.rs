//! The state machine and the threads that do what it says.
//!
//! Whoever has an event, the event loop or the thread of a job, feeds it to the machine under
//! one lock and then acts. A job's thread goes on with the next step that is due, so that a
//! request crosses from one thread to another twice: when it comes, and with its answer.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use crate::handler::Handler;
use crate::job::{CancelToken, Context};
use crate::messages::WorkResponse;
use crate::options::Options;
use crate::protocol::{Incoming, Protocol};
use crate::reply::Error;
use crate::request::{Request, normal_path};
use crate::state::{Action, Event, JobNumber, State};

/// What a worker is made of, but for its streams.
pub(crate) struct Worker<H: Handler> {
    handler: H,
    protocol: Protocol,
    superseded_hold: Duration,
    /// The working directory at the start.
    directory: PathBuf,
    runtime: Handle,
    shared: Mutex<Shared<H::Job>>,
}

struct Shared<J> {
    state: State,
    last_job: u64,
    /// What is known of jobs that do not run.
    waiting: HashMap<JobNumber, Waiting<J>>,
    running: HashMap<JobNumber, CancelToken>,
    /// To the writer; `None` once there is nothing more to answer. Unbounded, for the reader of
    /// requests must not wait for the reader of answers: there is at most one response
    /// for each request, below 64 KiB.
    responses: Option<UnboundedSender<WorkResponse>>,
}

enum Waiting<J> {
    Unread { id: i32, body: Bytes },
    Prepared { job: J, context: Context },
}

/// A step of a job, for a thread that may block.
enum Step<J> {
    Prepare { number: JobNumber, id: i32, body: Bytes },
    Handle { number: JobNumber, job: J, context: Context },
}

impl<H: Handler> Worker<H> {
    /// To be called inside a runtime.
    pub(crate) fn new(
        handler: H,
        options: &Options,
        responses: UnboundedSender<WorkResponse>,
    ) -> Arc<Self> {
        let shared = Shared {
            state: State::new(options.slots),
            last_job: 0,
            waiting: HashMap::new(),
            running: HashMap::new(),
            responses: Some(responses),
        };
        Arc::new(Self {
            handler,
            protocol: options.protocol,
            superseded_hold: options.superseded_hold,
            // Without a working directory, relative paths are at least comparable.
            directory: std::env::current_dir().unwrap_or_default(),
            runtime: Handle::current(),
            shared: Mutex::new(shared),
        })
    }

    /// A message has come.
    pub(crate) fn receive(self: &Arc<Self>, incoming: Incoming) {
        let Incoming { id, cancel, body } = incoming;
        if cancel {
            return self.tell(Event::Cancel { id });
        }
        let mut shared = self.lock();
        shared.last_job += 1;
        let job = JobNumber(shared.last_job);
        shared.waiting.insert(job, Waiting::Unread { id, body });
        drop(shared);
        self.tell(Event::Request { job, id });
    }

    /// Something has happened that is no job's end.
    pub(crate) fn tell(self: &Arc<Self>, event: Event) {
        self.feed(event).into_iter().for_each(|step| self.spawn(step));
    }

    fn spawn(self: &Arc<Self>, step: Step<H::Job>) {
        let worker = Arc::clone(self);
        drop(self.runtime.spawn_blocking(move || worker.work(step)));
    }

    /// Takes a step, and then others for as long as there are any.
    fn work(self: &Arc<Self>, first: Step<H::Job>) {
        let mut next = Some(first);
        while let Some(step) = next {
            let mut steps = self.feed(self.take(step)).into_iter();
            next = steps.next();
            steps.for_each(|step| self.spawn(step));
        }
    }

    fn take(&self, step: Step<H::Job>) -> Event {
        match step {
            Step::Prepare { number, id, body } => {
                let context = Context::new(id);
                let prepared = context.run(|| {
                    let message = self.protocol.decode(&body).map_err(|why| {
                        Error::failed(1, format!("the WorkRequest cannot be read: {why}"))
                    })?;
                    self.handler.prepare(Request::new(message, &self.directory))
                });
                let outputs = prepared.map(|(outputs, job)| {
                    self.lock().waiting.insert(number, Waiting::Prepared { job, context });
                    outputs.iter().map(|path| normal_path(&self.directory, path)).collect()
                });
                Event::Prepared { job: number, outputs }
            }
            Step::Handle { number, job, context } => {
                let outcome = context.finish(|| self.handler.handle(job, &context));
                Event::Finished { job: number, outcome }
            }
        }
    }

    /// Feeds the state machine. The answer is what is left to be done, jobs to be run first.
    fn feed(self: &Arc<Self>, event: Event) -> Vec<Step<H::Job>> {
        let mut forgotten = Vec::new();
        let mut steps = Vec::new();
        let mut shared = self.lock();
        if let Event::Finished { job, .. } = &event {
            shared.running.remove(job);
        }
        for action in shared.state.handle(event) {
            match action {
                Action::Prepare { job: number } => {
                    if let Some(Waiting::Unread { id, body }) = shared.waiting.remove(&number) {
                        steps.push(Step::Prepare { number, id, body });
                    }
                }
                Action::Start { job: number } => {
                    if let Some(Waiting::Prepared { job, context }) = shared.waiting.remove(&number)
                    {
                        shared.running.insert(number, context.token().clone());
                        steps.push(Step::Handle { number, job, context });
                    }
                }
                Action::Abandon { job } => {
                    if let Some(token) = shared.running.get(&job) {
                        token.request_stop();
                    }
                }
                Action::Forget { job } => forgotten.extend(shared.waiting.remove(&job)),
                Action::Hold { job } => {
                    let (worker, hold) = (Arc::downgrade(self), self.superseded_hold);
                    drop(self.runtime.spawn(async move {
                        sleep(hold).await;
                        if let Some(worker) = worker.upgrade() {
                            worker.tell(Event::Waited { job });
                        }
                    }));
                }
                Action::Respond { response } => {
                    if let Some(responses) = &shared.responses {
                        // If the writer is gone, the event loop knows.
                        drop(responses.send(response));
                    }
                }
                Action::Exit => shared.responses = None,
            }
        }
        drop(shared);
        // A job's drop is the handler's code, too.
        drop(crate::job::catch(|| drop(forgotten)));
        steps
    }

    fn lock(&self) -> MutexGuard<'_, Shared<H::Job>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
