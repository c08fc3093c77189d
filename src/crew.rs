//! The process's worker threads, shared by all requests.
//!
//! At most `jobs` batches are worked on at a time, whoever asked. A request that waits for a batch
//! works on one itself, so a crew of one needs no thread and a one-shot run uses every core.
//! Batches are counted: a request that finds none left finishes what it has in flight.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::debug_span;

use crate::error::{Error, Fault, Result};
use crate::layer::Checkpoint;
use crate::layer::compress::MEMBER;

/// How often one who waits looks whether the work is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// The threads and their buffers.
#[derive(Debug)]
pub struct Crew(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled whenever a job is added or done, or a buffer comes back.
    changed: Condvar,
    jobs: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Job>,
    running: usize,
    /// Buffers that nobody holds.
    idle: Vec<Buffers>,
    /// Buffers that somebody holds.
    lent: usize,
    closed: bool,
}

/// What is done to a batch.
struct Job(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

/// Room for some of a layer's bytes before and after compression.
#[derive(Debug, Default)]
struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Buffers to work with; they go back to the crew when dropped.
#[derive(Debug)]
pub struct Batch {
    buffers: Buffers,
    shared: Arc<Shared>,
}

/// A batch that is being worked on, and what that will come to; dropping it makes the work void.
#[derive(Debug)]
pub struct Ticket<T>(Arc<Outcome<T>>);

#[derive(Debug)]
struct Outcome<T>(Mutex<Option<Done<T>>>);

type Done<T> = std::thread::Result<Result<(Batch, T)>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    /// A crew that works on `jobs` batches at a time.
    pub fn new(jobs: NonZeroUsize) -> Result<Self> {
        let jobs = jobs.get();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), jobs });
        // The requests' own threads make up the number.
        let crew = Self(shared);
        for number in 1..jobs {
            let shared = crew.0.clone();
            std::thread::Builder::new()
                .name(format!("compress-{number}"))
                .spawn(move || shared.work())
                .map_err(|source| {
                    Error::new(Fault::Environment, "cannot start a compression thread")
                        .because(source)
                        .hint("use a smaller --jobs")
                })?;
        }
        Ok(crew)
    }

    /// The number of batches that one request should have in flight.
    pub fn depth(&self) -> usize {
        self.0.jobs + 1
    }

    /// A batch, if there is one.
    pub fn try_batch(&self) -> Option<Batch> {
        self.take_batch(&mut lock(&self.0.state))
    }

    /// A batch. To wait here while holding another would be a deadlock.
    pub fn batch(&self, check: Checkpoint<'_>) -> Result<Batch> {
        let mut state = lock(&self.0.state);
        loop {
            if let Some(batch) = self.take_batch(&mut state) {
                return Ok(batch);
            }
            state = self.0.help_or_wait(state);
            check()?;
        }
    }

    fn take_batch(&self, state: &mut State) -> Option<Batch> {
        // Twice as many as can be worked on keeps all busy; two more for reading ahead.
        let most = 2 * self.0.jobs + 2;
        let buffers = match state.idle.pop() {
            Some(buffers) => buffers,
            None if state.lent < most => Buffers { input: vec![0; MEMBER], output: Vec::new() },
            None => return None,
        };
        state.lent += 1;
        Some(Batch { buffers, shared: self.0.clone() })
    }

    /// Has something done to a batch.
    pub fn submit<T: Send + 'static>(
        &self,
        mut batch: Batch,
        work: impl FnOnce(&mut Batch) -> Result<T> + Send + 'static,
    ) -> Ticket<T> {
        let outcome = Arc::new(Outcome(Mutex::new(None)));
        let ticket = Ticket(outcome.clone());
        let job = Job(Box::new(move || {
            if Arc::strong_count(&outcome) == 1 {
                return;
            }
            let _span = debug_span!("work").entered();
            let done = catch_unwind(AssertUnwindSafe(|| {
                let result = work(&mut batch)?;
                Ok((batch, result))
            }));
            *lock(&outcome.0) = Some(done);
        }));
        lock(&self.0.state).waiting.push_back(job);
        self.0.changed.notify_all();
        ticket
    }

    /// The batch, when the work on it is done, and what that came to; works on others meanwhile.
    pub fn wait<T>(&self, ticket: &Ticket<T>, check: Checkpoint<'_>) -> Result<(Batch, T)> {
        let mut state = lock(&self.0.state);
        loop {
            if let Some(done) = lock(&ticket.0.0).take() {
                drop(state);
                return done.unwrap_or_else(|panic| resume_unwind(panic));
            }
            state = self.0.help_or_wait(state);
            check()?;
        }
    }
}

/// The threads end by themselves, each with the batch it is at: nobody waits for what nobody
/// wants, least of all the end of the process.
impl Drop for Crew {
    fn drop(&mut self) {
        lock(&self.0.state).closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    /// A thread's life.
    fn work(&self) {
        let mut state = lock(&self.state);
        while !state.closed {
            state = self.help_or_wait(state);
        }
    }

    /// Does one job if there is one and a place free, or waits until something has changed, or it
    /// is time to look whether the work is still wanted.
    fn help_or_wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.running < self.jobs
            && let Some(Job(run)) = state.waiting.pop_front()
        {
            state.running += 1;
            drop(state);
            run();
            let mut state = lock(&self.state);
            state.running -= 1;
            self.changed.notify_all();
            state
        } else {
            let waited = self.changed.wait_timeout(state, LOOK);
            waited.unwrap_or_else(PoisonError::into_inner).0
        }
    }
}

impl Batch {
    /// The archive's bytes: room for [`MEMBER`] of them.
    pub fn input(&mut self) -> &mut [u8] {
        &mut self.buffers.input
    }

    /// The compressed bytes.
    pub fn output(&self) -> &[u8] {
        &self.buffers.output
    }

    /// The archive's bytes, and the compressed ones, whose room grows as needed and is not empty
    /// at first.
    pub fn both(&mut self) -> (&mut [u8], &mut Vec<u8>) {
        (&mut self.buffers.input, &mut self.buffers.output)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.lent -= 1;
        state.idle.push(std::mem::take(&mut self.buffers));
        drop(state);
        self.shared.changed.notify_all();
    }
}
