//! Whether a request is still wanted, and waiting that ends when it is not.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Mutex};

/// A request's cancellation, and the one place where its thread sleeps. Clones are the same.
///
/// Whatever the thread may wait for holds a clone and calls [`wake`](Self::wake) when it is ready,
/// so nobody polls, and a cancel ends every wait at once.
#[derive(Clone, Default)]
pub struct Waiter(Arc<Shared>);

#[derive(Default)]
struct Shared {
    cancelled: AtomicBool,
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Waiter {
    /// To be called often, with `?`: at least for each file and each few hundred kilobytes.
    pub fn check(&self) -> Result<()> {
        if self.0.cancelled.load(Ordering::SeqCst) { Err(Error::abandoned()) } else { Ok(()) }
    }

    /// Says that the request is no longer wanted.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Has the request's thread look again whether what it waits for is ready.
    pub fn wake(&self) {
        *self.0.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }

    /// Waits until `ready` gives something. Whoever makes it ready has to [`wake`](Self::wake).
    pub fn wait_for<T>(&self, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
        loop {
            self.clear();
            if let Some(value) = ready() {
                return Ok(value);
            }
            self.check()?;
            let woken = self.0.woken.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.0.changed.wait_while(woken, |woken| !*woken));
        }
    }

    /// The same, but not for longer than `most`.
    #[expect(clippy::disallowed_methods, reason = "how long to wait; no byte")]
    pub fn wait_at_most<T>(
        &self,
        most: Duration,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>> {
        let mut left = most;
        loop {
            self.clear();
            if let Some(value) = ready() {
                return Ok(Some(value));
            }
            self.check()?;
            let start = Instant::now();
            if self.sleep(left) {
                return self.check().map(|()| None);
            }
            left = left.saturating_sub(start.elapsed());
        }
    }

    /// Sleeps for so long, or until the request is cancelled.
    pub fn pause(&self, time: Duration) -> Result<()> {
        self.wait_at_most(time, || None::<()>).map(drop)
    }

    fn clear(&self) {
        *self.0.woken.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Sleeps until somebody wakes it; gives whether the time was over before.
    fn sleep(&self, most: Duration) -> bool {
        let woken = self.0.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.changed.wait_timeout_while(woken, most, |woken| !*woken);
        waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Waiter").field(&self.0.cancelled).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{explore, thread};

    #[test]
    fn a_wait_ends_when_it_is_ready_or_cancelled() {
        explore(|| {
            let cancel = Waiter::default();
            let ready = Arc::new(AtomicBool::new(false));
            let waiter = thread::spawn({
                let (cancel, ready) = (cancel.clone(), ready.clone());
                move || cancel.wait_for(|| ready.load(Ordering::SeqCst).then_some(7)).unwrap()
            });
            cancel.wake();
            ready.store(true, Ordering::SeqCst);
            cancel.wake();
            assert_eq!(waiter.join().unwrap(), 7);

            let waiter = thread::spawn({
                let cancel = cancel.clone();
                move || cancel.wait_for(|| None::<()>)
            });
            cancel.cancel();
            assert!(waiter.join().unwrap().is_err());
            assert!(cancel.check().is_err());
            assert!(cancel.pause(Duration::from_secs(3600)).is_err(), "does not even begin");
        });
    }
}
