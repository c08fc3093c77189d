//! A Bazel that does anything: schedules of events made from seeds, and what must hold in each.
//!
//! A schedule that breaks a rule is shortened and shown, with the command that plays it again:
//! `FAKE_BAZEL_SEED` plays one schedule alone, `FAKE_BAZEL_SCHEDULES` that many.

use super::*;
use crate::messages::WorkResponse;
use crate::reply::{INTERNAL_ERROR, Reply};

#[path = "state_schedules.rs"]
mod schedules;

use schedules::{How, Step};

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
    preparing: bool,
    /// What it writes is known.
    prepared: bool,
    started: bool,
    abandoned: bool,
    /// It will not run, or not any longer.
    ended: bool,
    /// It was superseded and has ended; its number may come again before its answer.
    held: bool,
    /// Nobody read answers any more before its end, or no request was taken any more when it came.
    cut_off: bool,
    answers: usize,
}

struct World {
    state: State,
    slots: usize,
    seen: Vec<Seen>,
    closed: bool,
    stopped: bool,
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
        let (seen, answers) = (vec![], vec![]);
        Self { state, slots, seen, closed: false, stopped: false, exited: false, answers }
    }

    fn at(&self, is: impl Fn(&Seen) -> bool) -> Vec<usize> {
        (0..self.seen.len()).filter(|&n| is(&self.seen[n]) && !self.seen[n].ended).collect()
    }

    fn running(&self) -> Vec<usize> {
        self.at(|job| job.started)
    }

    fn preparing(&self) -> Vec<usize> {
        self.at(|job| job.preparing)
    }

    fn held(&self) -> Vec<usize> {
        (0..self.seen.len()).filter(|&n| self.seen[n].held).collect()
    }

    /// These, whose numbers have not come again, are answered now, and nothing else is.
    fn check_released(&mut self, jobs: &[usize]) -> Result<(), String> {
        let answered: Vec<_> = self.answers().iter().map(|r| (r.request_id, r.exit_code)).collect();
        let expected: Vec<_> = jobs.iter().map(|&job| (self.seen[job].id, 1)).collect();
        ensure!(answered == expected, "{answered:?} are released, not {expected:?}");
        for &job in jobs {
            self.seen[job].held = false;
            self.seen[job].answers += 1;
        }
        Ok(())
    }

    /// A superseded request has ended, and is answered at once where no number comes again.
    fn superseded(&mut self, number: usize) -> Option<(i32, i32)> {
        let job = &mut self.seen[number];
        job.held = !self.closed;
        job.answers += usize::from(self.closed);
        self.closed.then_some((job.id, 1))
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
            Step::Prepare { which, refused } => match self.preparing() {
                preparing if preparing.is_empty() => Ok(()),
                preparing => self.prepare(preparing[which % preparing.len()], *refused),
            },
            Step::Wait { which } => match self.held() {
                held if held.is_empty() => Ok(()),
                held => {
                    let job = held[which % held.len()];
                    self.feed(Event::Waited { job: JobNumber(job as u64) })?;
                    self.check_released(&[job])
                }
            },
            Step::Close => {
                self.closed = true;
                self.feed(Event::Closed)?;
                self.check_released(&self.held())
            }
            Step::Stop => {
                (self.closed, self.stopped) = (true, true);
                for job in self.seen.iter_mut().filter(|job| !job.ended) {
                    job.cut_off = true;
                }
                self.feed(Event::Stopped)?;
                self.check_released(&self.held())
            }
        }
    }

    fn feed(&mut self, event: Event) -> Result<(), String> {
        for action in self.state.handle(event) {
            let forgets = matches!(action, Action::Forget { .. });
            ensure!(!self.exited || forgets, "{action:?} after the exit");
            match action {
                Action::Prepare { job } => {
                    let job = &mut self.seen[usize::try_from(job.0).unwrap()];
                    ensure!(!job.preparing && !job.prepared && !job.ended, "prepared? {job:?}");
                    job.preparing = true;
                    let preparing = self.preparing().len();
                    ensure!(preparing <= self.slots, "{preparing} jobs are prepared");
                }
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
                Action::Hold { job } => {
                    let job = &self.seen[usize::try_from(job.0).unwrap()];
                    ensure!(!self.closed && !job.replaced, "held: {job:?}");
                }
                Action::Respond { response } => self.answers.push(response),
                Action::Exit => {
                    let over = self.closed && self.at(|_| true).is_empty();
                    ensure!(over && !self.exited, "an exit, but it is not the end");
                    self.exited = true;
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, job: usize) -> Result<(), String> {
        let Seen { prepared, started, ended, .. } = self.seen[job];
        let waits = !self.stopped && prepared && !started && !ended;
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
        let same_id = self.in_flight(id).filter(|_| !self.closed);
        if let Some(old) = same_id {
            self.seen[old].replaced = true;
        }
        let closed = self.closed;
        for old in self.seen.iter_mut().filter(|old| old.held && old.id == id && !closed) {
            (old.held, old.replaced) = (false, true);
        }
        let cut_off = self.closed;
        self.seen.push(Seen { id, outputs, cut_off, ..Seen::default() });
        self.feed(Event::Request { job, id })?;
        ensure!(self.answers().is_empty(), "an answer to the arrival of {job:?}");
        if let Some(old) = same_id.map(|old| &self.seen[old]) {
            let over = old.abandoned || old.ended || !old.prepared;
            ensure!(over, "goes on under a number that came again: {old:?}");
        }
        Ok(())
    }

    fn prepare(&mut self, number: usize, refused: bool) -> Result<(), String> {
        let job = JobNumber(number as u64);
        self.seen[number].preparing = false;
        if refused {
            self.seen[number].ended = true;
            let outputs = Err(Outcome::Replied(Reply::default()));
            self.feed(Event::Prepared { job, outputs })?;
            return self.check_answer(number, How::Reply, true);
        }
        let outputs = self.seen[number].outputs.clone();
        let paths = outputs.iter().map(|path| PathBuf::from(path.to_string())).collect();
        let meets = |other: &Seen| {
            other.prepared && other.outputs.iter().any(|path| outputs.contains(path))
        };
        let Seen { cancelled, replaced, .. } = self.seen[number];
        let mut expected = vec![];
        if cancelled && !replaced && !self.stopped {
            self.seen[number].answers += 1;
            expected.push((self.seen[number].id, 0));
        }
        let given_up = cancelled || replaced;
        if !self.stopped {
            if !given_up && self.seen[number + 1..].iter().any(meets) {
                self.seen[number].superseded = true;
                expected.extend(self.superseded(number));
            } else {
                // What is given up itself has given up whoever wrote its files before.
                self.seen[number].prepared = true;
                let olds = (0..number).filter(|&n| !self.seen[n].ended && meets(&self.seen[n]));
                for old in olds.collect::<Vec<_>>() {
                    self.seen[old].superseded |= !self.seen[old].cancelled;
                    // One that waits has failed, once; one that runs has to stop first.
                    if !self.seen[old].started && !self.seen[old].replaced {
                        expected.extend(self.superseded(old));
                    }
                }
            }
        }
        self.feed(Event::Prepared { job, outputs: Ok(paths) })?;
        let mut answered: Vec<_> =
            self.answers().iter().map(|r| (r.request_id, r.exit_code)).collect();
        answered.sort_unstable();
        expected.sort_unstable();
        ensure!(answered == expected, "{answered:?} are answered, not {expected:?}");
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
            Some(job) if !job.prepared && !job.ended => {
                ensure!(answers.is_empty(), "{answers:?} before {job:?} is prepared");
            }
            Some(job) if !job.started => {
                let cancelled =
                    WorkResponse { request_id: id, was_cancelled: true, ..<_>::default() };
                ensure!(job.ended && answers == [cancelled], "{answers:?} to a cancel of {job:?}");
                job.answers += 1;
            }
            Some(job) => {
                let abandoned = job.abandoned;
                ensure!(abandoned, "not abandoned by its cancel: {job:?}");
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
        self.check_answer(number, how, said)
    }

    /// There is one answer to a job that has just ended, and it is right.
    fn check_answer(&mut self, number: usize, how: How, said: bool) -> Result<(), String> {
        let answers = self.answers();
        let silent = self.seen[number].replaced || (self.stopped && !said);
        if !silent && self.seen[number].superseded && !self.closed {
            self.seen[number].held = true;
        }
        let job = &mut self.seen[number];
        if silent || job.held {
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
        loop {
            if let Some(job) = self.preparing().first().copied() {
                self.prepare(job, false)?;
            } else if let Some(job) = self.running().first().copied() {
                self.finish(job, How::Heed)?;
            } else {
                break;
            }
        }
        for job in self.held() {
            self.feed(Event::Waited { job: JobNumber(job as u64) })?;
            self.check_released(&[job])?;
        }
        for job in &self.seen {
            ensure!(job.ended, "neither runs nor has ended: {job:?}");
            let may_have_none = job.replaced || job.cut_off;
            let right = job.answers == 1 || (may_have_none && job.answers == 0);
            ensure!(right, "{} answers to {job:?}", job.answers);
        }
        ensure!(self.exited == self.closed, "exited: {}", self.exited);
        let State { jobs, unprepared, ready, by_id, by_path, ended, held, .. } = &self.state;
        let numbers = jobs.is_empty() && unprepared.is_empty() && ready.is_empty();
        let names = by_id.is_empty() && by_path.is_empty() && ended.is_empty() && held.is_empty();
        let idle = self.state.running == 0 && self.state.preparing == 0;
        ensure!(numbers && names && idle, "something is left in {:?}", self.state);
        Ok(())
    }
}
