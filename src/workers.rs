//! The process's compression threads and their buffers, shared by all requests.
//!
//! `jobs` threads work on one buffer each. A request takes part through its [`Turn`]: it leases
//! buffers, has work done on them, and waits for the results. Both the threads and the buffers go
//! to the request that has been served least, so that a small one does not queue behind large
//! ones, and now and then to the oldest, so that a large one does not starve. Nobody waits for a
//! buffer while holding one. Idle threads sleep; after a quiet while they give memory back.

mod buffers;

use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::debug_span;

use crate::cancel::CancelCheck;
use crate::error::{Error, Fault, Result};
use crate::layer::compress;
use buffers::Buffers;

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

/// What the pool knows about a request.
#[derive(Debug)]
struct Owner {
    /// Requests are numbered as they come.
    number: u64,
    /// The buffers that were compressed for it.
    served: AtomicU64,
    cancel: CancelCheck,
}

/// A request's share of the pool.
#[derive(Debug)]
pub struct Turn {
    shared: Arc<Shared>,
    owner: Arc<Owner>,
}

/// Buffers to work with; they go back to the pool when dropped.
#[derive(Debug)]
pub struct BufferLease {
    buffers: Option<Buffers>,
    shared: Arc<Shared>,
}

/// Work that was handed in, and what it will come to; dropping it makes the work void.
#[derive(Debug)]
pub struct Ticket<T>(Arc<Mutex<Option<Done<T>>>>);

type Done<T> = std::thread::Result<Result<(BufferLease, T)>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WorkerPool {
    /// A pool of `jobs` threads.
    pub fn new(jobs: NonZeroUsize) -> Result<Self> {
        let jobs = jobs.get();
        let (state, work, requests) = (Mutex::default(), Condvar::new(), AtomicU64::new(0));
        let pool = Self(Arc::new(Shared { state, work, jobs, requests }));
        for number in 1..=jobs {
            let shared = pool.0.clone();
            std::thread::Builder::new()
                .name(format!("compress-{number}"))
                .spawn(move || shared.work())
                .map_err(|source| {
                    Error::new(Fault::Environment, "cannot start a compression thread")
                        .because(source)
                        .hint("use a smaller --jobs")
                })?;
        }
        Ok(pool)
    }

    /// The share of one more request.
    pub fn turn(&self, cancel: CancelCheck) -> Turn {
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed);
        let owner = Arc::new(Owner { number, served: AtomicU64::new(0), cancel });
        Turn { shared: self.0.clone(), owner }
    }
}

/// The threads end by themselves, each with the work it is at: nobody waits for what nobody
/// wants, least of all the end of the process.
impl Drop for WorkerPool {
    fn drop(&mut self) {
        lock(&self.0.state).closed = true;
        self.0.work.notify_all();
    }
}

impl Turn {
    /// Whether the request is still wanted.
    pub fn check(&self) -> Result<()> {
        self.owner.cancel.check()
    }

    /// What its thread waits by.
    pub fn cancel(&self) -> &CancelCheck {
        &self.owner.cancel
    }

    /// The number of buffers that the request should have in work.
    pub fn depth(&self) -> usize {
        self.shared.jobs + 1
    }

    /// A buffer, if there is one that nobody waits for.
    pub fn try_lease(&self) -> Option<BufferLease> {
        let mut state = lock(&self.shared.state);
        let free = state.lessees.is_empty().then(|| self.shared.free_buffers(&mut state))?;
        // Who can do without a buffer learns why there is none when it has to have one.
        free.ok().flatten().map(|buffers| self.shared.lease(buffers))
    }

