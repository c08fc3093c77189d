//! The `pylayer` binary: reads the command line, runs, and turns the outcome into an exit code.

use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use pylayer::cli::{Action, Invocation, Startup};
use pylayer::error::{Error, Fault, Result};
use pylayer::fs;
use pylayer::observe;
use pylayer::service::Service;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use worker_protocol::{CancelToken, Options};

/// Requests performed at a time: Bazel sends no more to one process by default
/// (`--worker_max_multiplex_instances`).
const SLOTS: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// How long an action may take to stop after a signal.
const SIGNAL_GRACE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    #[cfg(target_env = "gnu")]
    share_one_arena();
    match catch_unwind(run) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            // Where standard error is gone, the exit code has to do.
            drop(writeln!(io::stderr(), "pylayer: {error}"));
            error.fault().exit_code().into()
        }
        Err(_panic) => Fault::Internal.exit_code().into(),
    }
}

/// Where `ulimit -v` limits the address space, starts the program again with one heap for all
/// threads.
///
/// glibc reserves 64 MiB for a thread's own heap. Below such a limit there may then be no room for
/// the next small allocation, which ends the process, while buffers that cannot be had only cost a
/// request. The number of heaps is read when a process begins (`mallopt(3)`).
#[cfg(target_env = "gnu")]
#[expect(clippy::disallowed_methods, reason = "how memory is reserved reaches no byte")]
fn share_one_arena() {
    use std::env;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use rustix::process::{Resource, getrlimit};

    const ARENAS: &str = "MALLOC_ARENA_MAX";
    if getrlimit(Resource::As).current.is_none() || env::var_os(ARENAS).is_some() {
        return;
    }
    let mut arguments = env::args_os();
    if let (Ok(program), Some(name)) = (env::current_exe(), arguments.next()) {
        // It returns only where it fails, and then this process does the work.
        drop(Command::new(program).arg0(name).args(arguments).env(ARENAS, "1").exec());
    }
}

fn run() -> Result<ExitCode> {
    // A write beyond the limit of a file's size is an error then, and does not end the process.
    signal_hook::flag::register(SIGXFSZ, Arc::default()).map_err(|source| {
        Error::new(Fault::Environment, "cannot handle the signal SIGXFSZ").because(source)
    })?;
    match Invocation::parse(std::env::args_os().skip(1))? {
        Invocation::Print(text) => print(&text),
        Invocation::Worker(startup) => {
            let _observer = observe::start(startup.log, startup.trace.as_deref())?;
            work(startup)
        }
        Invocation::Once(startup, action) => {
            let _observer = observe::start(startup.log, startup.trace.as_deref())?;
            let makes_layer = matches!(*action, Action::Layer(_));
            let leaves_files = makes_layer
                || matches!(*action, Action::Image(_) | Action::Inspect(_) | Action::Segment(_));
            let service = if makes_layer { Service::once } else { Service::without_cache };
            let progress = observe::show_progress();
            let (service, cancel) = (service(startup)?, CancelToken::new());
            let ended_by = if leaves_files { stop_when_ended(&cancel)? } else { Arc::default() };
            let answer = service.perform(*action, &cancel);
            drop(progress);
            if let Some(signal) = ended_by.get() {
                // What was unpublished is gone; the process ends as it would have done at once.
                drop(emulate_default_handler(*signal));
            }
            let answer = answer?;
            let mut notes = answer.notes;
            for (_, line) in &answer.warnings {
                notes = format!("{notes}pylayer: warning: {line}\n");
            }
            drop(io::stderr().write_all(notes.as_bytes()));
            let printed = print(&answer.text)?;
            Ok(if answer.differs { Fault::Input.exit_code().into() } else { printed })
        }
    }
}

/// Has an action stop, and remove what it has not published, when the user or the system ends the
/// process; gives where the signal will be.
fn stop_when_ended(cancel: &CancelToken) -> Result<Arc<OnceLock<i32>>> {
    let cannot = |source| {
        Error::new(Fault::Environment, "cannot handle the signals that end a process")
            .because(source)
    };
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(cannot)?;
    let (cancel, ended_by) = (cancel.clone(), Arc::new(OnceLock::new()));
    let first = ended_by.clone();
    let wait = move || {
        let Some(signal) = signals.forever().next() else { return };
        let Ok(()) = first.set(signal) else { return };
        // This waits for an output that is being published, and a write to a pipe that nobody empties
        // does not end.
        drop(thread::Builder::new().spawn(move || cancel.abandon()));
        thread::sleep(SIGNAL_GRACE);
        fs::discard_unpublished();
        drop(emulate_default_handler(signal));
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(cannot)?;
    Ok(ended_by)
}

fn work(startup: Startup) -> Result<ExitCode> {
    let options = Options::default().slots(SLOTS);
    let served = worker_protocol::serve(Service::worker(startup)?, options);
    // A job that did not stop in time still holds its files; the process ends before it does.
    fs::discard_unpublished();
    match served {
        Ok(exit) => Ok(ExitCode::from(exit.code())),
        // The runtime has written it to the worker's log.
        Err(error) => Ok(ExitCode::from(error.code())),
    }
}

fn print(text: &str) -> Result<ExitCode> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(Fault::Environment, "cannot write to standard output").because(source))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
