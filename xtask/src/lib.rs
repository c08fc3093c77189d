//! pylayer's own commands, run as `cargo xtask COMMAND`.
//!
//! `test` checks all that CI checks, `demo` shows what pylayer does, and `bench` measures it
//! against `bsdtar`. Each installs what it needs first. [`bazel`] is also what the Bazel tests in
//! `tests/bazel` call.

pub mod bazel;
mod bench;
mod blob;
mod client;
mod crates;
mod demo;
mod dist;
mod docs;
mod fuzz;
mod install;
mod installed;
mod measure;
mod mtree;
pub mod processes;
mod project;
mod protocol;
mod scale;
pub mod session;
pub mod shell;
pub mod sid;
mod table;
mod test;
mod ui;
mod wheels;
mod workspace;

pub use workspace::copy as copy_workspace;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::Arg::{Long, Short, Value};
use lexopt::ValueExt as _;

use project::Project;
use shell::{Context as _, Failure, Result, failure};

const HELP: &str = "\
pylayer's own commands.

Usage: cargo xtask test [--list] [STEP...]   all that CI checks, or these steps of it
       cargo xtask soak                      tests that take minutes
       cargo xtask wheels                    layers of 40 real wheels against what was installed
       cargo xtask fuzz [--seconds=N] [TARGET...]
                                             the fuzz targets, each for 20 seconds
       cargo xtask demo [--without-bazel]    builds the image of examples/webapi, and shows its layers;
                                             where there is no Bazel, by the worker alone
       cargo xtask bench [--runs=N]          what layers cost, against bsdtar and others; writes
                                             docs/explanation/performance.md
       cargo xtask bench PART...             a part, only printed: cold, cache, segments, chunks,
                                             images, rebuilds
       cargo xtask scale                     what a large company stores, moves, and compresses in a
                                             day: the model of docs/explanation/scale.md
       cargo xtask docs                      writes the reference pages that come from the sources,
                                             and the site: target/book
       cargo xtask dist [--url=BASE] [--complete] [PLATFORM...]
                                             what a release has, in target/dist: see docs/reference/releases.md
       cargo xtask record [NAME...] [--script=FOLDER]
                                             records the sessions of tests/replay from Bazel, or makes
                                             a worker that records what you do to a folder
       cargo xtask replay FILE [--worker=PATH] [--pieces=BYTES] [--order=SEED] [--cut=BYTES]
                                             replays a session, and says what went wrong

On Debian, what a command needs and the machine lacks is installed with apt.
";

/// Runs a command line, given without the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // Not for people: what `record`'s workers run.
    if let [word, folder, worker, script, rest @ ..] = &arguments[..]
        && word == "tee"
    {
        let code = session::tee::run(folder.as_ref(), worker.as_ref(), script.as_ref(), rest);
        return code.map_or_else(
            |failure| {
                ui::failed(&failure);
                ExitCode::FAILURE
            },
            ExitCode::from,
        );
    }
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
        Some(Value(command)) if command == "wheels" => wheels(parser),
        Some(Value(command)) if command == "fuzz" => fuzz(parser),
        Some(Value(command)) if command == "demo" => demo(parser),
        Some(Value(command)) if command == "bench" => bench(parser),
        Some(Value(command)) if command == "scale" => {
            ui::print(scale::table());
            Ok(())
        }
        Some(Value(command)) if command == "docs" => docs(parser),
        Some(Value(command)) if command == "dist" => dist(parser),
        Some(Value(command)) if command == "record" => record(parser),
        Some(Value(command)) if command == "replay" => replay(parser),
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

fn wheels(mut parser: lexopt::Parser) -> Result<()> {
    if let Some(other) = parser.next()? {
        return Err(other.unexpected().into());
    }
    installed::run(&Project::find()?)
}

fn fuzz(mut parser: lexopt::Parser) -> Result<()> {
    let mut options = fuzz::Options::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(target) => options.targets.push(target.string()?),
            Long("seconds") => options.seconds = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    fuzz::run(&Project::find()?, &options)
}

fn demo(mut parser: lexopt::Parser) -> Result<()> {
    match parser.next()? {
        None => demo::run(&Project::find()?),
        Some(Long("without-bazel")) => demo::run_without_bazel(&Project::find()?),
        Some(other) => Err(other.unexpected().into()),
    }
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

fn docs(mut parser: lexopt::Parser) -> Result<()> {
    if let Some(other) = parser.next()? {
        return Err(other.unexpected().into());
    }
    docs::write(&Project::find()?)
}

fn dist(mut parser: lexopt::Parser) -> Result<()> {
    let mut options = dist::Options { bill_of_materials: true, ..dist::Options::default() };
    while let Some(argument) = parser.next()? {
        match argument {
            Value(platform) => options.platforms.push(platform.string()?),
            Long("url") => options.url = Some(parser.value()?.string()?),
            Long("complete") => options.complete = true,
            other => return Err(other.unexpected().into()),
        }
    }
    dist::run(&Project::find()?, &options)
}

fn record(mut parser: lexopt::Parser) -> Result<()> {
    let (mut folder, mut names) = (None, Vec::new());
    while let Some(argument) = parser.next()? {
        match argument {
            Value(name) => names.push(name.string()?),
            Long("script") => folder = Some(PathBuf::from(parser.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    let project = Project::find()?;
    let Some(folder) = folder else {
        install::all(&[install::CC])?;
        return session::record::run(&project, &names);
    };
    let script = session::tee::script(&folder, &project.worker()?)?;
    ui::print(format_args!(
        "PYLAYER_BINARY={}\n\nWith this in Bazel's environment, each worker's session is in {}.\n\
         It has the contents of small inputs in it: look through it before you pass it on.\n",
        script.display(),
        folder.display()
    ));
    Ok(())
}

fn replay(mut parser: lexopt::Parser) -> Result<()> {
    let (mut file, mut worker) = (None, None);
    let mut pace = session::Pace::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(path) if file.is_none() => file = Some(PathBuf::from(path)),
            Long("worker") => worker = Some(PathBuf::from(parser.value()?)),
            Long("pieces") => {
                pace.pieces = Some((parser.value()?.parse()?, Duration::from_millis(1)));
            }
            Long("order") => pace.order = Some(parser.value()?.parse()?),
            Long("cut") => pace.cut = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let file = file.ok_or_else(|| failure("`replay` wants a session; see `cargo xtask --help`"))?;
    let worker = match worker {
        Some(worker) => std::path::absolute(&worker).context(worker.display())?,
        None => Project::find()?.worker()?,
    };
    session::replay_for_people(&file, &worker, pace)
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        failure(format!("{error}; see `cargo xtask --help`"))
    }
}
