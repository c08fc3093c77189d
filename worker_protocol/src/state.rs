//! The worker's state: what waits, what runs, what each job's end means.
//!
//! Events go in, actions come out; there is no I/O, no thread and no clock here,
//! so every order of events can be simulated. Jobs are known by a number of our
//! own, because a `request_id` comes again while its first request still runs.
//!
//! A job is prepared, then it runs. What it will write is known once it is prepared; that may
//! happen in any order, but of two jobs that write one file the one that arrived later counts.

mod event;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::num::NonZeroUsize;
use std::path::PathBuf;

pub use event::{Action, Event, JobNumber};

use crate::fate::Fate;
use crate::held::Held;
use crate::job::Outcome;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Arrived,
    Preparing,
    /// Waits for a slot, or for the end of a job that writes one of its files.
    Ready,
    Running,
}

#[derive(Debug)]
struct Job {
    id: i32,
    outputs: BTreeSet<PathBuf>,
    phase: Phase,
    fate: Fate,
}

/// The jobs that write one path: at most one runs, at most one waits.
#[derive(Debug, Default)]
struct Writers {
    running: Option<JobNumber>,
    ready: Option<JobNumber>,
}

/// The state of one worker process.
#[derive(Debug)]
pub struct State {
    slots: usize,
    running: usize,
    preparing: usize,
    jobs: HashMap<JobNumber, Job>,
    /// Not yet prepared, first come first served.
    unprepared: BTreeSet<JobNumber>,
    /// Prepared and not yet started, first come first served.
    ready: BTreeSet<JobNumber>,
    /// The job that a cancel for an id means.
    by_id: HashMap<i32, JobNumber>,
    by_path: BTreeMap<PathBuf, Writers>,
    /// What jobs wrote that have ended, as long as an earlier job is not prepared.
    ended: BTreeMap<JobNumber, BTreeSet<PathBuf>>,
    held: Held,
    closed: bool,
    stopped: bool,
    exited: bool,
    actions: Vec<Action>,
}

impl State {
    /// Nothing waits, nothing runs. At most `slots` jobs run at once, and as many are prepared.
    pub fn new(slots: NonZeroUsize) -> Self {
        Self {
            slots: slots.get(),
            running: 0,
            preparing: 0,
            jobs: HashMap::new(),
            unprepared: BTreeSet::new(),
            ready: BTreeSet::new(),
            by_id: HashMap::new(),
            by_path: BTreeMap::new(),
            ended: BTreeMap::new(),
            held: Held::default(),
            closed: false,
            stopped: false,
            exited: false,
            actions: Vec::new(),
        }
    }

