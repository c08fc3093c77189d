//! Single flight: of all that want one segment, one builds it and the others wait.
//!
//! In a process a set of keys says who builds what; between processes a lock file does. Both are
//! given up by dropping a guard, so neither a panic, nor a cancel, nor a kill leaves anyone
//! waiting. Nobody waits here while holding a flight, so there is no circle of waiting.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Key;
use crate::error::Result;
use crate::fs::directory::{Lock, try_lock};

/// How often a waiter looks whether it is still wanted, or another process has finished.
const LOOK: Duration = Duration::from_millis(10);

/// Who builds what in this process.
#[derive(Debug, Default)]
pub(super) struct Flights(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    keys: Mutex<BTreeSet<Key>>,
    landed: Condvar,
}

impl Shared {
    fn keys(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to build a segment, until dropped.
#[derive(Debug)]
pub struct Flight {
    key: Key,
    shared: Arc<Shared>,
    /// Between processes; freed with the flight.
    lock: Option<Lock>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        drop(self.lock.take());
        self.shared.keys().remove(&self.key);
        self.shared.landed.notify_all();
    }
}

impl Flights {
    /// Whether nobody builds this key now; if so, the caller does from here on.
    pub(super) fn try_start(&self, key: Key, lock_file: Option<PathBuf>) -> Option<Flight> {
        if !self.0.keys().insert(key) {
            return None;
        }
        let mut flight = Flight { key, shared: self.0.clone(), lock: None };
        // Without a lock file two processes may build the same, and store the same bytes.
        if let Some(path) = lock_file {
            match try_lock(&path) {
                Ok(Some(lock)) => flight.lock = Some(lock),
                Ok(None) => return None,
                Err(_unavailable) => {}
            }
        }
        Some(flight)
    }

    /// Waits a moment for somebody's flight to land.
    pub(super) fn wait(&self, check: &dyn Fn() -> Result<()>) -> Result<()> {
        check()?;
        let keys = self.0.keys();
        drop(self.0.landed.wait_timeout(keys, LOOK).unwrap_or_else(PoisonError::into_inner));
        check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KeyBuilder;
    use crate::error::Error;

    #[test]
    fn one_builds_and_a_dropped_flight_frees_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyBuilder::new("test").finish();
        let other = KeyBuilder::new("other").finish();
        let file = || Some(folder.path().join("lock"));
        // Another process has flights of its own and the lock file in common.
        let (here, there) = (Flights::default(), Flights::default());
        for (one, two) in [(&here, &here), (&here, &there), (&there, &here)] {
            let flight = one.try_start(key, file()).unwrap();
            assert!(two.try_start(key, file()).is_none());
            drop(flight);
            assert!(two.try_start(key, file()).is_some());
        }
        let panicked = std::panic::catch_unwind(|| {
            let _flight = here.try_start(key, file()).unwrap();
            std::panic::resume_unwind(Box::new("a leader dies"));
        });
        assert!(panicked.is_err());
        assert!(there.try_start(key, file()).is_some());
        let _one = here.try_start(key, None).unwrap();
        assert!(here.try_start(other, None).is_some(), "another segment");
    }

    #[test]
    fn a_waiter_that_is_abandoned_waits_no_longer() {
        let flights = Flights::default();
        let key = KeyBuilder::new("test").finish();
        let _flight = flights.try_start(key, None).unwrap();
        assert!(flights.wait(&|| Ok(())).is_ok());
        assert!(flights.wait(&|| Err(Error::abandoned())).is_err());
    }
}