    /// A buffer. Must not be called by a request that holds one: that would be a deadlock.
    pub fn lease(&self) -> Result<BufferLease> {
        let slot = Arc::default();
        {
            let mut state = lock(&self.shared.state);
            state.lessees.push(Lessee { owner: self.owner.clone(), slot: Arc::clone(&slot) });
            self.shared.grant(&mut state);
        }
        let granted = self.owner.cancel.wait_for(|| lock(&slot).take());
        if granted.is_err() {
            let mut state = lock(&self.shared.state);
            state.lessees.retain(|lessee| !Arc::ptr_eq(&lessee.slot, &slot));
            // It may have been granted at the last moment.
            if let Some(Ok(buffers)) = lock(&slot).take() {
                self.shared.give_back(&mut state, buffers);
            }
        }
        granted?.map(|buffers| self.shared.lease(buffers))
    }

    /// Has work done on a buffer.
    pub fn submit<T: Send + 'static>(
        &self,
        mut lease: BufferLease,
        work: impl FnOnce(&mut BufferLease) -> Result<T> + Send + 'static,
    ) -> Ticket<T> {
        let outcome = Arc::new(Mutex::new(None));
        let ticket = Ticket(outcome.clone());
        let owner = self.owner.clone();
        let cancel = owner.cancel.clone();
        let run = Box::new(move || {
            if Arc::strong_count(&outcome) == 1 {
                return;
            }
            let _span = debug_span!("work").entered();
            let done = catch_unwind(AssertUnwindSafe(|| {
                let result = work(&mut lease)?;
                Ok((lease, result))
            }));
            *lock(&outcome) = Some(done);
            cancel.wake();
        });
        lock(&self.shared.state).waiting.push(Job { owner, run });
        self.shared.work.notify_one();
        ticket
    }

    /// The buffer, when the work on it is done, and what that came to.
    pub fn wait<T>(&self, ticket: &Ticket<T>) -> Result<(BufferLease, T)> {
        let done = self.owner.cancel.wait_for(|| lock(&ticket.0).take())?;
        done.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Shared {
    /// A thread's life.
    fn work(&self) {
        let mut used = false;
        let mut state = lock(&self.state);
        while !state.closed {
            if let Some(next) = self.next(&mut state) {
                let Job { owner, run } = state.waiting.swap_remove(next);
                drop(state);
                owner.served.fetch_add(1, Ordering::Relaxed);
                run();
                used = true;
                state = lock(&self.state);
            } else if used {
                let (guard, waited) =
                    self.work.wait_timeout(state, QUIET).unwrap_or_else(PoisonError::into_inner);
                state = guard;
                if waited.timed_out() && state.waiting.is_empty() {
                    used = false;
                    let idle = std::mem::take(&mut state.idle);
                    drop(state);
                    drop(idle);
                    compress::forget_codecs();
                    state = lock(&self.state);
                }
            } else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Which job's turn it is.
    fn next(&self, state: &mut State) -> Option<usize> {
        let next = self.choose(state, state.waiting.iter().map(|job| &*job.owner));
        state.served += u64::from(next.is_some());
        next
    }

    /// Whose turn it is of these: of the one that has been served least, or of the oldest.
    fn choose<'a>(&self, state: &State, owners: impl Iterator<Item = &'a Owner>) -> Option<usize> {
        let oldest = state.served.is_multiple_of(OLDEST);
        let rank = |owner: &Owner| {
            let served = if oldest { 0 } else { owner.served.load(Ordering::Relaxed) };
            // In rounds of as many as a request has in work: else it would wait for itself.
            (served / (self.jobs as u64 + 1), owner.number)
        };
        owners.enumerate().min_by_key(|(at, owner)| (rank(owner), *at)).map(|(at, _)| at)
    }

    /// Buffers that nobody holds, if there are any or new ones can be had.
    fn free_buffers(&self, state: &mut State) -> Result<Option<Buffers>> {
        let free = match state.idle.pop() {
            None if state.leased == 0 => Some(Buffers::first()?),
            // Twice as many as can be worked on keeps all threads busy; two more for reading ahead.
            // Where there is no memory for them, those that are held come back.
            None if state.leased < 2 * self.jobs + 2 => Buffers::more().ok(),
            idle => idle,
        };
        state.leased += usize::from(free.is_some());
        Ok(free)
    }

    fn lease(self: &Arc<Self>, buffers: Buffers) -> BufferLease {
        BufferLease { buffers: Some(buffers), shared: self.clone() }
    }

    /// Gives free buffers to those who wait for them.
    fn grant(&self, state: &mut State) {
        while let Some(next) = self.choose(state, state.lessees.iter().map(|lessee| &*lessee.owner))
            && let Some(granted) = self.free_buffers(state).transpose()
        {
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

impl Drop for BufferLease {
    fn drop(&mut self) {
        if let Some(buffers) = self.buffers.take() {
            self.shared.give_back(&mut lock(&self.shared.state), buffers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(jobs: usize) -> WorkerPool {
        WorkerPool::new(NonZeroUsize::new(jobs).unwrap()).unwrap()
    }

    fn turn(pool: &WorkerPool) -> Turn {
        pool.turn(CancelCheck::default())
    }

    #[test]
    fn work_is_done_and_a_panic_costs_its_own_ticket() {
        let pool = pool(2);
        let turn = turn(&pool);
        let tickets: Vec<_> = (0..4_u8)
            .map(|number| {
                let work = move |lease: &mut BufferLease| {
                    assert_ne!(number, 2, "as it should be");
                    lease.input()[0] = number;
                    Ok(u32::from(number))
                };
                turn.submit(turn.lease().unwrap(), work)
            })
            .collect();
        for (number, ticket) in (0..).zip(&tickets) {
            let done = catch_unwind(AssertUnwindSafe(|| turn.wait(ticket)));
            match done {
                Ok(Ok((mut lease, result))) => {
                    assert_eq!((u32::from(lease.input()[0]), result), (number, number));
                }
                Ok(Err(error)) => panic!("{error}"),
                Err(_) => assert_eq!(number, 2),
            }
        }
        drop(tickets);
        let all: Vec<_> = std::iter::from_fn(|| turn.try_lease()).collect();
        assert_eq!(all.len(), 6, "no buffer is lost");
    }

    #[test]
    fn buffers_go_to_the_one_served_least_and_past_a_cancelled_one() {
        let pool = pool(1);
        let (large, small, gone) = (turn(&pool), turn(&pool), turn(&pool));
        for _ in 0..2 * OLDEST {
            let ticket = large.submit(large.lease().unwrap(), |_| Ok(()));
            large.wait(&ticket).unwrap();
        }
        let mut held: Vec<_> = std::iter::from_fn(|| large.try_lease()).collect();
        let (sender, receiver) = std::sync::mpsc::channel();
        gone.owner.cancel.cancel();
        assert!(gone.lease().is_err());
        std::thread::scope(|scope| {
            for (name, turn) in [("large", &large), ("small", &small)] {
                let sender = sender.clone();
                scope.spawn(move || {
                    let lease = turn.lease().unwrap();
                    sender.send(name).unwrap();
                    drop(lease);
                });
            }
            while lock(&pool.0.state).lessees.len() < 2 {
                std::thread::yield_now();
            }
            assert!(small.try_lease().is_none(), "nobody overtakes those who wait");
            // Not the oldest one's turn.
            lock(&pool.0.state).served = 1;
            drop(held.pop());
            assert_eq!([receiver.recv().unwrap(), receiver.recv().unwrap()], ["small", "large"]);
        });
    }

    #[test]
    fn the_oldest_is_served_now_and_then() {
        let pool = pool(1);
        let (old, new) = (turn(&pool), turn(&pool));
        old.owner.served.store(1000, Ordering::Relaxed);
        let state = |served| State { served, ..State::default() };
        let choose = |served| pool.0.choose(&state(served), [&*old.owner, &*new.owner].into_iter());
        assert_eq!([0, 1, 2, 3, 4].map(choose), [Some(0), Some(1), Some(1), Some(1), Some(0)]);
    }
}
