//! Single flight: of all that want one segment, one builds it and the others wait.
//!
//! In a process a map says who builds what, and who waits to be woken; between processes a lock
//! file named by the key does. Both are given up by dropping a guard, so neither a panic, nor a
//! cancel, nor a kill leaves anyone waiting. Nobody waits here while holding a flight that others
//! may wait for, so there is no circle of waiting. A process that holds a lock and makes no
//! progress (it is stopped, or its file system hangs) is passed by: then two build the same.

#![expect(clippy::disallowed_methods, reason = "how long to wait for another; no byte")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::{DashMap, Entry};

use super::Key;
use crate::cancel::Waiter;
use crate::error::Result;
use crate::fs::directory::{Lock, read_progress, try_lock};
use crate::sync::atomic::{AtomicBool, Ordering};

/// How long the holder of a lock may make no progress: one member at the slowest level takes a
/// tenth of it.
const STALLED: Duration = Duration::from_secs(20);

/// How long a waiter sleeps before it looks again at another process's lock: at first, at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(200)];

type Waiters = Arc<DashMap<Key, Flying>>;

/// A flight as others see it.
#[derive(Debug, Default)]
struct Flying {
    waiters: Vec<Waiter>,
    /// Of this very flight: the next one for the same key may start before a waiter looks.
    landed: Arc<AtomicBool>,
}

/// Who builds what in this process, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct Flights(Waiters);

/// The right to build a segment, until dropped.
#[derive(Debug)]
pub struct Flight {
    key: Key,
    flights: Waiters,
    /// Between processes; freed with the flight.
    lock: Option<Lock>,
}

/// What somebody who wants to build a segment has to do first.
#[derive(Debug)]
pub enum Start {
    /// Nothing.
    Now(Flight),
    /// To wait for somebody else.
    Later(Waiting),
}

/// A segment that somebody else builds.
#[derive(Debug)]
pub struct Waiting(Whom);

#[derive(Debug)]
enum Whom {
    /// Another request of this process; it says when its flight has landed.
    Request(Arc<AtomicBool>),
    /// Another process: this request is the one that waits for all of this one's.
    Process(Flight, PathBuf),
}

impl Drop for Flight {
    fn drop(&mut self) {
        drop(self.lock.take());
        if let Some((_, flying)) = self.flights.remove(&self.key) {
            flying.landed.store(true, Ordering::SeqCst);
            flying.waiters.iter().for_each(Waiter::wake);
        }
    }
}

impl Flight {
    /// Says to other processes that this one is still at work.
    pub fn progress(&mut self) {
        if let Some(lock) = &mut self.lock {
            lock.progress();
        }
    }
}

impl Flights {
    /// Starts to build a segment, unless somebody else does.
    pub(super) fn start(&self, key: Key, cancel: &Waiter, lock_file: Option<PathBuf>) -> Start {
        match self.0.entry(key) {
            Entry::Occupied(mut flying) => {
                let flying = flying.get_mut();
                flying.waiters.push(cancel.clone());
                return Start::Later(Waiting(Whom::Request(flying.landed.clone())));
            }
            Entry::Vacant(place) => drop(place.insert(Flying::default())),
        }
        let mut flight = Flight { key, flights: self.0.clone(), lock: None };
        // Without a lock file two processes may build the same, and store the same bytes.
        if let Some(path) = lock_file {
            match try_lock(&path) {
                Ok(Some(lock)) => flight.lock = Some(lock),
                Ok(None) => return Start::Later(Waiting(Whom::Process(flight, path))),
                Err(_unavailable) => {}
            }
        }
        Start::Now(flight)
    }
}

impl Waiting {
    /// Waits; gives the flight if it was another process that was waited for. Nothing may be held
    /// that others wait for.
    pub fn wait(self, cancel: &Waiter) -> Result<Option<Flight>> {
        match self.0 {
            Whom::Request(landed) => {
                cancel.wait_for(|| landed.load(Ordering::SeqCst).then_some(()))?;
                Ok(None)
            }
            Whom::Process(flight, path) => wait(flight, &path, cancel, STALLED).map(Some),
        }
    }
}

