//! What a worker program supplies: a [`Handler`].

use std::path::PathBuf;

use tokio::runtime::Handle;

use crate::job::Context;
use crate::reply::{Error, Reply};
use crate::request::Request;

/// The work of a worker program.
///
/// A closure `Fn(&Request, &Context) -> Result<Reply, Error>` is a handler, too: one that
/// does not tell what it will write.
///
/// The methods are called from several threads at once, for as many requests as
/// there are slots. They may block.
pub trait Handler: Send + Sync + 'static {
    /// A request as this handler understands it.
    type Job: Send + 'static;

    /// Reads a request: its arguments, its params files. Nothing is written yet.
    ///
    /// The answer is the files that the request will write (see [`Request::path`]), and what
    /// [`handle`](Self::handle) needs to know. While a request that writes one of
    /// these files is in flight under another number, Bazel has given that one up: it is
    /// abandoned, and this request starts once it has ended. In the paths `.`, `..` and doubled
    /// slashes are taken away by text alone; symlinks are not followed.
    ///
    /// # Errors
    ///
    /// The reply to a request that cannot be handled.
    fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, Self::Job), Error>;

    /// Does the work. No file may be touched after the return: Bazel reads, moves
    /// and deletes them as soon as it has the response.
    ///
    /// # Errors
    ///
    /// A failure of the work, or [`Abandoned`](crate::Abandoned) where the context said so, and
    /// only there.
    fn handle(&self, job: Self::Job, context: &Context) -> Result<Reply, Error>;
}

impl<F> Handler for F
where
    F: Fn(&Request, &Context) -> Result<Reply, Error> + Send + Sync + 'static,
{
    type Job = Request;

    fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, Request), Error> {
        Ok((Vec::new(), request))
    }

    fn handle(&self, request: Request, context: &Context) -> Result<Reply, Error> {
        self(&request, context)
    }
}

/// A [`Handler`] whose work is asynchronous: wrap it in [`Async`].
pub trait AsyncHandler: Send + Sync + 'static {
    /// A request as this handler understands it.
    type Job: Send + 'static;

    /// As [`Handler::prepare`].
    ///
    /// # Errors
    ///
    /// The reply to a request that cannot be handled.
    fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, Self::Job), Error>;

    /// As [`Handler::handle`]. Nobody drops the future when the request is abandoned:
    /// it ends by itself, after [`CancelToken::abandoned`](crate::CancelToken::abandoned).
    ///
    /// # Errors
    ///
    /// As [`Handler::handle`].
    fn handle(
        &self,
        job: Self::Job,
        context: Context,
    ) -> impl Future<Output = Result<Reply, Error>> + Send;
}

/// Makes a [`Handler`] of an [`AsyncHandler`]. Its futures run on the worker's runtime, each
/// polled by the thread of its slot.
#[derive(Debug, Clone, Copy)]
pub struct Async<H>(pub H);

impl<H: AsyncHandler> Handler for Async<H> {
    type Job = H::Job;

    fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, H::Job), Error> {
        self.0.prepare(request)
    }

    fn handle(&self, job: H::Job, context: &Context) -> Result<Reply, Error> {
        Handle::current().block_on(self.0.handle(job, context.clone()))
    }
}
