//! What a process tells about its work: lines on standard error, and a trace.
//!
//! None of it reaches a layer.

#![expect(clippy::disallowed_methods, reason = "how long it took, never what came of it")]

use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use tracing::level_filters::LevelFilter;
use tracing_chrome::{ChromeLayerBuilder, FlushGuard};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{DynFilterFn, dynamic_filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::error::{Error, Fault, Result};
use crate::fs;

/// How often a trace is written out: what was killed has one up to then.
const FLUSH: Duration = Duration::from_secs(1);

/// When progress is first shown, and how often from then on.
const FIRST_PROGRESS: Duration = Duration::from_secs(1);
const NEXT_PROGRESS: Duration = Duration::from_millis(200);

/// Has a terminal clear the rest of the line (ECMA-48, EL).
const CLEAR: &str = "\x1b[K";

thread_local! {
    /// What the request on this thread wants to know besides.
    static REQUEST: Cell<LevelFilter> = const { Cell::new(LevelFilter::OFF) };
}

/// Keeps the observation going; what is left is written when it is dropped.
#[derive(Debug)]
pub struct Observer(Option<(Sender<()>, JoinHandle<()>)>);

/// Starts to observe the process.
pub fn start(log: LevelFilter, trace: Option<&Path>) -> Result<Observer> {
    let wanted = move |level: &tracing::Level| *level <= log || *level <= REQUEST.get();
    let filter: DynFilterFn<_, _> = dynamic_filter_fn(move |metadata, _| wanted(metadata.level()));
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        // Where standard error is gone, there is nobody to be told about that.
        .log_internal_errors(false)
        .with_filter(filter.with_max_level_hint(LevelFilter::DEBUG));
    let (spans, observer) = match trace {
        None => (None, Observer(None)),
        Some(path) => {
            let name = path.to_string_lossy().replace("%p", &std::process::id().to_string());
            let file = fs::create(Path::new(&name))?;
            let (spans, guard) = ChromeLayerBuilder::new().writer(file).include_args(true).build();
            let (stop, stopped) = mpsc::channel();
            let flusher = thread::Builder::new().name("trace".to_owned()).spawn(move || {
                let guard: FlushGuard = guard;
                while stopped.recv_timeout(FLUSH) == Err(RecvTimeoutError::Timeout) {
                    guard.flush();
                }
            });
            let flusher = flusher.map_err(|source| {
                Error::new(Fault::Environment, "cannot start a thread").because(source)
            })?;
            (Some(spans), Observer(Some((stop, flusher))))
        }
    };
    // There is one already only in a process that does this twice.
    drop(tracing_subscriber::registry().with(lines).with(spans).try_init());
    Ok(observer)
}

impl Drop for Observer {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            // It panics only if what it writes to is gone, and has said so then.
            drop(thread.join());
        }
    }
}

/// Shows on standard error how far the process has come, where that is a terminal and it takes
/// longer than a second. The line is gone when the observer is dropped.
pub fn show_progress() -> Observer {
    if !io::stderr().is_terminal() {
        return Observer(None);
    }
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = thread::Builder::new().name("progress".to_owned()).spawn(move || {
        let mut shown = false;
        let mut wait = FIRST_PROGRESS;
        while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            let read = ByteSize::b(fs::bytes_read()).display().iec();
            // Where the terminal is gone, nobody waits for the line.
            drop(write!(io::stderr(), "\r{read} read{CLEAR}"));
            (shown, wait) = (true, NEXT_PROGRESS);
        }
        if shown {
            drop(write!(io::stderr(), "\r{CLEAR}"));
        }
    });
    // It is a comfort: without a thread there is none.
    Observer(thread.ok().map(|thread| (stop, thread)))
}

/// While it lives, the request on this thread is told about as its `verbosity` asks.
#[derive(Debug)]
pub struct Verbose(LevelFilter);

impl Verbose {
    /// Above 0, Bazel's user wants details (`--worker_verbose`; `WorkRequest.verbosity`).
    pub fn new(verbosity: i32) -> Self {
        let level = if verbosity > 0 { LevelFilter::DEBUG } else { LevelFilter::OFF };
        Self(REQUEST.replace(level))
    }
}

impl Drop for Verbose {
    fn drop(&mut self) {
        REQUEST.set(self.0);
    }
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
