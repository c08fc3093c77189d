//! Requests that have just begun, and the large ones whose threads pause for them.

#![expect(clippy::disallowed_methods, reason = "how long others pause; no byte")]

use std::time::{Duration, Instant};

use super::lock;
use crate::cancel::Waiter;
use crate::error::Result;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// How long after its start a request has others pause at most.
const PAUSE: Duration = Duration::from_millis(50);

/// The requests that have just begun.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// Whether there may be any: who asks this often need not lock.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Their numbers, and when they began.
    starting: Vec<(u64, Instant)>,
    /// Who pauses for them.
    paused: Vec<Waiter>,
}

impl Starts {
    /// Says that a request begins.
    pub(super) fn begin(&self, number: u64) {
        let mut state = lock(&self.state);
        state.starting.push((number, Instant::now()));
        self.any.store(true, Ordering::Relaxed);
    }

    /// Says that nobody needs to pause for a request any more.
    pub(super) fn end(&self, number: u64) {
        let mut state = lock(&self.state);
        state.starting.retain(|(starting, _)| *starting != number);
        if state.starting.is_empty() {
            self.any.store(false, Ordering::Relaxed);
            state.paused.drain(..).for_each(|paused| paused.wake());
        }
    }

    /// Has those that pause look again whether they have to.
    pub(super) fn wake(&self) {
        if self.any() {
            lock(&self.state).paused.drain(..).for_each(|paused| paused.wake());
        }
    }

    /// Whether there may be requests that have just begun.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Has a request wait until none has just begun, unless it has itself, while there is `enough`
    /// work for the pool; gives whether it waited.
    pub(super) fn pause(
        &self,
        number: u64,
        waiter: &Waiter,
        enough: impl Fn() -> bool,
    ) -> Result<bool> {
        let mut others = false;
        waiter.wait_at_most(PAUSE, || {
            // Before the lock: the pool's threads come here holding theirs.
            if !enough() {
                return Some(());
            }
            let mut state = lock(&self.state);
            state.starting.retain(|(_, start)| start.elapsed() < PAUSE);
            if state.starting.is_empty() {
                self.any.store(false, Ordering::Relaxed);
                return Some(());
            }
            if state.starting.iter().any(|(starting, _)| *starting == number) {
                return Some(());
            }
            state.paused.push(waiter.clone());
            others = true;
            None
        })?;
        Ok(others)
    }
}
