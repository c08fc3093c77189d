//! A worker program's `main`: a persistent worker, or the same work once.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::handler::Handler;
use crate::job::{Context, Outcome};
use crate::messages::WorkRequest;
use crate::options::Options;
use crate::params;
use crate::reply::{Error, INTERNAL_ERROR, Reply};
use crate::request::Request;
use crate::runtime::serve;

/// What `main` of a worker program may return.
///
/// With `--persistent_worker` among the arguments, where Bazel puts it, [`serve`] is called;
/// other arguments beside it, the worker's startup flags, are the program's affair. Without it the
/// arguments are those of one request, which is handled at once: that is how Bazel runs the action
/// where it uses no worker, and how people do. Arguments that name params files are expanded as
/// by [`Request::expanded_arguments`]. The reply's text goes to standard error.
pub fn main(handler: impl Handler, options: Options) -> ExitCode {
    if env::args_os().any(|argument| argument == "--persistent_worker") {
        return match serve(handler, options) {
            Ok(exit) => exit.code().into(),
            Err(error) => error.code().into(),
        };
    }
    let Reply { exit_code, output } = once(&handler);
    // Without a standard error there is nobody to tell.
    drop(io::stderr().write_all(output.as_bytes()));
    // What does not fit a process's exit code is a failure all the same.
    u8::try_from(exit_code).unwrap_or(u8::MAX).into()
}

fn once(handler: &impl Handler) -> Reply {
    let context = Context::new(0);
    let outcome = context.finish(|| {
        let directory = env::current_dir()?;
        let arguments: Vec<_> = env::args_os().skip(1).collect();
        let text = |argument: std::ffi::OsString| {
            let not = |other: std::ffi::OsString| format!("{}: not UTF-8", other.display());
            argument.into_string().map_err(|other| Error::failed(1, not(other)))
        };
        let arguments = params::expand(&arguments, &directory)?.into_iter().map(text);
        let message = WorkRequest {
            arguments: arguments.collect::<Result<_, _>>()?,
            ..WorkRequest::default()
        };
        let (_, job) = handler.prepare(Request::new(message, &directory))?;
        handler.handle(job, &context)
    });
    match outcome {
        Outcome::Replied(reply) => reply,
        Outcome::Abandoned => Reply::failed(1, outcome),
        Outcome::Panicked(_) => Reply::failed(INTERNAL_ERROR, outcome),
    }
}
