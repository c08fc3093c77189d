//! A request's share of the pool: buffers, and work on them.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use tracing::debug_span;

use super::{BufferLease, Job, Lessee, Shared, lock};
use crate::cancel::Waiter;
use crate::error::Result;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What the pool knows about a request.
#[derive(Debug)]
pub(super) struct Owner {
    /// Requests are numbered as they come.
    pub(super) number: u64,
    /// The buffers that were compressed for it.
    pub(super) served: AtomicU64,
    /// The buffers that it holds.
    pub(super) held: AtomicUsize,
    pub(super) cancel: Waiter,
}

/// A request's share of the pool.
#[derive(Debug)]
pub struct Turn {
    shared: Arc<Shared>,
    pub(super) owner: Arc<Owner>,
    /// The buffers that were compressed for it when it paused for others last.
    paused: AtomicU64,
}

/// Work that was handed in, and what it will come to; dropping it makes the work void.
#[derive(Debug)]
pub struct Ticket<T>(Arc<Mutex<Option<Done<T>>>>);

type Done<T> = std::thread::Result<Result<(BufferLease, T)>>;

impl Turn {
    pub(super) fn new(shared: Arc<Shared>, number: u64, cancel: Waiter) -> Self {
        shared.starts.begin(number);
        let (served, held) = (AtomicU64::new(0), AtomicUsize::new(0));
        let owner = Arc::new(Owner { number, served, held, cancel });
        Self { shared, owner, paused: AtomicU64::new(u64::MAX) }
    }

    /// Fails if the request is no longer wanted. A large one pauses here for requests that have just
    /// begun. To be called often: at least for each file and each few hundred kilobytes.
    pub fn check(&self) -> Result<()> {
        if self.shared.starts.any() {
            self.pause()?;
        }
        self.owner.cancel.check()
    }

    /// Pauses for others, while the pool's threads have enough to do, but only once a buffer: where
    /// small requests never end, a large one still gets on. Gives whether it paused.
    pub(super) fn pause(&self) -> Result<bool> {
        let Owner { number, served, cancel, .. } = &*self.owner;
        let served = served.load(Ordering::Relaxed);
        let enough = || self.shared.is_busy(&lock(&self.shared.state));
        let waited = self.paused.load(Ordering::Relaxed) != served
            && self.shared.starts.pause(*number, cancel, enough)?;
        if waited {
            self.paused.store(served, Ordering::Relaxed);
        }
        Ok(waited)
    }

    /// Says that nobody needs to pause for this request: it waits for others.
    pub fn waits(&self) {
        self.shared.starts.end(self.owner.number);
    }

    /// What its thread waits by.
    pub fn cancel(&self) -> &Waiter {
        &self.owner.cancel
    }

    /// The number of buffers that the request should have in work.
    pub fn depth(&self) -> usize {
        self.shared.jobs + 1
    }

    /// A buffer, if there is one that nobody waits for.
    pub fn try_lease(&self) -> Option<BufferLease> {
        let mut state = lock(&self.shared.state);
        let free =
            state.lessees.is_empty().then(|| self.shared.free_buffers(&mut state, &self.owner))?;
        // Who can do without a buffer learns why there is none when it has to have one.
        free.ok().flatten().map(|buffers| BufferLease::new(buffers, &self.shared, &self.owner))
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
                self.shared.give_back(&mut state, &self.owner, buffers);
            }
        }
        granted?.map(|buffers| BufferLease::new(buffers, &self.shared, &self.owner))
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
        let (number, cancel) = (owner.number, owner.cancel.clone());
        let run = Box::new(move || {
            if Arc::strong_count(&outcome) == 1 {
                return;
            }
            let _span = debug_span!("work", request = number).entered();
            let done = catch_unwind(AssertUnwindSafe(|| {
                let result = work(&mut lease)?;
                Ok((lease, result))
            }));
            *lock(&outcome) = Some(done);
            cancel.wake();
        });
        let mut state = lock(&self.shared.state);
        state.waiting.push(Job { owner, run });
        self.shared.call_spare(&state);
        drop(state);
        self.shared.work.notify_one();
        ticket
    }

    /// The buffer, when the work on it is done, and what that came to.
    pub fn wait<T>(&self, ticket: &Ticket<T>) -> Result<(BufferLease, T)> {
        let done = self.owner.cancel.wait_for(|| lock(&ticket.0).take())?;
        done.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.starts.end(self.owner.number);
    }
}
