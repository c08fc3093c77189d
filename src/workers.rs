//! The process's compression threads and their buffers, shared by all requests.
//!
//! `jobs` threads work on one buffer each. A request takes part through its [`Turn`]: it leases
//! buffers, has work done on them, and waits for the results. Both the threads and the buffers go
//! to the request that has been served least, so that a small one does not queue behind large
//! ones, and now and then to the oldest, so that a large one does not starve. While all threads
//! are at work for large requests, one more thread and one more buffer serve requests that have
//! just begun. Meanwhile large ones get no further buffers, and all threads but one leave their
//! work, for the new request's own thread needs a processor. Nobody waits for a buffer while
//! holding one. Idle threads sleep; after a quiet while they give memory back.

mod buffers;
#[cfg(test)]
mod schedules;
mod turn;

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub use buffers::BufferLease;
pub use turn::{Ticket, Turn};

use crate::cancel::Waiter;
use crate::error::{Error, Fault, Result};
use crate::layer::compress;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard, thread};
use buffers::Buffers;
use turn::Owner;

/// How long a thread keeps its codec, and the pool its buffers, after the last work.
const QUIET: Duration = Duration::from_secs(10);

/// Every so often the oldest request is served, however much it has had.
const OLDEST: u64 = 4;

/// The threads and their buffers.
#[derive(Debug)]
pub struct WorkerPool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Signalled when there is work, and when the pool is closed.
    work: Condvar,
    /// The same, for the thread that serves new requests alone.
    spare_work: Condvar,
    jobs: usize,
    requests: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Job>,
    /// Requests that wait for a buffer.
    lessees: Vec<Lessee>,
    /// Buffers that nobody holds.
    idle: Vec<Buffers>,
    /// Buffers that somebody holds.
    leased: usize,
    /// Threads that are at work for requests that are not new.
    on_large: usize,
    /// The new requests that threads are at work for, one a thread.
    on_new: Vec<u64>,
    served: u64,
    closed: bool,
}

/// Work on a buffer, and whose it is.
struct Job {
    owner: Arc<Owner>,
    run: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// A request that waits for a buffer, and where it finds it.
#[derive(Debug)]
struct Lessee {
    owner: Arc<Owner>,
    slot: Arc<Mutex<Option<Result<Buffers>>>>,
}

impl State {
    /// Counts a thread that is at work for a request.
    fn begin(&mut self, owner: &Owner, is_new: bool) {
        if is_new {
            self.on_new.push(owner.number);
        } else {
            self.on_large += 1;
        }
    }

