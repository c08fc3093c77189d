//! What a request has come to, and what Bazel hears of it.

use crate::job::Outcome;
use crate::messages::WorkResponse;
use crate::reply::{INTERNAL_ERROR, Reply};

/// Who still waits for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Bazel waits for its answer.
    Wanted,
    /// Bazel cancelled it and waits to hear that it has stopped.
    Cancelled,
    /// A later request writes the same file; Bazel may still wait.
    Superseded,
    /// A later request has its id: any answer would be taken for the later one's.
    Replaced,
}

impl Fate {
    /// What Bazel hears of a job that ended: one response, or none if its id has a new
    /// owner. `was_cancelled` answers a cancel and nothing else.
    pub(crate) fn answer(self, id: i32, outcome: Outcome) -> Option<WorkResponse> {
        let reply = match (self, outcome) {
            (Self::Replaced, _) => return None,
            (Self::Superseded, _) => {
                Reply::failed(1, "superseded by a later request that writes the same file")
            }
            (Self::Cancelled, Outcome::Abandoned) => {
                return Some(WorkResponse {
                    request_id: id,
                    was_cancelled: true,
                    ..WorkResponse::default()
                });
            }
            (Self::Wanted, Outcome::Abandoned) => Reply::failed(
                INTERNAL_ERROR,
                "the worker stopped although nobody asked it to\nThis is a bug in the worker.",
            ),
            (_, Outcome::Replied(reply)) => reply,
            (_, outcome @ Outcome::Panicked(_)) => Reply::failed(INTERNAL_ERROR, outcome),
        };
        Some(reply.into_response(id))
    }
}
