//! What a Bazel might do, from a seed, and whether a worker takes it as it should.

use fastrand::Rng;

use super::Bazel;
use crate::handler::Handler;
use crate::messages::{WorkRequest, WorkResponse};
use crate::options::Options;

/// What Bazel does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Sends a request; `kind` says which of those that the test knows.
    Request {
        /// Its number.
        id: i32,
        /// Below [`Schedule::kinds`].
        kind: usize,
    },
    /// Sends a cancel, perhaps for a request that has been answered or never was.
    Cancel {
        /// The request's number.
        id: i32,
    },
    /// Waits until the worker has seen all that was sent.
    Seen,
    /// Waits for an answer, if one is due.
    Receive,
    /// Stops reading, and then there is nothing more to be said: the end of a Bazel.
    HangUp,
}

/// The steps of a session, ended by the end of input.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// How many kinds of requests there are.
    pub kinds: usize,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// A request that was sent.
#[derive(Debug)]
struct Sent {
    id: i32,
    cancelled: bool,
    /// Its number came again before its answer did.
    replaced: bool,
    answered: bool,
}

impl Schedule {
    /// The schedule of a seed: the same one every time.
    pub fn from_seed(seed: u64, kinds: usize) -> Self {
        let mut numbers = Rng::with_seed(seed);
        // Few numbers, so that they come again.
        let ids = numbers.i32(1..8);
        let mut steps: Vec<Step> = (0..numbers.usize(0..40))
            .map(|_| {
                let id = numbers.i32(0..ids);
                match numbers.u8(0..10) {
                    0..4 => Step::Request { id, kind: numbers.usize(0..kinds.max(1)) },
                    4..6 => Step::Cancel { id },
                    6..7 => Step::Seen,
                    _ => Step::Receive,
                }
            })
            .collect();
        if numbers.u8(0..4) == 0 {
            steps.push(Step::HangUp);
        }
        Self { kinds, steps }
    }

    /// Plays the schedule to a worker: each request has one answer, or none where its number came
    /// again, and only a cancel leads to `was_cancelled`. `request` makes the requests of each
    /// kind, whose number is set here; they must end by themselves.
    ///
    /// # Errors
    ///
    /// What the worker got wrong.
    pub fn play(
        &self,
        handler: impl Handler,
        options: Options,
        request: impl Fn(usize) -> WorkRequest,
    ) -> Result<(), String> {
        let mut bazel = Bazel::start(handler, options);
        let mut sent: Vec<Sent> = Vec::new();
        let mut hung_up = false;
        for step in &self.steps {
            match *step {
                Step::Request { id, kind } => {
                    for old in sent.iter_mut().filter(|old| old.id == id) {
                        old.replaced |= !old.answered;
                    }
                    sent.push(Sent { id, cancelled: false, replaced: false, answered: false });
                    bazel.send(WorkRequest { request_id: id, ..request(kind) });
                }
                Step::Cancel { id } => {
                    if let Some(last) = sent.iter_mut().rfind(|sent| sent.id == id) {
                        last.cancelled = true;
                    }
                    bazel.cancel(id);
                }
                Step::Seen => bazel.seen(),
                Step::Receive => {
                    if sent.iter().any(|sent| !sent.answered && !sent.replaced) {
                        let answer = bazel.receive().ok_or("the worker has ended")?;
                        take(&mut sent, &answer)?;
                    }
                }
                Step::HangUp => {
                    bazel.hang_up();
                    hung_up = true;
                }
            }
        }
        let end = bazel.end();
        end.unread.iter().try_for_each(|answer| take(&mut sent, answer))?;
        match sent.iter().find(|sent| !sent.answered && !sent.replaced) {
            Some(sent) if !hung_up => Err(format!("no answer to {sent:?}")),
            _ => end.result.map(drop).map_err(|error| error.to_string()),
        }
    }
}

/// Finds the request that an answer is for: the newest, where a number came again.
fn take(sent: &mut [Sent], answer: &WorkResponse) -> Result<(), String> {
    let same = |sent: &&mut Sent| sent.id == answer.request_id;
    let cancelled = sent.iter().any(|sent| sent.id == answer.request_id && sent.cancelled);
    let mut open = sent.iter_mut().rev().filter(same).filter(|sent| !sent.answered);
    match open.next() {
        Some(sent) if cancelled || !answer.was_cancelled => sent.answered = true,
        _ => return Err(format!("{answer:?} answers nothing")),
    }
    Ok(())
}
