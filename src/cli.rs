//! The command line: startup flags, then one action.
//!
//! An action is the same arguments whether they come from a shell, a params file, or a
//! `WorkRequest`: [`Action::parse`] reads all three. What there is to know about a command and its
//! flags stands in one place each: clap's derive, or a [`Table`](crate::flags::Table) where the
//! order of flags matters. The help, the completions, and the man pages come from the same.

mod commands;
mod describe;
mod startup;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use clap::{Arg, value_parser};

pub use commands::{CacheRequest, CacheVerb};
pub use startup::{CacheDir, Startup};

use describe::Read;

use crate::check::CheckRequest;
use crate::diff::DiffRequest;
use crate::error::{Error, Result};
use crate::image::ImageRequest;
use crate::inspect::InspectRequest;
use crate::load::LoadRequest;
use crate::request::{self, LayerRequest};

const HINT: &str = "`pylayer --help` lists the flags and commands";

/// What the process is asked to do.
#[derive(Debug)]
pub enum Invocation {
    /// Print this text.
    Print(String),
    /// Answer work requests until the input ends.
    Worker(Startup),
    /// Perform one action.
    Once(Startup, Box<Action>),
}

/// One action.
#[derive(Debug)]
pub enum Action {
    /// Say this.
    Print(String),
    /// Build a layer.
    Layer(LayerRequest),
    /// Build a segment file.
    Segment(LayerRequest),
    /// Check an image's layers.
    Check(CheckRequest),
    /// Make an image.
    Image(Box<ImageRequest>),
    /// Say what is in a layer or an image.
    Inspect(InspectRequest),
    /// Hand an image to docker or podman.
    Load(LoadRequest),
    /// Say why two layers or images differ.
    Diff(DiffRequest),
    /// Look after the cache.
    Cache(CacheRequest),
}

impl Invocation {
    /// Reads the process's arguments, its own name left out.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        // All that follows the first argument that is no flag is read when the command is known.
        let action = Arg::new("action")
            .num_args(0..)
            .trailing_var_arg(true)
            .value_parser(value_parser!(OsString));
        let command = describe::root().arg(action);
        let (mut startup, base) = (Startup::default(), Path::new(""));
        let mut matches = match startup.read(&command, arguments, HINT)? {
            Read::Matches(matches) => matches,
            Read::Version(text) => return Ok(Self::Print(text)),
            Read::Help(_) => return Ok(Self::Print(describe::help(&[""; 0])?)),
        };
        let arguments: Vec<OsString> =
            matches.remove_many("action").into_iter().flatten().collect();
        if !matches.get_flag("persistent_worker") {
            return Ok(match Action::read(arguments, base, &mut startup)? {
                Action::Print(text) => Self::Print(text),
                action => Self::Once(startup, Box::new(action)),
            });
        }
        match arguments.first() {
            None => Ok(Self::Worker(startup)),
            Some(word) => {
                let what = format!("`{}` follows --persistent_worker", word.display());
                let hint =
                    "a worker reads its commands from standard input: leave out one of the two";
                Err(Error::usage(what).hint(hint))
            }
        }
    }
}

impl Action {
    /// Reads one action's arguments; a sole `@FILE` stands for those in the file, whose path is
    /// relative to `base`.
    pub fn parse(arguments: Vec<OsString>, base: &Path) -> Result<Self> {
        // A worker has started already: there the startup flags are read, and change nothing.
        Self::read(arguments, base, &mut Startup::default())
    }

    fn read(arguments: Vec<OsString>, base: &Path, startup: &mut Startup) -> Result<Self> {
        let arguments = match &*arguments {
            [only] => match params_file(only) {
                Some(path) => request::read_params_file(&base.join(path))?,
                None => arguments,
            },
            _ => arguments,
        };
        let mut arguments = arguments.into_iter();
        match arguments.next() {
            Some(name) => {
                commands::read(&name.to_string_lossy(), arguments.collect(), base, startup)
            }
            None => Err(Error::usage("no command is given").hint(HINT)),
        }
    }
}

fn params_file(argument: &OsStr) -> Option<&OsStr> {
    argument.as_bytes().strip_prefix(b"@").map(OsStr::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Invocation> {
        Invocation::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn startup_flags_stand_in_any_order_before_and_after_the_command() {
        for line in [
            "--persistent_worker --jobs=3 --cache-dir=none --cache-size=2MiB",
            "--cache-size 2MiB --jobs 3 --persistent_worker --cache-dir none",
        ] {
            let Invocation::Worker(startup) = parse(line).unwrap() else { panic!("{line}") };
            assert_eq!(startup.jobs.get(), 3);
            assert_eq!(startup.cache_dir, CacheDir::None);
            assert_eq!(startup.cache_size, 2 << 20);
        }
        let line =
            "--cache-dir /c --jobs=1 layer --package --jobs --jobs=9 --empty --log warn --to @x";
        let Invocation::Once(startup, action) = parse(line).unwrap() else { panic!("{line}") };
        assert_eq!(startup.cache_dir, CacheDir::At("/c".into()));
        assert_eq!(startup.jobs.get(), 9);
        assert_eq!(startup.log, tracing::level_filters::LevelFilter::WARN);
        let alone = ["layer", "--package", "--jobs", "--empty", "--to", "@x"].map(OsString::from);
        let alone = Action::parse(alone.into(), Path::new("")).unwrap();
        assert_eq!(format!("{action:?}"), format!("{alone:?}"));
    }

    #[test]
    fn slips_are_usage_errors_that_name_them() {
        for (line, named) in [
            ("", "command"),
            ("--jobs=0 layer", "--jobs=0"),
            ("--jobs=1025 layer", "--jobs=1025"),
            ("--cache-size=1kb layer", "--cache-size=1kb"),
            ("--cache-size=99999999999GiB layer", "99999999999GiB"),
            ("--frobnicate", "--frobnicate"),
            ("--persistent_worker layer", "layer"),
            ("--persistent_worker=yes", "persistent_worker"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.fault().exit_code(), 2, "{line}");
            assert!(error.to_string().contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn what_may_be_meant_is_said() {
        for (line, meant) in
            [("--job=3 layer", "--jobs"), ("--persistent-worker", "--persistent_worker")]
        {
            assert!(parse(line).unwrap_err().to_string().contains(meant), "{line}");
        }
        for (line, meant) in
            [("layr", "`layer`"), ("layer --outptu=x", "`--output`"), ("help chek", "`check`")]
        {
            let arguments = line.split(' ').map(OsString::from).collect();
            let error = Action::parse(arguments, Path::new("")).unwrap_err();
            assert!(error.to_string().contains(meant), "{line}: {error}");
        }
        let arguments = ["xyzzy"].map(OsString::from).into();
        let error = Action::parse(arguments, Path::new("")).unwrap_err();
        assert!(!error.to_string().contains("mean"), "{error}");
    }
}
