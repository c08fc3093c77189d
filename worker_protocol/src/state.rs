//! The worker's state: what is queued, what runs, what each job's end means.
//!
//! Events go in, actions come out; there is no I/O, no thread and no clock here,
//! so every order of events can be simulated. Jobs are known by a number of our
//! own, because a `request_id` comes again while its first request still runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::job::{INTERNAL_ERROR, Outcome, Reply, panic_reply};
use crate::messages::WorkResponse;

/// Our own name for one request; never used twice, and later requests have
/// greater ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobNumber(pub u64);

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A request arrived.
    Request {
        /// The number that stands for it from now on.
        job: JobNumber,
        /// Its `request_id`.
        id: i32,
        /// The files it will write, in normal form (see [`crate::normal_path`]).
        outputs: Vec<PathBuf>,
    },
    /// A cancel arrived.
    Cancel {
        /// Its `request_id`.
        id: i32,
    },
    /// A started job ended; it touches no file any more.
    Finished {
        /// The job.
        job: JobNumber,
        /// How it ended.
        outcome: Outcome,
    },
    /// No further request will come.
    Closed,
}

/// What has to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Run the job; one [`Event::Finished`] is expected for it.
    Start {
        /// The job.
        job: JobNumber,
    },
    /// Tell the running job to stop.
    Abandon {
        /// The job.
        job: JobNumber,
    },
    /// This job will never start.
    Forget {
        /// The job.
        job: JobNumber,
    },
    /// Send this response.
    Respond {
        /// The response.
        response: WorkResponse,
    },
    /// Closed, and no job runs.
    Exit,
}

/// Who still waits for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Bazel waits for its answer.
    Wanted,
    /// Bazel cancelled it and waits to hear that it has stopped.
    Cancelled,
    /// A later request writes the same file; Bazel may still wait.
    Superseded,
    /// A later request has its id: any answer would be taken for the later one's.
    Replaced,
}

#[derive(Debug)]
struct Job {
    id: i32,
    outputs: BTreeSet<PathBuf>,
    running: bool,
    fate: Fate,
}

/// The jobs that write one path: at most one runs, at most one waits.
#[derive(Debug, Default)]
struct Writers {
    running: Option<JobNumber>,
    queued: Option<JobNumber>,
}

/// The state of one worker process.
#[derive(Debug)]
pub struct State {
    slots: usize,
    running: usize,
    jobs: HashMap<JobNumber, Job>,
    /// Not yet started, first come first served.
    queue: BTreeSet<JobNumber>,
    /// The job that a cancel for an id means.
    by_id: HashMap<i32, JobNumber>,
    by_path: BTreeMap<PathBuf, Writers>,
    closed: bool,
    exited: bool,
    actions: Vec<Action>,
}

impl State {
    /// Nothing queued, nothing running. At most `slots` jobs run at once.
    pub fn new(slots: NonZeroUsize) -> Self {
        Self {
            slots: slots.get(),
            running: 0,
            jobs: HashMap::new(),
            queue: BTreeSet::new(),
            by_id: HashMap::new(),
            by_path: BTreeMap::new(),
            closed: false,
            exited: false,
            actions: Vec::new(),
        }
    }

