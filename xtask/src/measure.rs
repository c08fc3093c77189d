//! What a program costs.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4 as _;

use crate::shell::{self, Context as _, Result, failure};

/// The cost of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// User and system time of the process and all that it waited for.
    pub(crate) cpu: Duration,
    /// From start to end.
    pub(crate) wall: Duration,
    /// The most memory that was resident, in bytes.
    pub(crate) memory: u64,
}

/// Runs a command, which has to succeed.
pub(crate) fn measure(command: &mut Command) -> Result<Cost> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .spawn()
        .context(format_args!("cannot run `{}`", shell::display(command)))?;
    let used = child.wait4().context("cannot wait for it")?;
    if !used.status.success() {
        return Err(failure(format!("`{}` failed: {}", shell::display(command), used.status)));
    }
    Ok(Cost {
        cpu: used.rusage.utime + used.rusage.stime,
        wall: start.elapsed(),
        memory: used.rusage.maxrss,
    })
}
