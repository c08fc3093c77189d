//! Answers that wait until their number cannot be taken for a new request's any more.

use std::collections::HashMap;

use crate::messages::WorkResponse;
use crate::state::JobNumber;

/// Answers to superseded requests.
///
/// A request is superseded when Bazel has given it up, and until 8.2 the build that comes next
/// counts its requests from 1 again. That build has already registered a number whose request
/// is still on its way here: an answer sent now under that number fails the new action
/// (bazelbuild/bazel#26251).
#[derive(Debug, Default)]
pub(crate) struct Held(HashMap<i32, (JobNumber, WorkResponse)>);

impl Held {
    pub(crate) fn keep(&mut self, job: JobNumber, response: WorkResponse) {
        self.0.insert(response.request_id, (job, response));
    }

    /// The number has a new owner: nobody waits for the old answer.
    pub(crate) fn forget(&mut self, id: i32) {
        self.0.remove(&id);
    }

    /// This job's answer, unless its number has come again.
    pub(crate) fn release(&mut self, job: JobNumber) -> Option<WorkResponse> {
        let id = *self.0.iter().find(|(_, (held, _))| *held == job)?.0;
        self.0.remove(&id).map(|(_, response)| response)
    }

    /// All that is held, in the order in which the requests came.
    pub(crate) fn release_all(&mut self) -> impl Iterator<Item = WorkResponse> {
        let mut all: Vec<_> = self.0.drain().map(|(_, held)| held).collect();
        all.sort_unstable_by_key(|(job, _)| *job);
        all.into_iter().map(|(_, response)| response)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
