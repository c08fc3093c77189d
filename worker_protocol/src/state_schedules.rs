//! What a Bazel may do in any order, made from a seed.

use fastrand::Rng;

use super::*;

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
                match numbers.u8(0..30) {
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