    /// Takes in one event; the answer is what has to be done for it, in order.
    pub fn handle(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Request { job, id } => self.request(job, id),
            Event::Cancel { id } => self.cancel(id),
            Event::Prepared { job, outputs } => self.prepared(job, outputs),
            Event::Finished { job, outcome } => self.finished(job, outcome),
            Event::Waited { job } => {
                let response = self.held.release(job);
                self.actions.extend(response.map(|response| Action::Respond { response }));
            }
            Event::Closed => self.close(),
            Event::Stopped => self.stop(),
        }
        self.start_jobs();
        match self.unprepared.first() {
            Some(first) => self.ended = self.ended.split_off(first),
            None => self.ended.clear(),
        }
        if self.closed && self.jobs.is_empty() && !self.exited {
            self.exited = true;
            self.actions.push(Action::Exit);
        }
        mem::take(&mut self.actions)
    }

    fn request(&mut self, number: JobNumber, id: i32) {
        if self.closed {
            self.actions.push(Action::Forget { job: number });
            return;
        }
        self.held.forget(id);
        if let Some(old) = self.by_id.insert(id, number) {
            self.give_up(old, Fate::Replaced);
        }
        let (outputs, phase, fate) = (BTreeSet::new(), Phase::Arrived, Fate::Wanted);
        self.jobs.insert(number, Job { id, outputs, phase, fate });
        self.unprepared.insert(number);
    }

    /// A cancel for no job in flight gets no answer: it is late, or the second, or
    /// was never ours.
    fn cancel(&mut self, id: i32) {
        if let Some(job) = self.by_id.get(&id).copied() {
            self.give_up(job, Fate::Cancelled);
        }
    }

    fn prepared(&mut self, number: JobNumber, outputs: Result<Vec<PathBuf>, Outcome>) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        if job.phase != Phase::Preparing {
            return;
        }
        self.preparing -= 1;
        self.unprepared.remove(&number);
        job.phase = Phase::Ready;
        let outputs = match outputs {
            Ok(outputs) => BTreeSet::from_iter(outputs),
            Err(outcome) => return self.end(number, outcome),
        };
        let given_up = job.fate != Fate::Wanted || self.stopped;
        let writers = outputs.iter().filter_map(|path| self.by_path.get(path));
        let others: BTreeSet<JobNumber> =
            writers.flat_map(|w| [w.running, w.ready]).flatten().collect();
        let mut ended = self.ended.range(number..);
        if given_up {
            // Bazel has all the same given up whoever wrote these files before.
            for old in others.range(..number).filter(|_| !self.stopped).copied().collect::<Vec<_>>()
            {
                self.give_up(old, Fate::Superseded);
            }
            if let Some(job) = self.jobs.get_mut(&number) {
                job.outputs = outputs;
            }
            self.forget(number);
        } else if others.last().is_some_and(|last| *last > number)
            || ended.any(|(_, written)| !written.is_disjoint(&outputs))
        {
            self.give_up(number, Fate::Superseded);
        } else {
            for old in others {
                self.give_up(old, Fate::Superseded);
            }
            for path in &outputs {
                self.by_path.entry(path.clone()).or_default().ready = Some(number);
            }
            if let Some(job) = self.jobs.get_mut(&number) {
                job.outputs = outputs;
                self.ready.insert(number);
            }
        }
    }

    /// A job that waits ends here. One that is at work is told to stop; what its end means
    /// depends on its fate. One that is not prepared yet has to be, for nobody knows what it writes.
    fn give_up(&mut self, number: JobNumber, fate: Fate) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let wanted = job.fate == Fate::Wanted;
        // The first reason stands, save that nothing may be answered under an id
        // that has a new owner.
        if wanted || fate == Fate::Replaced {
            job.fate = fate;
        }
        match job.phase {
            Phase::Ready => self.forget(number),
            Phase::Running if wanted && !self.stopped => {
                self.actions.push(Action::Abandon { job: number });
            }
            Phase::Arrived | Phase::Preparing | Phase::Running => {}
        }
    }

    /// Ends a job that does not run.
    fn forget(&mut self, number: JobNumber) {
        self.actions.push(Action::Forget { job: number });
        self.end(number, Outcome::Abandoned);
    }

    fn finished(&mut self, number: JobNumber, outcome: Outcome) {
        if self.jobs.get(&number).is_some_and(|job| job.phase == Phase::Running) {
            self.running -= 1;
            self.end(number, outcome);
        }
    }

    fn end(&mut self, number: JobNumber, outcome: Outcome) {
        let Some(job) = self.remove(number) else { return };
        // What was done before the stop reached it may be told; nobody waits to
        // hear that the rest was not done.
        if self.stopped && !matches!(outcome, Outcome::Replied(_)) {
            return;
        }
        let Some(response) = job.fate.answer(job.id, outcome) else { return };
        if job.fate == Fate::Superseded && !self.closed {
            self.held.keep(number, response);
            self.actions.push(Action::Hold { job: number });
        } else {
            self.actions.push(Action::Respond { response });
        }
    }

    /// No number comes again.
    fn close(&mut self) {
        self.closed = true;
        let held = self.held.release_all();
        self.actions.extend(held.map(|response| Action::Respond { response }));
    }

    fn stop(&mut self) {
        self.close();
        if mem::replace(&mut self.stopped, true) {
            return;
        }
        let mut numbers: Vec<JobNumber> = self.jobs.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            match self.jobs[&number] {
                Job { phase: Phase::Arrived | Phase::Ready, .. } => self.forget(number),
                Job { phase: Phase::Running, fate: Fate::Wanted, .. } => {
                    self.actions.push(Action::Abandon { job: number });
                }
                Job { .. } => {}
            }
        }
    }

    /// Takes the first jobs that can be started, then the first to be prepared.
    fn start_jobs(&mut self) {
        while self.running < self.slots {
            let free = |number: &&JobNumber| {
                self.jobs[number].outputs.iter().all(|path| self.by_path[path].running.is_none())
            };
            let Some(number) = self.ready.iter().find(free).copied() else { break };
            self.ready.remove(&number);
            self.running += 1;
            if let Some(job) = self.jobs.get_mut(&number) {
                job.phase = Phase::Running;
                for path in &job.outputs {
                    let writers = Writers { running: Some(number), ready: None };
                    self.by_path.insert(path.clone(), writers);
                }
            }
            self.actions.push(Action::Start { job: number });
        }
        while self.preparing < self.slots {
            let arrived = |number: &&JobNumber| self.jobs[number].phase == Phase::Arrived;
            let Some(number) = self.unprepared.iter().find(arrived).copied() else { break };
            self.preparing += 1;
            if let Some(job) = self.jobs.get_mut(&number) {
                job.phase = Phase::Preparing;
            }
            self.actions.push(Action::Prepare { job: number });
        }
    }

    fn remove(&mut self, number: JobNumber) -> Option<Job> {
        let job = self.jobs.remove(&number)?;
        self.unprepared.remove(&number);
        self.ready.remove(&number);
        if self.by_id.get(&job.id) == Some(&number) {
            self.by_id.remove(&job.id);
        }
        for path in &job.outputs {
            let Some(writers) = self.by_path.get_mut(path) else { continue };
            for place in [&mut writers.running, &mut writers.ready] {
                place.take_if(|owner| *owner == number);
            }
            if writers.running.is_none() && writers.ready.is_none() {
                self.by_path.remove(path);
            }
        }
        if !self.unprepared.is_empty() {
            self.ended.insert(number, job.outputs.clone());
        }
        Some(job)
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "state_simulation.rs"]
mod simulation;
