//! What goes into the state, and what comes out.

use std::path::PathBuf;

use crate::job::Outcome;
use crate::messages::WorkResponse;

/// Our own name for one request; never used twice, and later requests have
/// greater ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobNumber(pub u64);

/// What happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A request arrived.
    Request {
        /// The number that stands for it from now on.
        job: JobNumber,
        /// Its `request_id`.
        id: i32,
    },
    /// A cancel arrived.
    Cancel {
        /// Its `request_id`.
        id: i32,
    },
    /// A job was prepared.
    Prepared {
        /// The job.
        job: JobNumber,
        /// The files it will write, each path in one spelling; or its end, if there is nothing
        /// to run.
        outputs: Result<Vec<PathBuf>, Outcome>,
    },
    /// A started job ended; it touches no file any more.
    Finished {
        /// The job.
        job: JobNumber,
        /// How it ended.
        outcome: Outcome,
    },
    /// A held answer has waited long enough.
    Waited {
        /// The job.
        job: JobNumber,
    },
    /// No further request will come. Those that came are finished and answered.
    Closed,
    /// Nobody waits for answers any more.
    Stopped,
}

/// What has to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// Prepare the job; one [`Event::Prepared`] is expected for it.
    Prepare {
        /// The job.
        job: JobNumber,
    },
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
    /// This job's answer is held; one [`Event::Waited`] is expected for it, after a while.
    Hold {
        /// The job.
        job: JobNumber,
    },
    /// Send this response.
    Respond {
        /// The response.
        response: WorkResponse,
    },
    /// No job is left, and none will come.
    Exit,
}
