//! Two lanes of steps at a time: cargo's in this process, and Bazel's in processes of their own.
//!
//! The steps of one lane share a toolchain, a target folder, or a server. Those of the other use
//! the processors while they wait.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Step;
use crate::project::Project;
use crate::shell::{self, Context as _, Result, failure};
use crate::ui;

/// A step's name, and how long it took.
pub(super) type Time = (&'static str, Duration);

/// Runs a step, and shows what it says as it comes.
pub(super) fn run(project: &Project, step: &Step) -> Result<Time> {
    ui::heading(format_args!("{}: {}", step.name, step.what));
    let start = Instant::now();
    let result = (step.run)(project);
    let time = start.elapsed();
    result.map_err(|error| {
        failure(format!("step {} after {}: {error}", step.name, ui::seconds(time)))
    })?;
    ui::done(format_args!("{}: {}", step.name, ui::seconds(time)));
    Ok((step.name, time))
}

/// Runs two lanes of steps. What a step of the second says is shown when it has ended. When a step
/// fails, the other lane ends the step that it is in.
pub(super) fn two(project: &Project, first: &[Step], second: &[Step]) -> Result<Vec<Time>> {
    let failed = AtomicBool::new(false);
    let (first, second) = thread::scope(|scope| {
        let second = scope.spawn(|| lane(second, &failed, |step| beside(project, step)));
        let first = lane(first, &failed, |step| run(project, step));
        (first, second.join())
    });
    match (first, second.map_err(|_| failure("the thread of the second lane panicked"))?) {
        (Ok(first), Ok(second)) => Ok([first, second].concat()),
        (Err(one), Err(other)) => Err(failure(format!("{one}; {other}"))),
        (Err(failed), Ok(_)) | (Ok(_), Err(failed)) => Err(failed),
    }
}

/// Runs steps one after another, until one has failed in either lane.
fn lane(
    steps: &[Step],
    failed: &AtomicBool,
    run: impl Fn(&Step) -> Result<Time>,
) -> Result<Vec<Time>> {
    let steps = steps.iter().take_while(|_| !failed.load(Ordering::Relaxed));
    steps.map(|step| run(step).inspect_err(|_| failed.store(true, Ordering::Relaxed))).collect()
}

/// Runs a step in a process of its own, whose output goes to a file until it has ended.
fn beside(project: &Project, step: &Step) -> Result<Time> {
    let path = project.folder("test")?.join(step.name).with_extension("log");
    let log = File::create(&path).context(path.display())?;
    ui::say(format_args!("{} runs beside; until it ends, see {}", step.name, path.display()));
    // Cargo may have replaced the file since; then by one of the same sources.
    let mut command = Command::new(env::current_exe().context("cannot find this program")?);
    command.args(["test", step.name]).stderr(log.try_clone().context(path.display())?).stdout(log);
    let start = Instant::now();
    let result = shell::run(&mut command);
    let time = start.elapsed();
    let said = fs::read(&path).context(path.display())?;
    io::stderr().write_all(&said).context("cannot write to standard error")?;
    result.map(|()| (step.name, time))
}
