//! A Bazel that does anything: schedules of events made from seeds, and what must hold in each.
//!
//! A schedule that breaks a rule is shortened and shown, with the command that plays it again:
//! `FAKE_BAZEL_SEED` plays one schedule alone, `FAKE_BAZEL_SCHEDULES` that many.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::*;
use crate::job::panic_message;

/// What a run plays, if nobody wants otherwise.
const SCHEDULES: u64 = 100_000;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    Request {
        id: i32,
        outputs: Vec<u8>,
    },
    Cancel {
        id: i32,
    },
    /// One of the running jobs ends, this one modulo their number.
    Finish {
        which: usize,
        how: How,
    },
    Close,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Reply,
    /// As a job that was abandoned should; one that was not replies.
    Heed,
    Panic,
}

#[derive(Debug, Clone)]
struct Schedule {
    slots: usize,
    steps: Vec<Step>,
}

/// `SplitMix64`.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }
}

impl Schedule {
    fn of(seed: u64) -> Self {
        let numbers = &mut Numbers(seed);
        // Few ids and few paths, so that they meet.
        let (ids, paths) = (1 + numbers.below(6), 1 + numbers.below(5));
        let slots = 1 + numbers.below(4);
        let mut steps: Vec<Step> = (0..numbers.below(60))
            .map(|_| {
                let id = i32::try_from(numbers.below(ids)).unwrap() - 1;
                match numbers.below(20) {
                    0..8 => {
                        let outputs = (0..numbers.below(3))
                            .map(|_| u8::try_from(numbers.below(paths)).unwrap())
                            .collect();
                        Step::Request { id, outputs }
                    }
                    8..11 => Step::Cancel { id },
                    _ => {
                        let how = [How::Reply, How::Heed, How::Panic][numbers.below(3)];
                        Step::Finish { which: numbers.below(12), how }
                    }
                }
            })
            .collect();
        if numbers.below(3) > 0 {
            // Most of all at the end, but also while much is going on.
            let at = if numbers.below(2) == 0 { steps.len() } else { numbers.below(60) };
            steps.insert(at.min(steps.len()), Step::Close);
        }
        Self { slots, steps }
    }

    /// Plays it; what went wrong is the error.
    fn play(&self) -> Result<(), String> {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(self.slots);
            self.steps.iter().try_for_each(|step| world.step(step))?;
            world.end()
        }));
        played.unwrap_or_else(|panic| Err(panic_reply(&panic_message(panic)).output))
    }

    /// Without the steps that are not needed to go wrong.
    fn shortened(mut self) -> Self {
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

/// What an observer outside knows of one request.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one observation, in any combination")]
struct Seen {
    id: i32,
    outputs: Vec<u8>,
    cancelled: bool,
    /// A later request came with its id before its end.
    replaced: bool,
    /// While Bazel wanted it, a later request came with one of its files.
    superseded: bool,
    started: bool,
    abandoned: bool,
    /// It will not run, or not any longer.
    ended: bool,
    /// The worker was told of the end of its input before its end.
    cut_off: bool,
    answers: usize,
}

struct World {
    state: State,
    slots: usize,
    seen: Vec<Seen>,
    closed: bool,
    exited: bool,
    answers: Vec<WorkResponse>,
}

/// Returns an error from the function unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            return Err(format!($($what)+));
        }
    };
}

impl World {
    fn new(slots: usize) -> Self {
        let state = State::new(NonZeroUsize::new(slots).unwrap());
        Self { state, slots, seen: vec![], closed: false, exited: false, answers: vec![] }
    }

    fn running(&self) -> Vec<usize> {
        (0..self.seen.len()).filter(|&n| self.seen[n].started && !self.seen[n].ended).collect()
    }

