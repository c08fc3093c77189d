//! The command line: startup flags, then one action.
//!
//! An action is the same arguments whether they come from a shell, a params file, or a
//! `WorkRequest`: [`Action::parse`] reads all three.

mod startup;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use lexopt::Arg::{Long, Short, Value};
pub use startup::{CacheDir, Startup};

use startup::STARTUP;

use crate::check::{self, CheckRequest};
use crate::diff::{self, DiffRequest};
use crate::error::{Error, Result};
use crate::flags::{self, usage};
use crate::image::{self, ImageRequest};
use crate::inspect::{self, InspectRequest};
use crate::request::{self, LayerRequest};

const HINT: &str = "`pylayer --help` lists the flags and commands";

/// What `pylayer --help` prints.
const HELP: &str = "\
Container image layers for Python: same input, same bytes.

Usage: pylayer [STARTUP FLAGS] COMMAND [ARGS]
       pylayer [STARTUP FLAGS] @FILE                 arguments from FILE, one a line
       pylayer [STARTUP FLAGS] --persistent_worker   a Bazel worker on stdin and stdout

Commands:
  layer               builds one layer: see `pylayer layer --help`
  segment             builds one package's segment, for `layer --segment`
  image               makes an OCI image of layers: see `pylayer image --help`
  inspect             says what is in a layer or an image: see `pylayer inspect --help`
  diff                says why two layers or images differ: see `pylayer diff --help`
  check               checks an image's layers: see `pylayer check --help`
  cache stat [--json] what the cache holds, and how useful it has been
  cache verify        checks all that is in the cache and removes what is damaged
  cache gc            removes what is over --cache-size, the least recently used first
  cache clear         removes everything
  help COMMAND        says what a command does

Startup flags, none of which changes any output; a command takes them, too:
      --jobs=N            compression threads of the process [number of CPUs]
      --cache-dir=DIR     where a worker keeps what it has built, or `none`
      --cache-size=BYTES  the most it keeps; suffixes KiB, MiB, and GiB [20GiB]
      --digest-attribute=NAME
                          gives each layer its SHA-256 as an extended attribute of this name, for a
                          Bazel started with --unix_digest_hash_attribute_name=NAME, which then does
                          not read the layer to hash it
      --log=LEVEL         what is said on standard error: off, warn, info (a line a layer, with what
                          was slow), or debug (a line a package) [warn]; a request of Bazel's with
                          verbosity is told all about itself
      --trace=FILE        writes a trace for chrome://tracing or ui.perfetto.dev; %p in the name
                          stands for the process
  -h, --help
  -V, --version
";

/// What the process is asked to do.
#[derive(Debug)]
pub enum Invocation {
    /// Print this text.
    Print(String),
    /// Answer work requests until the input ends.
    Worker(Startup),
    /// Perform one action.
    Once(Startup, Vec<OsString>),
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
    /// Say why two layers or images differ.
    Diff(DiffRequest),
    /// Look after the cache.
    Cache(CacheRequest),
}

/// A `pylayer cache` command.
#[derive(Debug)]
pub struct CacheRequest {
    /// What to do.
    pub verb: CacheVerb,
    /// Whether to answer in JSON.
    pub json: bool,
}

/// What can be done with a cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CacheVerb {
    /// Say what it holds.
    Stat,
    /// Check it.
    Verify,
    /// Remove what is over the limit.
    Collect,
    /// Remove everything.
    Clear,
}

/// The commands.
const COMMANDS: [&str; 8] =
    ["layer", "segment", "image", "inspect", "diff", "check", "cache", "help"];

impl Invocation {
    /// Reads the process's arguments, its own name left out.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut startup = Startup::default();
        let mut worker = false;
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(usage(HINT))? {
            match argument {
                Long("persistent_worker") => worker = true,
                Long("help") | Short('h') => return Ok(Self::Print(HELP.to_owned())),
                Long("version") | Short('V') => {
                    return Ok(Self::Print(
                        concat!("pylayer ", env!("CARGO_PKG_VERSION"), "\n").to_owned(),
                    ));
                }
                Value(command) if !worker => {
                    let rest = parser.raw_args().map_err(usage(HINT))?;
                    let arguments = std::iter::once(command).chain(rest).collect();
                    let arguments = expand(arguments, Path::new(""))?;
                    let arguments = startup.take_from(arguments)?;
                    return Ok(Self::Once(startup, arguments));
                }
                Long(flag) => {
                    let flag = format!("--{flag}");
                    if !STARTUP.contains(&&*flag) {
                        let known = STARTUP.into_iter().chain(["--persistent_worker"]);
                        return Err(flags::unknown("startup flag", &flag, known, HINT));
                    }
                    startup.set(&flag, parser.value().map_err(usage(HINT))?)?;
                }
                other => return Err(usage(HINT)(other.unexpected())),
            }
        }
        if worker {
            return Ok(Self::Worker(startup));
        }
        Err(Error::usage("no command is given").hint(HINT))
    }
}