    /// Counts it no more.
    fn end(&mut self, owner: &Owner, was_new: bool) {
        if !was_new {
            self.on_large -= 1;
        } else if let Some(at) = self.on_new.iter().position(|number| *number == owner.number) {
            self.on_new.swap_remove(at);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WorkerPool {
    /// A pool of `jobs` threads.
    pub fn new(jobs: NonZeroUsize) -> Result<Self> {
        let jobs = jobs.get();
        let (state, requests) = (Mutex::default(), AtomicU64::new(0));
        let (work, spare_work) = (Condvar::new(), Condvar::new());
        let pool = Self(Arc::new(Shared { state, work, spare_work, jobs, requests }));
        for number in 1..=jobs {
            pool.start(number, Role::Regular).map_err(|source| {
                Error::new(Fault::Environment, "cannot start a compression thread")
                    .because(source)
                    .hint("use a smaller --jobs")
            })?;
        }
        // Where there can be no more threads, new requests wait.
        drop(pool.start(jobs + 1, Role::Spare));
        Ok(pool)
    }

    fn start(&self, number: usize, role: Role) -> io::Result<()> {
        let shared = self.0.clone();
        let thread = thread::Builder::new().name(format!("compress-{number}"));
        thread.spawn(move || shared.work(role)).map(drop)
    }

    /// The share of one more request.
    pub fn turn(&self, cancel: Waiter) -> Turn {
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed);
        Turn::new(self.0.clone(), number, cancel)
    }
}

/// The threads end by themselves, each with the work it is at: nobody waits for what nobody
/// wants, least of all the end of the process.
impl Drop for WorkerPool {
    fn drop(&mut self) {
        lock(&self.0.state).closed = true;
        self.0.work.notify_all();
        self.0.spare_work.notify_all();
    }
}

/// What a thread works on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    /// Anything.
    Regular,
    /// What new requests have to be done, while all others are at work for large ones.
    Spare,
}

impl Shared {
    /// A thread's life.
    fn work(&self, role: Role) {
        let work = match role {
            Role::Regular => &self.work,
            Role::Spare => &self.spare_work,
        };
        let mut used = false;
        let mut state = lock(&self.state);
        while !state.closed {
            if let Some(next) = self.next(&mut state, role) {
                let Job { owner, run } = state.waiting.swap_remove(next);
                let is_new = self.is_new(&owner);
                state.begin(&owner, is_new);
                self.call_spare(&state);
                drop(state);
                owner.served.fetch_add(1, Ordering::Relaxed);
                run();
                used = true;
                state = lock(&self.state);
                state.end(&owner, is_new);
                // Those that were held back may have buffers and threads now.
                self.grant(&mut state);
                if !state.waiting.is_empty() {
                    self.work.notify_one();
                }
            } else if used {
                let (guard, waited) =
                    work.wait_timeout(state, QUIET).unwrap_or_else(PoisonError::into_inner);
                state = guard;
                if waited.timed_out() {
                    used = false;
                    // The buffers are those of the others.
                    let idle = match role {
                        Role::Regular => std::mem::take(&mut state.idle),
                        Role::Spare => Vec::new(),
                    };
                    drop(state);
                    drop(idle);
                    compress::forget_codecs();
                    state = lock(&self.state);
                }
            } else {
                state = work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Which job's turn it is.
    fn next(&self, state: &mut State, role: Role) -> Option<usize> {
        if role == Role::Spare {
            let is_called = state.on_large == self.jobs;
            return is_called.then(|| self.first_new(&state.waiting, |job| &job.owner)).flatten();
        }
        let next = self.choose(state, state.waiting.iter().map(|job| &*job.owner))?;
        if self.is_held_back(state, &state.waiting[next].owner) {
            return self.first_new(&state.waiting, |job| &job.owner);
        }
        state.served += 1;
        Some(next)
    }

    /// Whether a request has had no more than one round of the pool's work.
    fn is_new(&self, owner: &Owner) -> bool {
        self.round(owner) == 0
    }

    /// How many times a request has had as many buffers served as it has in work: counted one by
    /// one, it would wait for itself.
    fn round(&self, owner: &Owner) -> u64 {
        owner.served.load(Ordering::Relaxed) / (self.jobs as u64 + 1)
    }

    /// The one of these whose request is new, and came first.
    fn first_new<T>(&self, of: &[T], owner: impl Fn(&T) -> &Arc<Owner>) -> Option<usize> {
        let new = of.iter().enumerate().filter(|(_, one)| self.is_new(owner(one)));
        new.min_by_key(|(_, one)| owner(one).number).map(|(at, _)| at)
    }

    /// Wakes the spare thread if there is something for it.
    fn call_spare(&self, state: &State) {
        if state.on_large == self.jobs && self.first_new(&state.waiting, |job| &job.owner).is_some()
        {
            self.spare_work.notify_one();
        }
    }

    /// Whose turn it is of these: of the one that has been served least, or of the oldest.
    fn choose<'a>(&self, state: &State, owners: impl Iterator<Item = &'a Owner>) -> Option<usize> {
        let oldest = state.served.is_multiple_of(OLDEST);
        let rank = |owner: &Owner| (if oldest { 0 } else { self.round(owner) }, owner.number);
        owners.enumerate().min_by_key(|(at, owner)| (rank(owner), *at)).map(|(at, _)| at)
    }

    /// Whether a request gets no further thread and no further buffer for now: new requests are served,
    /// and all threads but one are at work for large requests like it. The last one leaves a processor
    /// to the new requests' own threads, which read and hash.
    fn is_held_back(&self, state: &State, owner: &Owner) -> bool {
        !self.is_new(owner)
            && state.on_large >= (self.jobs - 1).max(1)
            && (state.on_new.iter().any(|number| *number != owner.number)
                || self.first_new(&state.waiting, |job| &job.owner).is_some())
    }

    /// Buffers that nobody holds, if there are any or new ones can be had for a request.
    fn free_buffers(&self, state: &mut State, owner: &Owner) -> Result<Option<Buffers>> {
        if self.is_held_back(state, owner) {
            return Ok(None);
        }
        let free = match state.idle.pop() {
            None if state.leased == 0 => Some(Buffers::first()?),
            // Twice as many as can be worked on keeps all threads busy; two more for reading ahead.
            // Where there is no memory for them, those that are held come back.
            None if state.leased < 2 * self.jobs + 2 + usize::from(self.is_new(owner)) => {
                Buffers::more().ok()
            }
            idle => idle,
        };
        state.leased += usize::from(free.is_some());
        Ok(free)
    }

    /// Gives free buffers to those who wait for them.
    fn grant(&self, state: &mut State) {
        loop {
            let owners = state.lessees.iter().map(|lessee| &*lessee.owner);
            let (first, new) =
                (self.choose(state, owners), self.first_new(&state.lessees, |one| &one.owner));
            let granted = [first, new].into_iter().flatten().find_map(|next| {
                let owner = state.lessees[next].owner.clone();
                Some((next, self.free_buffers(state, &owner).transpose()?))
            });
            let Some((next, granted)) = granted else { return };
            let Lessee { owner, slot } = state.lessees.swap_remove(next);
            *lock(&slot) = Some(granted);
            owner.cancel.wake();
        }
    }

    fn give_back(&self, state: &mut State, buffers: Buffers) {
        state.leased -= 1;
        state.idle.push(buffers);
        self.grant(state);
    }
}
