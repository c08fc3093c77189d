//! The pool under many schedules of its threads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::*;
use crate::sync::{explore, once};

fn pool(jobs: usize) -> WorkerPool {
    WorkerPool::new(NonZeroUsize::new(jobs).unwrap()).unwrap()
}

fn turn(pool: &WorkerPool) -> Turn {
    pool.turn(Waiter::default())
}

fn wait_until(pool: &WorkerPool, holds: impl Fn(&State) -> bool) {
    while !holds(&lock(&pool.0.state)) {
        thread::yield_now();
    }
}

/// The share of a request that has had much work done.
fn large_turn(pool: &WorkerPool) -> Turn {
    let large = turn(pool);
    large.owner.served.store(1000, Ordering::Relaxed);
    pool.0.starts.end(large.owner.number);
    large
}

/// What work waits behind until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<bool>>, Waiter);

impl Gate {
    fn work(&self) -> impl FnOnce(&mut BufferLease) -> Result<()> + Send + use<> {
        let Self(open, opened) = self.clone();
        move |_| opened.wait_for(|| lock(&open).then_some(()))
    }

    fn open(&self) {
        *lock(&self.0) = true;
        self.1.wake();
    }
}

#[test]
fn work_is_done_and_a_panic_costs_its_own_ticket() {
    explore(|| {
        let pool = pool(2);
        let turn = turn(&pool);
        let tickets: Vec<_> = (0..4_u8)
            .map(|number| {
                let work = move |lease: &mut BufferLease| {
                    if number == 2 {
                        resume_unwind(Box::new("as it should be"));
                    }
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
    });
}

#[test]
fn all_requests_end_whatever_becomes_of_one_of_them() {
    explore(|| {
        let pool = pool(1);
        let gone = Waiter::default();
        let turns = [turn(&pool), pool.turn(gone.clone()), turn(&pool)];
        let requests = turns.map(|turn| {
            thread::spawn(move || {
                // With three in work, three requests want more buffers than there are.
                let mut tickets = Vec::new();
                for _ in 0..2 {
                    tickets.push(turn.submit(turn.lease()?, |_| Ok(())));
                    let more = std::iter::from_fn(|| turn.try_lease()).take(2);
                    tickets.extend(more.map(|lease| turn.submit(lease, |_| Ok(()))));
                    for ticket in tickets.drain(..) {
                        drop(turn.wait(&ticket)?);
                    }
                }
                Ok::<_, Error>(())
            })
        });
        gone.cancel();
        let [first, _, last] = requests.map(|request| request.join().unwrap());
        first.unwrap();
        last.unwrap();
        let last = turn(&pool);
        let all: Vec<_> = (0..4).map(|_| last.lease().unwrap()).collect();
        assert!(last.try_lease().is_none(), "{} buffers", all.len());
        assert!(lock(&pool.0.state).lessees.is_empty());
    });
}

#[test]
fn buffers_go_to_the_one_served_least_and_past_a_cancelled_one() {
    explore(|| {
        let pool = pool(1);
        let (large, small, gone) = (turn(&pool), turn(&pool), turn(&pool));
        for _ in 0..2 * OLDEST {
            let ticket = large.submit(large.lease().unwrap(), |_| Ok(()));
            drop(large.wait(&ticket).unwrap());
        }
        // None of them is new.
        for turn in [&small, &gone] {
            turn.owner.served.store(2, Ordering::Relaxed);
        }
        let mut held: Vec<_> = std::iter::from_fn(|| large.try_lease()).collect();
        gone.cancel().cancel();
        assert!(gone.lease().is_err());
        let served = Arc::new(Mutex::new(Vec::new()));
        let waiting = [("large", large), ("small", small)].map(|(name, turn)| {
            let served = served.clone();
            thread::spawn(move || {
                let lease = turn.lease().unwrap();
                lock(&served).push(name);
                drop(lease);
            })
        });
        wait_until(&pool, |state| state.lessees.len() == 2);
        assert!(turn(&pool).try_lease().is_none(), "nobody overtakes those who wait");
        // Not the oldest one's turn.
        lock(&pool.0.state).served = 1;
        drop(held.pop());
        for thread in waiting {
            thread.join().unwrap();
        }
        assert_eq!(*lock(&served), ["small", "large"]);
    });
}

#[test]
fn a_new_request_waits_neither_for_buffers_nor_for_threads_of_large_ones() {
    explore(|| {
        let pool = pool(1);
        let (large, new) = (large_turn(&pool), turn(&pool));
        let gate = Gate::default();
        let held = large.submit(large.lease().unwrap(), gate.work());
        let more: Vec<_> = std::iter::from_fn(|| large.try_lease()).collect();
        // The only regular thread is at work until this is done.
        wait_until(&pool, |state| state.running.len() == 1);
        let done = new.submit(new.lease().unwrap(), |_| Ok(()));
        drop(new.wait(&done).unwrap());
        gate.open();
        drop(large.wait(&held).unwrap());
        drop(more);
    });
}

#[test]
fn large_requests_get_no_further_buffers_while_a_new_one_is_served() {
    explore(|| {
        let pool = pool(1);
        let (large, new) = (large_turn(&pool), turn(&pool));
        let gates = [(); 2].map(|()| Gate::default());
        let held = large.submit(large.lease().unwrap(), gates[0].work());
        wait_until(&pool, |state| state.running.len() == 1);
        assert!(large.try_lease().is_some(), "nobody else wants one");
        let served = new.submit(new.lease().unwrap(), gates[1].work());
        assert!(large.try_lease().is_none());
        let further = thread::spawn(move || large.lease().map(|lease| (large, lease)));
        gates[1].open();
        drop(new.wait(&served).unwrap());
        let (large, _further) = further.join().unwrap().unwrap();
        gates[0].open();
        drop(large.wait(&held).unwrap());
    });
}

#[test]
fn a_buffer_more_is_kept_for_new_requests() {
    once(|| {
        let pool = pool(1);
        let (large, new) = (large_turn(&pool), turn(&pool));
        let held: Vec<_> = std::iter::from_fn(|| large.try_lease()).collect();
        let more = new.try_lease();
        assert!(more.is_some() && new.try_lease().is_none(), "one beyond {}", held.len());
        drop(more);
        assert!(large.try_lease().is_none(), "nobody uses it now");
        assert!(new.try_lease().is_some());
    });
}

#[test]
fn a_thread_that_has_done_work_of_a_large_request_is_there_for_a_new_one() {
    explore(|| {
        let pool = pool(2);
        let (large, new) = (large_turn(&pool), turn(&pool));
        let gates = [(); 4].map(|()| Gate::default());
        let submit = |gate: &Gate| large.submit(large.lease().unwrap(), gate.work());
        let held = [submit(&gates[0]), submit(&gates[1])];
        wait_until(&pool, |state| state.running.len() == 2);
        let left = submit(&gates[2]);
        // The spare thread's.
        let first = new.submit(new.lease().unwrap(), gates[3].work());
        wait_until(&pool, |state| state.running.len() == 3);
        gates[0].open();
        drop(large.wait(&held[0]).unwrap());
        let second = new.submit(new.lease().unwrap(), |_| Ok(()));
        drop(new.wait(&second).unwrap());
        // Then it goes on with what it left.
        gates[3].open();
        drop(new.wait(&first).unwrap());
        gates[2].open();
        drop(large.wait(&left).unwrap());
        gates[1].open();
        drop(large.wait(&held[1]).unwrap());
    });
}

#[test]
fn a_large_request_pauses_once_a_buffer_while_another_begins() {
    once(|| {
        let pool = pool(1);
        let large = large_turn(&pool);
        let pauses = || {
            large.owner.served.fetch_add(1, Ordering::Relaxed);
            large.pause().unwrap()
        };
        let served = turn(&pool);
        for _ in 0..2 {
            assert!(!pauses(), "the pool has nothing to do");
            let ticket = served.submit(served.lease().unwrap(), |_| Ok(()));
            drop(served.wait(&ticket).unwrap());
        }
        let gate = Gate::default();
        let other = large_turn(&pool);
        let held = other.submit(other.lease().unwrap(), gate.work());
        assert!(!pauses(), "nobody has just begun");
        let new = turn(&pool);
        assert!(pauses());
        assert!(!large.pause().unwrap(), "it gets on");
        assert!(!new.pause().unwrap(), "it is new itself");

        // Nobody pauses for one that waits for others, or is gone.
        new.waits();
        assert!(!pauses());
        let gone = turn(&pool);
        assert!(pauses());
        drop(gone);
        assert!(!pauses());
        gate.open();
        drop(other.wait(&held).unwrap());
    });
}

#[test]
fn pauses_end_whatever_becomes_of_the_new_request_and_hold_up_no_thread() {
    explore(|| {
        let pool = pool(1);
        let (large, gone, new) = (large_turn(&pool), large_turn(&pool), turn(&pool));
        gone.cancel().cancel();
        let [large, gone] = [large, gone].map(|turn| thread::spawn(move || turn.check()));
        // With the second one nobody pauses for it any more.
        for _ in 0..2 {
            let ticket = new.submit(new.lease().unwrap(), |_| Ok(()));
            drop(new.wait(&ticket).unwrap());
        }
        large.join().unwrap().unwrap();
        assert!(gone.join().unwrap().is_err());
    });
}

#[test]
fn the_spare_thread_serves_first_buffers_while_all_others_are_busy() {
    once(|| {
        let pool = pool(1);
        let (large, new) = (large_turn(&pool), turn(&pool));
        let job = Job { owner: new.owner.clone(), run: Box::new(|| ()) };
        let mut state = State { waiting: vec![job], ..State::default() };
        assert_eq!(pool.0.for_spare(&state), None, "the others have nothing to do");
        state.running.push(large.owner.clone());
        assert_eq!(pool.0.for_spare(&state), Some(0));
        new.owner.served.store(1, Ordering::Relaxed);
        assert_eq!(pool.0.for_spare(&state), None, "it has had one");
    });
}

#[test]
fn the_oldest_is_served_now_and_then() {
    explore(|| {
        let pool = pool(1);
        let (old, new) = (turn(&pool), turn(&pool));
        let owners = [old.owner.clone(), new.owner.clone()];
        owners[0].served.store(1000, Ordering::Relaxed);
        let state = |served| State { served, ..State::default() };
        let choose = |served| pool.0.choose(&state(served), owners.iter().map(|owner| &**owner));
        assert_eq!([0, 1, 2, 3, 4].map(choose), [Some(0), Some(1), Some(1), Some(1), Some(0)]);

        // Of new ones it is the one that came first, wherever it stands, or has been served less.
        let later = turn(&pool).owner.clone();
        let mixed = [owners[0].clone(), later, owners[1].clone()];
        assert_eq!(pool.0.first_new(&mixed, |owner| owner), Some(2));
        mixed[2].served.store(1, Ordering::Relaxed);
        assert_eq!(pool.0.first_new(&mixed, |owner| owner), Some(1));
    });
}
