//! Schedules of events in any order, and what must hold in all of them.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Request {
        id: i32,
        outputs: Vec<u8>,
    },
    Cancel {
        id: i32,
    },
    /// One of the running jobs ends; one that was abandoned may heed it.
    Finish {
        which: prop::sample::Index,
        how: How,
    },
    Close,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Reply,
    Heed,
    Panic,
}

fn step() -> impl Strategy<Value = Step> {
    // Few ids and few paths, so that they meet.
    let id = -1..4_i32;
    let how = prop_oneof![Just(How::Reply), Just(How::Heed), Just(How::Panic)];
    prop_oneof![
        8 => (id.clone(), prop::collection::vec(0..4_u8, 0..3))
            .prop_map(|(id, outputs)| Step::Request { id, outputs }),
        3 => id.prop_map(|id| Step::Cancel { id }),
        8 => (any::<prop::sample::Index>(), how)
            .prop_map(|(which, how)| Step::Finish { which, how }),
        1 => Just(Step::Close),
    ]
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
    /// While it ran for Bazel, a later request came with one of its files.
    superseded: bool,
    started: bool,
    abandoned: bool,
    /// It will not run, or not any longer.
    ended: bool,
}

struct World {
    state: State,
    slots: usize,
    seen: Vec<Seen>,
    closed: bool,
    exited: bool,
    answers: Vec<WorkResponse>,
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

    fn feed(&mut self, event: Event) {
        let actions = self.state.handle(event);
        assert!(!self.exited || actions.iter().all(|a| matches!(a, Action::Forget { .. })));
        for action in actions {
            match action {
                Action::Start { job } => self.start(usize::try_from(job.0).unwrap()),
                Action::Abandon { job } => {
                    let job = &mut self.seen[usize::try_from(job.0).unwrap()];
                    assert!(job.started && !job.ended && !job.abandoned);
                    job.abandoned = true;
                }
                Action::Forget { job } => {
                    let job = &mut self.seen[usize::try_from(job.0).unwrap()];
                    assert!(!job.started && !job.ended);
                    job.ended = true;
                }
                Action::Respond { response } => self.answers.push(response),
                Action::Exit => {
                    assert!(self.closed && !self.exited && self.running().is_empty());
                    self.exited = true;
                }
            }
        }
    }

    fn start(&mut self, job: usize) {
        assert!(!self.closed && !self.seen[job].started && !self.seen[job].ended);
        for other in self.running() {
            let mut theirs = self.seen[other].outputs.iter();
            assert!(!theirs.any(|path| self.seen[job].outputs.contains(path)));
        }
        self.seen[job].started = true;
        assert!(self.running().len() <= self.slots);
    }

    /// What the last event made the worker say.
    fn answers(&mut self) -> Vec<WorkResponse> {
        mem::take(&mut self.answers)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Request { id, outputs } => self.request(id, outputs),
            Step::Cancel { id } => self.cancel(id),
            Step::Finish { which, how } => {
                let running = self.running();
                if !running.is_empty() {
                    self.finish(running[which.index(running.len())], how);
                }
            }
            Step::Close => {
                self.closed = true;
                self.feed(Event::Closed);
                assert!(self.answers().is_empty());
            }
        }
    }

    fn request(&mut self, id: i32, outputs: Vec<u8>) {
        let job = JobNumber(self.seen.len() as u64);
        let same_id = self.in_flight(id);
        if let (Some(old), false) = (same_id, self.closed) {
            self.seen[old].replaced = true;
        }
        for old in self.running().into_iter().filter(|_| !self.closed) {
            let old = &mut self.seen[old];
            old.superseded |= !old.cancelled && old.outputs.iter().any(|p| outputs.contains(p));
        }
        let paths = outputs.iter().map(|path| PathBuf::from(path.to_string())).collect();
        let queued: Vec<_> = (0..self.seen.len())
            .filter(|&n| !self.seen[n].started && !self.seen[n].ended && !self.seen[n].replaced)
            .filter(|&n| self.seen[n].outputs.iter().any(|path| outputs.contains(path)))
            .map(|n| self.seen[n].id)
            .collect();
        self.seen.push(Seen { id, outputs, ..Seen::default() });
        self.feed(Event::Request { job, id, outputs: paths });
        // Queued requests for one of its files have failed, each of them once.
        let mut failed: Vec<_> =
            self.answers().iter().map(|r| (r.request_id, r.exit_code)).collect();
        let mut expected: Vec<_> = queued.into_iter().map(|id| (id, 1)).collect();
        failed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(failed, if self.closed { vec![] } else { expected });
        if let (Some(old), false) = (same_id, self.closed) {
            assert!(self.seen[old].abandoned || self.seen[old].ended);
        }
    }

    fn cancel(&mut self, id: i32) {
        let job = self.in_flight(id);
        if let Some(job) = job {
            self.seen[job].cancelled = true;
        }
        self.feed(Event::Cancel { id });
        let answers = self.answers();
        match job.map(|job| &self.seen[job]) {
            Some(job) if !job.started => {
                let cancelled =
                    WorkResponse { request_id: id, was_cancelled: true, ..<_>::default() };
                assert!(job.ended);
                assert_eq!(answers, [cancelled]);
            }
            Some(job) => assert!(job.abandoned && answers.is_empty()),
            None => assert!(answers.is_empty()),
        }
    }

    fn finish(&mut self, number: usize, how: How) {
        self.seen[number].ended = true;
        let heeds = self.seen[number].abandoned;
        let outcome = match how {
            How::Heed if heeds => Outcome::Abandoned,
            How::Panic => Outcome::Panicked("panic".to_owned()),
            How::Heed | How::Reply => Outcome::Replied(Reply::default()),
        };
        let said = matches!(outcome, Outcome::Replied(_));
        self.feed(Event::Finished { job: JobNumber(number as u64), outcome });
        let answers = self.answers();
        let job = &self.seen[number];
        if job.replaced || (self.closed && !said) {
            assert!(answers.is_empty());
            return;
        }
        let [answer] = &answers[..] else { panic!("{} answers", answers.len()) };
        assert_eq!(answer.request_id, job.id);
        assert!(!answer.was_cancelled || (job.cancelled && !said));
        let exit_code = match how {
            _ if job.superseded => 1,
            How::Panic => INTERNAL_ERROR,
            How::Heed | How::Reply => 0,
        };
        assert_eq!(answer.exit_code, exit_code, "{answer:?} {job:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn every_schedule_keeps_the_rules(
        slots in 1..4_usize,
        steps in prop::collection::vec(step(), 0..60),
        last in any::<bool>(),
    ) {
        let mut world = World::new(slots);
        for step in steps {
            world.step(step);
        }
        if last {
            world.step(Step::Close);
        }
        while let Some(job) = world.running().first().copied() {
            world.finish(job, How::Heed);
        }
        // Nothing is left over: all that was accepted has ended.
        prop_assert!(world.seen.iter().all(|job| job.ended));
        prop_assert_eq!(world.exited, world.closed);
        prop_assert_eq!(world.state.running(), 0);
        prop_assert!(world.state.jobs.is_empty() && world.state.by_id.is_empty());
        prop_assert!(world.state.by_path.is_empty() && world.state.queue.is_empty());
    }
}
