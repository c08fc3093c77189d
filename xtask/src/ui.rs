//! What is said to the person at the terminal, and in which colours.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{
    ProgressBar, ProgressBarIter, ProgressFinish, ProgressIterator as _, ProgressStyle,
};

use crate::shell::Failure;

/// Writes a result to standard output. Where that is gone, nobody is there to be told.
pub(crate) fn print(text: impl fmt::Display) {
    let mut stdout = io::stdout().lock();
    drop(write!(stdout, "{text}").and_then(|()| stdout.flush()));
}

/// Writes a line of progress to standard error, where cargo's and Bazel's go.
pub(crate) fn say(text: impl fmt::Display) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Begins something that takes time.
pub(crate) fn heading(text: impl fmt::Display) {
    let (start, end) = style("1;36");
    say(format_args!("\n{start}==> {text}{end}"));
}

/// Ends it.
pub(crate) fn done(text: impl fmt::Display) {
    let (start, end) = style("32");
    say(format_args!("{start}<== {text}{end}"));
}

/// Shows how far a loop has come that says nothing, while it runs, and only at a terminal.
pub(crate) fn progress<I: ExactSizeIterator>(what: &'static str, items: I) -> ProgressBarIter<I> {
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} {msg}");
    let bar = ProgressBar::new(items.len() as u64).with_message(what);
    let bar = bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    items.progress_with(bar.with_finish(ProgressFinish::AndClear))
}

/// Ends all of it, badly.
pub(crate) fn failed(failure: &Failure) {
    let (start, end) = style("1;31");
    say(format_args!("\n{start}failed:{end} {failure}"));
}

/// Seconds, as precise as a person reads them.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 9.995 { format!("{seconds:.2} s") } else { format!("{seconds:.1} s") }
}

/// The escape sequences around a text, empty unless a terminal shows it and wants colours.
fn style(code: &str) -> (String, &'static str) {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if unwanted || !io::stderr().is_terminal() {
        return (String::new(), "");
    }
    (format!("\x1b[{code}m"), "\x1b[0m")
}