    fn in_flight(&self, id: i32) -> Option<usize> {
        (0..self.seen.len()).rfind(|&n| self.seen[n].id == id && !self.seen[n].ended)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Request { id, outputs } => self.request(*id, outputs.clone()),
            Step::Cancel { id } => self.cancel(*id),
            Step::Finish { which, how } => match self.running() {
                running if running.is_empty() => Ok(()),
                running => self.finish(running[which % running.len()], *how),
            },
            Step::Close => {
                self.closed = true;
                for job in self.seen.iter_mut().filter(|job| !job.ended) {
                    job.cut_off = true;
                }
                self.feed(Event::Closed)?;
                ensure!(self.answers().is_empty(), "an answer to the end of the input");
                Ok(())
            }
        }
    }

    fn feed(&mut self, event: Event) -> Result<(), String> {
        for action in self.state.handle(event) {
            let forgets = matches!(action, Action::Forget { .. });
            ensure!(!self.exited || forgets, "{action:?} after the exit");
            match action {
                Action::Start { job } => self.start(usize::try_from(job.0).unwrap())?,
                Action::Abandon { job } => {
                    let job = &mut self.seen[usize::try_from(job.0).unwrap()];
                    let runs = job.started && !job.ended && !job.abandoned;
                    ensure!(runs, "abandoned, but not running: {job:?}");
                    job.abandoned = true;
                }
                Action::Forget { job } => {
                    let job = &mut self.seen[usize::try_from(job.0).unwrap()];
                    ensure!(!job.started && !job.ended, "forgotten, but not waiting: {job:?}");
                    job.ended = true;
                }
                Action::Respond { response } => self.answers.push(response),
                Action::Exit => {
                    let over = self.closed && self.running().is_empty();
                    ensure!(over && !self.exited, "an exit, but it is not the end");
                    self.exited = true;
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, job: usize) -> Result<(), String> {
        let waits = !self.closed && !self.seen[job].started && !self.seen[job].ended;
        ensure!(waits, "started, but not waiting: {:?}", self.seen[job]);
        for other in self.running() {
            let mut theirs = self.seen[other].outputs.iter();
            let meet = theirs.any(|path| self.seen[job].outputs.contains(path));
            ensure!(!meet, "jobs {other} and {job} write one file");
        }
        self.seen[job].started = true;
        ensure!(self.running().len() <= self.slots, "{} jobs run", self.running().len());
        Ok(())
    }

    /// What the last event made the worker say.
    fn answers(&mut self) -> Vec<WorkResponse> {
        mem::take(&mut self.answers)
    }

    fn request(&mut self, id: i32, outputs: Vec<u8>) -> Result<(), String> {
        let job = JobNumber(self.seen.len() as u64);
        let paths = outputs.iter().map(|path| PathBuf::from(path.to_string())).collect();
        let mut expected = vec![];
        let same_id = self.in_flight(id).filter(|_| !self.closed);
        if !self.closed {
            if let Some(old) = same_id {
                self.seen[old].replaced = true;
            }
            for old in self.seen.iter_mut().filter(|old| !old.ended) {
                if old.outputs.iter().any(|path| outputs.contains(path)) {
                    old.superseded |= !old.cancelled;
                    // One that waits has failed, once; one that runs has to stop first.
                    if !old.started && !old.replaced {
                        old.answers += 1;
                        expected.push((old.id, 1));
                    }
                }
            }
        }
        let cut_off = self.closed;
        self.seen.push(Seen { id, outputs, cut_off, ..Seen::default() });
        self.feed(Event::Request { job, id, outputs: paths })?;
        let mut failed: Vec<_> =
            self.answers().iter().map(|r| (r.request_id, r.exit_code)).collect();
        failed.sort_unstable();
        expected.sort_unstable();
        ensure!(failed == expected, "{failed:?} have failed, not {expected:?}");
        if let Some(old) = same_id.map(|old| &self.seen[old]) {
            ensure!(old.abandoned || old.ended, "goes on under a number that came again: {old:?}");
        }
        Ok(())
    }

    fn cancel(&mut self, id: i32) -> Result<(), String> {
        let job = self.in_flight(id);
        if let Some(job) = job {
            self.seen[job].cancelled = true;
        }
        self.feed(Event::Cancel { id })?;
        let answers = self.answers();
        match job.map(|job| &mut self.seen[job]) {
            Some(job) if !job.started => {
                let cancelled =
                    WorkResponse { request_id: id, was_cancelled: true, ..<_>::default() };
                ensure!(job.ended && answers == [cancelled], "{answers:?} to a cancel of {job:?}");
                job.answers += 1;
            }
            Some(job) => {
                ensure!(job.abandoned, "not abandoned by its cancel: {job:?}");
                ensure!(answers.is_empty(), "{answers:?} before {job:?} has stopped");
            }
            None => ensure!(answers.is_empty(), "{answers:?} to a cancel of nothing"),
        }
        Ok(())
    }

    fn finish(&mut self, number: usize, how: How) -> Result<(), String> {
        self.seen[number].ended = true;
        let outcome = match how {
            How::Heed if self.seen[number].abandoned => Outcome::Abandoned,
            How::Panic => Outcome::Panicked("panic".to_owned()),
            How::Heed | How::Reply => Outcome::Replied(Reply::default()),
        };
        let said = matches!(outcome, Outcome::Replied(_));
        self.feed(Event::Finished { job: JobNumber(number as u64), outcome })?;
        let answers = self.answers();
        let job = &mut self.seen[number];
        if job.replaced || (self.closed && !said) {
            ensure!(answers.is_empty(), "{answers:?} to {job:?}");
            return Ok(());
        }
        let [answer] = &answers[..] else { return Err(format!("{answers:?} to {job:?}")) };
        job.answers += 1;
        ensure!(answer.request_id == job.id, "{answer:?} to {job:?}");
        let may_be_cancelled = job.cancelled && !said;
        ensure!(!answer.was_cancelled || may_be_cancelled, "{answer:?} to {job:?}");
        let exit_code = match how {
            _ if job.superseded => 1,
            How::Panic => INTERNAL_ERROR,
            How::Heed | How::Reply => 0,
        };
        ensure!(answer.exit_code == exit_code, "{answer:?}, not {exit_code}, to {job:?}");
        Ok(())
    }

    /// Everything that runs ends; then nothing is left over.
    fn end(mut self) -> Result<(), String> {
        while let Some(job) = self.running().first().copied() {
            self.finish(job, How::Heed)?;
        }
        for job in &self.seen {
            ensure!(job.ended, "neither runs nor has ended: {job:?}");
            let may_have_none = job.replaced || job.cut_off;
            let right = job.answers == 1 || (may_have_none && job.answers == 0);
            ensure!(right, "{} answers to {job:?}", job.answers);
        }
        ensure!(self.exited == self.closed, "exited: {}", self.exited);
        let State { jobs, queue, by_id, by_path, running, .. } = &self.state;
        let empty = jobs.is_empty() && queue.is_empty() && by_id.is_empty() && by_path.is_empty();
        ensure!(empty && *running == 0, "something is left in {:?}", self.state);
        Ok(())
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
