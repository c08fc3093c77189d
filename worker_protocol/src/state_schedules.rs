//! What a Bazel may do in any order, made from a seed.

use std::env;
use std::thread;

use fastrand::Rng;

use super::*;
use crate::job::catch;

/// What a run plays, if nobody wants otherwise.
const SCHEDULES: u64 = 100_000;

/// What happens next.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Request {
        id: i32,
        outputs: Vec<u8>,
    },
    Cancel {
        id: i32,
    },
    /// One of those that are being prepared is, this one modulo their number; or is refused.
    Prepare {
        which: usize,
        refused: bool,
    },
    /// One of the running jobs ends, this one modulo their number.
    Finish {
        which: usize,
        how: How,
    },
    /// One of the held answers has waited long enough, this one modulo their number.
    Wait {
        which: usize,
    },
    /// The input ends.
    Close,
    /// Nobody reads answers any more.
    Stop,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    Reply,
    /// As a job that was abandoned should; one that was not replies.
    Heed,
    Panic,
}

#[derive(Debug, Clone)]
pub(super) struct Schedule {
    pub(super) slots: usize,
    pub(super) steps: Vec<Step>,
}

impl Schedule {
    pub(super) fn of(seed: u64) -> Self {
        let mut numbers = Rng::with_seed(seed);
        // Few ids and few paths, so that they meet.
        let (ids, paths) = (numbers.i32(1..7), numbers.u8(1..6));
        let slots = numbers.usize(1..5);
        let mut steps: Vec<Step> = (0..numbers.usize(0..80))
            .map(|_| {
                let id = numbers.i32(0..ids) - 1;
                match numbers.u8(0..32) {
                    0..8 => {
                        let count = numbers.usize(0..3);
                        let outputs = (0..count).map(|_| numbers.u8(0..paths)).collect();
                        Step::Request { id, outputs }
                    }
                    8..11 => Step::Cancel { id },
                    11..21 => Step::Prepare {
                        which: numbers.usize(0..12),
                        refused: numbers.u8(0..8) == 0,
                    },
                    21..23 => Step::Wait { which: numbers.usize(0..12) },
                    _ => {
                        let how = [How::Reply, How::Heed, How::Panic][numbers.usize(0..3)];
                        Step::Finish { which: numbers.usize(0..12), how }
                    }
                }
            })
            .collect();
        for (step, share) in [(Step::Close, 3), (Step::Stop, 4)] {
            if numbers.u8(0..share) > 0 {
                // Most of all at the end, but also while much is going on.
                let end = steps.len();
                let at = if numbers.bool() { end } else { numbers.usize(0..=end) };
                steps.insert(at, step);
            }
        }
        Self { slots, steps }
    }

    /// Plays it; what went wrong is the error.
    pub(super) fn play(&self) -> Result<(), String> {
        let played = catch(|| {
            let mut world = World::new(self.slots);
            self.steps.iter().try_for_each(|step| world.step(step))?;
            world.end()
        });
        played.unwrap_or_else(Err)
    }

    /// Without the steps that are not needed to go wrong.
    pub(super) fn shortened(mut self) -> Self {
        let mut at = 0;
        while at < self.steps.len() {
            let mut shorter = self.clone();
            shorter.steps.remove(at);
            if shorter.play().is_err() {
                // What came before may have been needed for this step alone.
                (self, at) = (shorter, 0);
            } else {
                at += 1;
            }
        }
        self
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name}={value}: {error}")))
}

#[test]
fn every_schedule_keeps_the_rules() {
    let seeds = match (variable("FAKE_BAZEL_SEED"), variable("FAKE_BAZEL_SCHEDULES")) {
        (Some(seed), _) => seed..seed + 1,
        (None, schedules) => 0..schedules.unwrap_or(SCHEDULES),
    };
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        let players: Vec<_> = (0..threads)
            .map(|first| {
                let seeds = seeds.clone();
                scope.spawn(move || {
                    seeds.skip(first).step_by(threads).find(|&n| Schedule::of(n).play().is_err())
                })
            })
            .collect();
        let failed = players.into_iter().find_map(|player| player.join().unwrap());
        let Some(seed) = failed else { return };
        let schedule = Schedule::of(seed).shortened();
        let steps: Vec<String> = schedule.steps.iter().map(|step| format!("{step:?}")).collect();
        panic!(
            "{}\n{} slots:\n{}\nagain: FAKE_BAZEL_SEED={seed} cargo test -p worker_protocol schedule",
            schedule.play().unwrap_err(),
            schedule.slots,
            steps.join("\n")
        );
    });
}
