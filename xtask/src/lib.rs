//! pylayer's own commands, run as `cargo xtask COMMAND`.
//!
//! `test` checks all that CI checks, `demo` shows what pylayer does, and `bench` measures it
//! against `bsdtar`. Each installs what it needs first. [`bazel`] is also what the Bazel tests in
//! `tests/bazel` call.

pub mod bazel;
mod bench;
mod blob;
mod demo;
mod install;
mod measure;
mod mtree;
mod project;
pub mod shell;
mod table;
mod test;
mod ui;
mod wheels;
mod workspace;

pub use workspace::copy as copy_workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt as _;

use project::Project;
use shell::{Failure, Result, failure};

const HELP: &str = "\
pylayer's own commands.

Usage: cargo xtask test [--list] [STEP...]   all that CI checks, or these steps of it
       cargo xtask soak                      tests that take minutes
       cargo xtask demo                      builds the layers of examples/webapi, and shows them
       cargo xtask bench [--runs=N]          what layers cost, against bsdtar and others; writes
                                             docs/performance.md
       cargo xtask bench PART...             a part of it, which is only printed: cold, cache

On Debian, what a command needs and the machine lacks is installed with apt.
";

/// Runs a command line, given without the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui::failed(&failure);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<()> {
    let mut parser = lexopt::Parser::from_args(arguments);
    match parser.next()? {
        Some(Value(command)) if command == "test" => test(parser),
        Some(Value(command)) if command == "soak" => soak(parser),
        Some(Value(command)) if command == "demo" => demo(parser),
        Some(Value(command)) if command == "bench" => bench(parser),
        None | Some(Long("help") | Short('h')) => {
            ui::print(HELP);
            Ok(())
        }
        Some(other) => Err(other.unexpected().into()),
    }
}

fn test(mut parser: lexopt::Parser) -> Result<()> {
    let mut steps = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("list") => {
                test::list();
                return Ok(());
            }
            Value(step) => steps.push(step.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    test::run(&Project::find()?, &steps)
}

fn soak(mut parser: lexopt::Parser) -> Result<()> {
    if let Some(other) = parser.next()? {
        return Err(other.unexpected().into());
    }
    test::soak(&Project::find()?)
}

fn demo(mut parser: lexopt::Parser) -> Result<()> {
    if let Some(other) = parser.next()? {
        return Err(other.unexpected().into());
    }
    demo::run(&Project::find()?)
}

fn bench(mut parser: lexopt::Parser) -> Result<()> {
    let mut options = bench::Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(part) => options.choose(&part.string()?)?,
            Long("runs") => {
                options.runs = parser.value()?.parse()?;
            }
            other => return Err(other.unexpected().into()),
        }
    }
    bench::run(&Project::find()?, &options)
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        failure(format!("{error}; see `cargo xtask --help`"))
    }
}