/// Waits for another process, as long as it makes progress.
fn wait(
    mut flight: Flight,
    path: &std::path::Path,
    cancel: &Waiter,
    stalled: Duration,
) -> Result<Flight> {
    let [mut pause, longest] = PAUSES;
    let (mut seen, mut since) = (read_progress(path), Instant::now());
    loop {
        cancel.pause(pause)?;
        pause = (2 * pause).min(longest);
        match try_lock(path) {
            Ok(None) => {}
            Ok(lock) => {
                flight.lock = lock;
                return Ok(flight);
            }
            Err(_unavailable) => return Ok(flight),
        }
        let now = read_progress(path);
        if now != seen {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() >= stalled {
            return Ok(flight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KeyBuilder;
    use crate::sync::{explore, once, thread};

    fn key(name: &str) -> Key {
        KeyBuilder::new(name).finish()
    }

    fn started(start: Start) -> Option<Flight> {
        match start {
            Start::Now(flight) => Some(flight),
            Start::Later(_) => None,
        }
    }

    #[test]
    fn one_builds_and_a_dropped_flight_frees_the_others() {
        once(|| {
            let folder = tempfile::tempdir().unwrap();
            let (key, other) = (key("test"), key("other"));
            let file = || Some(folder.path().join("lock"));
            let cancel = Waiter::default();
            // Another process has flights of its own and the lock file in common.
            let (here, there) = (Flights::default(), Flights::default());
            for (one, two) in [(&here, &here), (&here, &there), (&there, &here)] {
                let flight = started(one.start(key, &cancel, file())).unwrap();
                assert!(started(two.start(key, &cancel, file())).is_none());
                drop(flight);
                assert!(started(two.start(key, &cancel, file())).is_some());
                assert!(
                    !folder.path().join("lock").exists(),
                    "a lock that nobody holds is no file"
                );
            }
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _flight = started(here.start(key, &cancel, file())).unwrap();
                std::panic::resume_unwind(Box::new("a leader dies"));
            }));
            assert!(panicked.is_err());
            assert!(started(there.start(key, &cancel, file())).is_some());
            let _one = started(here.start(key, &cancel, None)).unwrap();
            assert!(started(here.start(other, &cancel, None)).is_some(), "another segment");
        });
    }

    #[test]
    fn of_all_that_want_a_segment_one_builds_it_and_all_come_to_an_end() {
        explore(|| {
            let flights = Arc::new(Flights::default());
            let [building, built] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
            let gone = Waiter::default();
            let cancels = [Waiter::default(), gone.clone(), Waiter::default()];
            let requests = cancels.map(|cancel| {
                let (flights, building, built) = (flights.clone(), building.clone(), built.clone());
                thread::spawn(move || {
                    loop {
                        let flight = match flights.start(key("test"), &cancel, None) {
                            Start::Now(flight) => flight,
                            Start::Later(waiting) => {
                                waiting.wait(&cancel)?;
                                continue;
                            }
                        };
                        assert!(!building.swap(true, Ordering::SeqCst), "one at a time");
                        let known = built.load(Ordering::SeqCst);
                        // A request that is cancelled leaves the segment to the others.
                        let done = cancel.check();
                        if done.is_ok() && !known {
                            built.store(true, Ordering::SeqCst);
                        }
                        building.store(false, Ordering::SeqCst);
                        drop(flight);
                        return done;
                    }
                })
            });
            gone.cancel();
            let [first, _, last] = requests.map(|request| request.join().unwrap());
            first.unwrap();
            last.unwrap();
            assert!(built.load(Ordering::SeqCst) && flights.0.is_empty());
        });
    }

    #[test]
    fn different_segments_do_not_wait_for_each_other() {
        explore(|| {
            let flights = Arc::new(Flights::default());
            let cancel = Waiter::default();
            let slow = started(flights.start(key("slow"), &cancel, None)).unwrap();
            let others = ["one", "two"].map(|name| {
                let flights = flights.clone();
                thread::spawn(move || {
                    let cancel = Waiter::default();
                    drop(started(flights.start(key(name), &cancel, None)).unwrap());
                })
            });
            for other in others {
                other.join().unwrap();
            }
            drop(slow);
        });
    }

    #[test]
    fn a_waiter_does_not_miss_the_end_because_another_flight_starts_at_once() {
        once(|| {
            let flights = Flights::default();
            let cancel = Waiter::default();
            let first = started(flights.start(key("test"), &cancel, None)).unwrap();
            let Start::Later(waiting) = flights.start(key("test"), &cancel, None) else {
                panic!("it is being built")
            };
            drop(first);
            let _second = started(flights.start(key("test"), &Waiter::default(), None)).unwrap();
            // Or it would never come back.
            assert!(waiting.wait(&cancel).unwrap().is_none());
        });
    }

    #[test]
    fn another_process_is_waited_for_while_it_makes_progress() {
        once(|| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("lock");
            let cancel = Waiter::default();
            let (here, there) = (Flights::default(), Flights::default());
            let theirs = started(there.start(key("test"), &cancel, Some(path.clone()))).unwrap();
            let Start::Later(Waiting(Whom::Process(ours, _))) =
                here.start(key("test"), &cancel, Some(path.clone()))
            else {
                panic!("another process builds it")
            };
            // It is stopped: building twice is better than waiting for ever.
            let ours = wait(ours, &path, &cancel, Duration::ZERO).unwrap();
            assert!(ours.lock.is_none());
            drop(ours);
            let before = read_progress(&path);
            let mut theirs = theirs;
            theirs.progress();
            assert_ne!(read_progress(&path), before);

            let Start::Later(waiting) = here.start(key("test"), &cancel, Some(path)) else {
                panic!("another process still builds it")
            };
            drop(theirs);
            assert!(waiting.wait(&cancel).unwrap().unwrap().lock.is_some());
        });
    }
}
