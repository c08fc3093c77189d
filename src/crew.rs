//! The process's compression threads, shared by all requests.
//!
//! At most `jobs` members are compressed at a time, whoever asked. A request that waits for a
//! member compresses one itself, so a crew of one needs no thread and a one-shot run uses every
//! core. Buffers are counted: a request that finds none left finishes what it has in flight.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Fault, Result};
use crate::layer::Checkpoint;
use crate::layer::compress::{Compression, Compressor, MEMBER};

/// How often one who waits looks whether the work is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// The compression threads and their buffers.
#[derive(Debug)]
pub struct Crew(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled whenever a task is added or done, or a buffer comes back.
    changed: Condvar,
    jobs: usize,
}

#[derive(Debug, Default)]
struct State {
    tasks: VecDeque<Task>,
    running: usize,
    /// Buffers that nobody holds.
    idle: Vec<Buffers>,
    /// Buffers that somebody holds.
    lent: usize,
    closed: bool,
}

/// A member before and after compression.
#[derive(Debug, Default)]
struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Room for one member; goes back to the crew when dropped.
#[derive(Debug)]
pub struct Member {
    buffers: Buffers,
    shared: Arc<Shared>,
    /// Bytes of the output that are compressed data.
    compressed: usize,
}

#[derive(Debug)]
struct Task {
    member: Member,
    length: usize,
    compression: Compression,
    outcome: Arc<Outcome>,
}

#[derive(Debug, Default)]
struct Outcome(Mutex<Option<Done>>);

type Done = std::thread::Result<Result<Member>>;

/// A member that is being compressed; dropping it makes the work void.
#[derive(Debug)]
pub struct Ticket(Arc<Outcome>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    /// A crew that compresses `jobs` members at a time.
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

    /// The number of members that one request should have in flight.
    pub fn depth(&self) -> usize {
        self.0.jobs + 1
    }

    /// Room for a member, if there is any.
    pub fn try_member(&self) -> Option<Member> {
        self.take_member(&mut lock(&self.0.state))
    }

    /// Room for a member. To wait here while holding another would be a deadlock.
    pub fn member(&self, check: Checkpoint<'_>) -> Result<Member> {
        let mut state = lock(&self.0.state);
        loop {
            if let Some(member) = self.take_member(&mut state) {
                return Ok(member);
            }
            state = self.0.help_or_wait(state);
            check()?;
        }
    }

    fn take_member(&self, state: &mut State) -> Option<Member> {
        // Twice as many as can be compressed keeps all busy; two more for reading ahead.
        let most = 2 * self.0.jobs + 2;
        let buffers = match state.idle.pop() {
            Some(buffers) => buffers,
            None if state.lent < most => Buffers { input: vec![0; MEMBER], output: Vec::new() },
            None => return None,
        };
        state.lent += 1;
        Some(Member { buffers, shared: self.0.clone(), compressed: 0 })
    }

    /// Has the first `length` bytes of a member's input compressed.
    pub fn submit(&self, member: Member, length: usize, compression: Compression) -> Ticket {
        let outcome = Arc::new(Outcome::default());
        let task = Task { member, length, compression, outcome: outcome.clone() };
        lock(&self.0.state).tasks.push_back(task);
        self.0.changed.notify_all();
        Ticket(outcome)
    }

    /// The compressed member, when it is done; works on others meanwhile.
    pub fn wait(&self, ticket: &Ticket, check: Checkpoint<'_>) -> Result<Member> {
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

/// The threads end by themselves, each with the member it is at: nobody waits for what nobody
/// wants, least of all the end of the process.
impl Drop for Crew {
    fn drop(&mut self) {
        lock(&self.0.state).closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    /// A compression thread's life.
    fn work(&self) {
        let mut state = lock(&self.state);
        while !state.closed {
            state = self.help_or_wait(state);
        }
    }

    /// Does one task if there is one and a place free, or waits until something has changed, or it
    /// is time to look whether the work is still wanted.
    fn help_or_wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.running < self.jobs
            && let Some(task) = state.tasks.pop_front()
        {
            state.running += 1;
            drop(state);
            task.run();
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

impl Task {
    fn run(self) {
        let Self { mut member, length, compression, outcome } = self;
        if Arc::strong_count(&outcome) == 1 {
            return;
        }
        let done = catch_unwind(AssertUnwindSafe(|| {
            member.compress(length, compression)?;
            Ok(member)
        }));
        *lock(&outcome.0) = Some(done);
    }
}

impl Member {
    /// The bytes to be compressed: room for [`MEMBER`] of them.
    pub fn input(&mut self) -> &mut [u8] {
        &mut self.buffers.input
    }

    /// The compressed bytes.
    pub fn output(&self) -> &[u8] {
        &self.buffers.output[..self.compressed]
    }

    fn compress(&mut self, length: usize, compression: Compression) -> Result<()> {
        thread_local! {
            static LAST: std::cell::RefCell<Option<Compressor>> = const {
                std::cell::RefCell::new(None)
            };
        }
        let Buffers { input, output } = &mut self.buffers;
        LAST.with_borrow_mut(|last| {
            if last.as_ref().is_none_or(|last| last.compression() != compression) {
                *last = Compressor::new(compression)?;
            }
            self.compressed = match last {
                Some(compressor) => compressor.compress(&input[..length], output)?,
                None => 0,
            };
            Ok(())
        })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.lent -= 1;
        state.idle.push(std::mem::take(&mut self.buffers));
        drop(state);
        self.shared.changed.notify_all();
    }
}