impl Action {
    /// Reads one action's arguments; a sole `@FILE` stands for those in the file, whose path is
    /// relative to `base`.
    pub fn parse(arguments: Vec<OsString>, base: &Path) -> Result<Self> {
        // A worker has started already: there the startup flags are read, and change nothing.
        let mut ignored = Startup::default();
        let mut arguments = ignored.take_from(expand(arguments, base)?)?.into_iter();
        let Some(command) = arguments.next() else {
            return Err(Error::usage("no command is given").hint(HINT));
        };
        let arguments = arguments.collect::<Vec<_>>();
        match command.to_str() {
            Some("segment") if arguments.iter().any(|a| a == "--help" || a == "-h") => {
                Ok(Self::Print(request::segment_help()))
            }
            Some("segment") => Ok(Self::Segment(LayerRequest::parse_segment(arguments)?)),
            Some("layer") if arguments.iter().any(|a| a == "--help" || a == "-h") => {
                Ok(Self::Print(request::help()))
            }
            Some("layer") => Ok(Self::Layer(LayerRequest::parse(arguments)?)),
            Some("check") if arguments.iter().any(|a| a == "--help" || a == "-h") => {
                Ok(Self::Print(check::HELP.to_owned()))
            }
            Some("image") if arguments.iter().any(|a| a == "--help" || a == "-h") => {
                Ok(Self::Print(image::help()))
            }
            Some("image") => Ok(Self::Image(Box::new(ImageRequest::parse(arguments)?))),
            Some("inspect") if arguments.iter().any(|a| a == "--help" || a == "-h") => {
                Ok(Self::Print(inspect::help()))
            }
            Some("inspect") => Ok(Self::Inspect(InspectRequest::parse(arguments)?)),
            Some("diff") if arguments.iter().any(|a| a == "--help" || a == "-h") => {
                Ok(Self::Print(diff::help()))
            }
            Some("diff") => Ok(Self::Diff(DiffRequest::parse(arguments)?)),
            Some("check") => Ok(Self::Check(CheckRequest::parse(arguments, base)?)),
            Some("cache") if arguments.iter().any(|a| a == "--help" || a == "-h") => {
                Ok(Self::Print(HELP.to_owned()))
            }
            Some("cache") => Ok(Self::Cache(CacheRequest::parse(arguments)?)),
            Some("help") => match arguments.first().and_then(|command| command.to_str()) {
                None | Some("cache" | "help") => Ok(Self::Print(HELP.to_owned())),
                Some("layer") => Ok(Self::Print(request::help())),
                Some("segment") => Ok(Self::Print(request::segment_help())),
                Some("check") => Ok(Self::Print(check::HELP.to_owned())),
                Some("diff") => Ok(Self::Print(diff::help())),
                Some("image") => Ok(Self::Print(image::help())),
                Some("inspect") => Ok(Self::Print(inspect::help())),
                Some(other) => Err(flags::unknown("command", other, COMMANDS, HINT)),
            },
            _ => Err(flags::unknown("command", &command.to_string_lossy(), COMMANDS, HINT)),
        }
    }
}

/// The arguments; those in the file where they are a sole `@FILE`, whose path is relative to `base`.
fn expand(arguments: Vec<OsString>, base: &Path) -> Result<Vec<OsString>> {
    match &*arguments {
        [only] => match params_file(only) {
            Some(path) => request::read_params_file(&base.join(path)),
            None => Ok(arguments),
        },
        _ => Ok(arguments),
    }
}

impl CacheRequest {
    fn parse(arguments: Vec<OsString>) -> Result<Self> {
        let (mut verb, mut json) = (None, false);
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(usage(HINT))? {
            match argument {
                Value(word) if verb.is_none() => {
                    verb = Some(match word.to_str() {
                        Some("stat") => CacheVerb::Stat,
                        Some("verify") => CacheVerb::Verify,
                        Some("gc") => CacheVerb::Collect,
                        Some("clear") => CacheVerb::Clear,
                        _ => return Err(usage(HINT)(Value(word).unexpected())),
                    });
                }
                Long("json") => json = true,
                other => return Err(usage(HINT)(other.unexpected())),
            }
        }
        match verb {
            Some(verb) => Ok(Self { verb, json }),
            None => {
                Err(Error::usage("`cache` needs one of stat, verify, gc, and clear").hint(HINT))
            }
        }
    }
}

fn params_file(argument: &OsStr) -> Option<&OsStr> {
    use std::os::unix::ffi::OsStrExt as _;
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
        let line = "--cache-dir /c --jobs=1 layer --package --jobs --jobs=9 --empty --log warn @x";
        let Invocation::Once(startup, action) = parse(line).unwrap() else { panic!("{line}") };
        assert_eq!(startup.cache_dir, CacheDir::At("/c".into()));
        assert_eq!(startup.jobs.get(), 9);
        assert_eq!(action, ["layer", "--package", "--jobs", "--empty", "@x"]);
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