    /// How many jobs run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Takes in one event; the answer is what has to be done for it, in order.
    pub fn handle(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Request { job, id, outputs } => self.request(job, id, outputs),
            Event::Cancel { id } => self.cancel(id),
            Event::Finished { job, outcome } => self.finished(job, outcome),
            Event::Closed => self.close(),
        }
        self.start_jobs();
        if self.closed && self.running == 0 && !self.exited {
            self.exited = true;
            self.actions.push(Action::Exit);
        }
        mem::take(&mut self.actions)
    }

    fn request(&mut self, number: JobNumber, id: i32, outputs: Vec<PathBuf>) {
        if self.closed {
            self.actions.push(Action::Forget { job: number });
            return;
        }
        if let Some(old) = self.by_id.get(&id).copied() {
            self.give_up(old, Fate::Replaced);
        }
        let outputs: BTreeSet<_> = outputs.into_iter().collect();
        for path in &outputs {
            let writers = self.by_path.get(path);
            let [running, queued] = writers.map_or([None; 2], |w| [w.running, w.queued]);
            for old in [running, queued].into_iter().flatten() {
                self.give_up(old, Fate::Superseded);
            }
        }
        for path in &outputs {
            self.by_path.entry(path.clone()).or_default().queued = Some(number);
        }
        self.by_id.insert(id, number);
        self.queue.insert(number);
        self.jobs.insert(number, Job { id, outputs, running: false, fate: Fate::Wanted });
    }

    /// A cancel for no job in flight gets no answer: it is late, or the second, or
    /// was never ours.
    fn cancel(&mut self, id: i32) {
        if let Some(job) = self.by_id.get(&id).copied() {
            self.give_up(job, Fate::Cancelled);
        }
    }

    /// A queued job ends here. A running one is told to stop; what its end means
    /// depends on its fate.
    fn give_up(&mut self, number: JobNumber, fate: Fate) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        if !job.running {
            job.fate = fate;
            let response = answer(job, Outcome::Abandoned);
            self.remove(number);
            self.actions.push(Action::Forget { job: number });
            self.actions.extend(response.map(|response| Action::Respond { response }));
            return;
        }
        let wanted = job.fate == Fate::Wanted;
        // The first reason stands, save that nothing may be answered under an id
        // that has a new owner.
        if wanted || fate == Fate::Replaced {
            job.fate = fate;
        }
        if wanted && !self.closed {
            self.actions.push(Action::Abandon { job: number });
        }
    }

    fn finished(&mut self, number: JobNumber, outcome: Outcome) {
        let Some(job) = self.jobs.get(&number).filter(|job| job.running) else { return };
        let response = match (self.closed, &outcome) {
            // What was done before the stop reached it may be told; nobody waits to
            // hear that the rest was not done.
            (true, Outcome::Abandoned | Outcome::Panicked(_)) => None,
            _ => answer(job, outcome),
        };
        self.actions.extend(response.map(|response| Action::Respond { response }));
        self.remove(number);
    }

    fn close(&mut self) {
        if mem::replace(&mut self.closed, true) {
            return;
        }
        for number in mem::take(&mut self.queue) {
            self.remove(number);
            self.actions.push(Action::Forget { job: number });
        }
        let mut wanted: Vec<_> =
            self.jobs.iter().filter(|(_, job)| job.fate == Fate::Wanted).map(|(n, _)| *n).collect();
        wanted.sort_unstable();
        self.actions.extend(wanted.into_iter().map(|job| Action::Abandon { job }));
    }

    /// Takes the first queued jobs whose files nobody else is writing.
    fn start_jobs(&mut self) {
        while self.running < self.slots {
            let free = |number: &&JobNumber| {
                self.jobs[number].outputs.iter().all(|path| self.by_path[path].running.is_none())
            };
            let Some(number) = self.queue.iter().find(free).copied() else { return };
            self.queue.remove(&number);
            self.running += 1;
            if let Some(job) = self.jobs.get_mut(&number) {
                job.running = true;
                for path in &job.outputs {
                    self.by_path
                        .insert(path.clone(), Writers { running: Some(number), queued: None });
                }
            }
            self.actions.push(Action::Start { job: number });
        }
    }

    fn remove(&mut self, number: JobNumber) {
        let Some(job) = self.jobs.remove(&number) else { return };
        if job.running {
            self.running -= 1;
        }
        self.queue.remove(&number);
        if self.by_id.get(&job.id) == Some(&number) {
            self.by_id.remove(&job.id);
        }
        for path in job.outputs {
            let Some(writers) = self.by_path.get_mut(&path) else { continue };
            for place in [&mut writers.running, &mut writers.queued] {
                place.take_if(|owner| *owner == number);
            }
            if writers.running.is_none() && writers.queued.is_none() {
                self.by_path.remove(&path);
            }
        }
    }
}

/// What Bazel hears of a job that ended: one response, or none if its id has a new
/// owner. `was_cancelled` answers a cancel and nothing else.
fn answer(job: &Job, outcome: Outcome) -> Option<WorkResponse> {
    let reply = match (job.fate, outcome) {
        (Fate::Replaced, _) => return None,
        (Fate::Superseded, _) => Reply {
            exit_code: 1,
            output: "superseded by a later request that writes the same file\n".to_owned(),
        },
        (Fate::Cancelled, Outcome::Abandoned) => {
            return Some(WorkResponse {
                request_id: job.id,
                was_cancelled: true,
                ..WorkResponse::default()
            });
        }
        (Fate::Wanted, Outcome::Abandoned) => Reply {
            exit_code: INTERNAL_ERROR,
            output:
                "the worker stopped although nobody asked it to\nThis is a bug in the worker.\n"
                    .to_owned(),
        },
        (_, Outcome::Replied(reply)) => reply,
        (_, Outcome::Panicked(message)) => panic_reply(&message),
    };
    Some(reply.into_response(job.id))
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "state_simulation.rs"]
mod simulation;
