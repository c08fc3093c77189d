//! The process's compression threads and their buffers, shared by all requests.
//!
//! `jobs` threads work on one buffer each. A request takes part through its [`Turn`]: it leases
//! buffers, has work done on them, and waits for the results. Both the threads and the buffers go
//! to the request that has been served least, so that a small one does not queue behind large
//! ones, and now and then to the oldest, so that a large one does not starve. One more buffer is
//! for requests that have none yet, and while all threads are at work for others, one more thread
//! serves a request's first buffer. While new requests are served, large ones get no further
//! buffers, all threads but one leave their work, and their own threads, which read and hash,
//! pause: the new requests need the processors. Nobody waits for a buffer while holding one. Idle
//! threads sleep; after a quiet while they give memory back.

mod buffers;
#[cfg(test)]
mod schedules;
mod starts;
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
use starts::Starts;
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
    starts: Starts,
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
    /// The requests that threads are at work for, one a thread.
    running: Vec<Arc<Owner>>,
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WorkerPool {
    /// A pool of `jobs` threads.
    pub fn new(jobs: NonZeroUsize) -> Result<Self> {
        let jobs = jobs.get();
        let (state, requests) = (Mutex::default(), AtomicU64::new(0));
        let (work, spare_work) = (Condvar::new(), Condvar::new());
        let starts = Starts::default();
        let pool = Self(Arc::new(Shared { state, work, spare_work, jobs, requests, starts }));
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
    /// A request's first buffer, while all others are at work for other requests.
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
                let was_new = self.is_new(&owner);
                owner.served.fetch_add(1, Ordering::Relaxed);
                if was_new && !self.is_new(&owner) {
                    self.starts.end(owner.number);
                }
                state.running.push(owner.clone());
                self.call_spare(&state);
                drop(state);
                run();
                used = true;
                state = lock(&self.state);
                if let Some(at) = state.running.iter().position(|one| Arc::ptr_eq(one, &owner)) {
                    state.running.swap_remove(at);
                }
                // Those that were held back may have buffers and threads now.
                self.grant(&mut state);
                if !state.waiting.is_empty() {
                    self.work.notify_one();
                }
                continue;
            }
            if !self.is_busy(&state) {
                self.starts.wake();
            }
            if used {
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
            return self.for_spare(state);
        }
        let next = self.choose(state, state.waiting.iter().map(|job| &*job.owner))?;
        if self.is_held_back(state, &state.waiting[next].owner) {
            return self.first_new(&state.waiting, |job| &job.owner);
        }
        state.served += 1;
        Some(next)
    }

    /// Whether there is enough work for all threads.
    fn is_busy(&self, state: &State) -> bool {
        !state.waiting.is_empty() || state.running.len() >= self.jobs
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

    /// How many threads are at work for requests that are not new.
    fn on_large(&self, state: &State) -> usize {
        state.running.iter().filter(|owner| !self.is_new(owner)).count()
    }

    /// Whose turn it is of those whose requests are new.
    fn first_new<T>(&self, of: &[T], owner: impl Fn(&T) -> &Arc<Owner>) -> Option<usize> {
        let new = of.iter().enumerate().filter(|(_, one)| self.is_new(owner(one)));
        new.min_by_key(|(_, one)| self.rank(owner(one))).map(|(at, _)| at)
    }

    /// Who is served first: the one that has been served least. Of large requests, rounds count; of
    /// new ones, each buffer, for one of them may become a large one.
    fn rank(&self, owner: &Owner) -> (u64, u64, u64) {
        let served = if self.is_new(owner) { owner.served.load(Ordering::Relaxed) } else { 0 };
        (self.round(owner), served, owner.number)
    }

    /// What there is for the spare thread: the first buffer of a request, while all other threads
    /// are at work for requests that have had one.
    fn for_spare(&self, state: &State) -> Option<usize> {
        let served = |owner: &Owner| owner.served.load(Ordering::Relaxed);
        if state.running.iter().filter(|owner| served(owner) > 1).count() < self.jobs {
            return None;
        }
        let first = self.first_new(&state.waiting, |job| &job.owner)?;
        (served(&state.waiting[first].owner) == 0).then_some(first)
    }

    /// Wakes the spare thread if there is something for it.
    fn call_spare(&self, state: &State) {
        if self.for_spare(state).is_some() {
            self.spare_work.notify_one();
        }
    }

    /// Whose turn it is of these: of the one that has been served least, or of the oldest.
    fn choose<'a>(&self, state: &State, owners: impl Iterator<Item = &'a Owner>) -> Option<usize> {
        let oldest = state.served.is_multiple_of(OLDEST);
        let rank = |owner: &Owner| if oldest { (0, 0, owner.number) } else { self.rank(owner) };
        owners.enumerate().min_by_key(|(at, owner)| (rank(owner), *at)).map(|(at, _)| at)
    }

    /// Whether a request gets no further thread and no further buffer for now: new requests are
    /// served, and all threads but one are at work for large requests like it. The last one leaves a
    /// processor to the new requests' own threads, which read and hash.
    fn is_held_back(&self, state: &State, owner: &Owner) -> bool {
        !self.is_new(owner)
            && self.on_large(state) >= (self.jobs - 1).max(1)
            && (state.running.iter().any(|running| self.is_new(running))
                || self.first_new(&state.waiting, |job| &job.owner).is_some())
    }

    /// Buffers that nobody holds, if there are any or new ones can be had for a request.
    fn free_buffers(&self, state: &mut State, owner: &Owner) -> Result<Option<Buffers>> {
        if self.is_held_back(state, owner) {
            return Ok(None);
        }
        // Twice as many as can be worked on keeps all threads busy; two more for reading ahead. One
        // beyond that, idle or not, is for those that have just begun.
        let has_none = self.is_new(owner) && owner.held.load(Ordering::Relaxed) == 0;
        if state.leased >= 2 * self.jobs + 2 + usize::from(has_none) {
            return Ok(None);
        }
        let free = match state.idle.pop() {
            None if state.leased == 0 => Some(Buffers::first()?),
            // Where there is no memory for more, those that are held come back.
            None => Buffers::more().ok(),
            idle => idle,
        };
        state.leased += usize::from(free.is_some());
        owner.held.fetch_add(usize::from(free.is_some()), Ordering::Relaxed);
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

    fn give_back(&self, state: &mut State, owner: &Owner, buffers: Buffers) {
        state.leased -= 1;
        owner.held.fetch_sub(1, Ordering::Relaxed);
        state.idle.push(buffers);
        self.grant(state);
    }
}
