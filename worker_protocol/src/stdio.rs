//! Standard input and output belong to the protocol alone.
//!
//! Bazel kills a worker for one stray byte on standard output, and
//! a child process that reads standard input would eat requests. So both are
//! moved to descriptors that no child inherits and nobody else knows; in their
//! places stand `/dev/null` and standard error.

use std::fs::File;
use std::io;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio;

/// The streams that Bazel holds the other ends of.
#[derive(Debug)]
pub(crate) struct Stdio {
    pub(crate) input: File,
    pub(crate) output: File,
}

/// Moves the streams. From here on everything printed goes to standard error,
/// which Bazel keeps as the worker's log.
pub(crate) fn take() -> io::Result<Stdio> {
    // Numbers above 2 also where the process was started without a standard stream.
    let input = fcntl_dupfd_cloexec(stdio::stdin(), 3)?;
    let output = fcntl_dupfd_cloexec(stdio::stdout(), 3)?;
    stdio::dup2_stdin(File::open("/dev/null")?)?;
    stdio::dup2_stdout(stdio::stderr())?;
    Ok(Stdio { input: input.into(), output: output.into() })
}
