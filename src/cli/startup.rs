//! The startup flags, which stand before a command or after it.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::thread;

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser as _};
use clap::error::ErrorKind;
use clap::{Args, Command, FromArgMatches as _};
use tracing::level_filters::LevelFilter;

use super::describe::{self, Read};
use crate::error::{Error, Result};
use crate::flags;

/// The default upper limit of the cache, in GiB.
const CACHE_GIB: u64 = 20;

/// The startup flags: none of them changes any byte of any output.
#[derive(Args, Debug)]
#[command(next_help_heading = "Startup flags")]
pub struct Startup {
    /// The number of members compressed at a time.
    #[arg(
        long,
        value_name = "N",
        value_parser = OsStringValueParser::new().try_map(|value| jobs(&value)),
        help = "Compression threads of the process; one more serves new requests while all of these are \
                at work for large ones [default: number of CPUs]"
    )]
    pub jobs: NonZeroUsize,
    /// Where the cache is.
    #[arg(
        long,
        value_name = "DIR",
        value_hint = clap::ValueHint::DirPath,
        value_parser = OsStringValueParser::new().map(CacheDir::from),
        help = "Where a worker keeps its cache, or `none` [default: in Bazel's output base]"
    )]
    pub cache_dir: CacheDir,
    /// The cache's upper limit in bytes.
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = OsStringValueParser::new().try_map(|value| bytes(&value)),
        help = format!(
            "Upper limit of the cache; suffixes KiB, MiB, and GiB [default: {CACHE_GIB}GiB]"
        )
    )]
    pub cache_size: u64,
    /// The extended attribute that a layer's SHA-256 is written to, as 32 bytes: what Bazel's
    /// `--unix_digest_hash_attribute_name` reads in place of the file.
    #[arg(
        long,
        value_name = "NAME",
        help = "Stores each layer's SHA-256 in an extended attribute of this name, which a Bazel \
                started with --unix_digest_hash_attribute_name=NAME reads instead of hashing the \
                layer"
    )]
    pub digest_attribute: Option<OsString>,
    /// The least important kind of lines in the log.
    #[arg(
        long,
        value_name = "LEVEL",
        value_parser = PossibleValuesParser::new(LEVELS.map(|(name, _)| name)).map(|l| level(&l)),
        hide_possible_values = true,
        help = "What goes to standard error: off, warn, info (a line for each layer, with what \
                was slow), or debug (a line for each package); requests for which Bazel sets \
                verbosity log everything [default: warn]"
    )]
    pub log: LevelFilter,
    /// The file of a trace, in which `%p` stands for the process ID.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help = "Writes a trace for chrome://tracing or ui.perfetto.dev; %p in the name \
                stands for the process ID"
    )]
    pub trace: Option<PathBuf>,
}

const LEVELS: [(&str, LevelFilter); 4] = [
    ("off", LevelFilter::OFF),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
];

/// Where the cache is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CacheDir {
    /// Where the way of running suggests.
    Default,
    /// In memory only.
    None,
    /// In this directory.
    At(PathBuf),
}

/// Asked once: the answer takes a dozen system calls, and every request has startup flags.
static CPUS: LazyLock<NonZeroUsize> =
    LazyLock::new(|| thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));

impl Default for Startup {
    fn default() -> Self {
        Self {
            jobs: *CPUS,
            cache_dir: CacheDir::Default,
            cache_size: CACHE_GIB << 30,
            digest_attribute: None,
            log: LevelFilter::WARN,
            trace: None,
        }
    }
}

impl From<OsString> for CacheDir {
    fn from(typed: OsString) -> Self {
        if typed == "none" { Self::None } else { Self::At(typed.into()) }
    }
}

impl Startup {
    /// The flags as clap describes them; none has to be given.
    pub(super) fn command() -> Command {
        // A value is whatever follows its flag, and of two the last one counts.
        Self::augment_args_for_update(Command::new("startup"))
            .mut_args(|flag| flag.allow_hyphen_values(true))
            .args_override_self(true)
    }

    /// Reads arguments of a command that has the startup flags, and takes in those.
    pub(super) fn read(
        &mut self,
        command: &Command,
        arguments: impl IntoIterator<Item = OsString>,
        hint: &str,
    ) -> Result<Read> {
        let arguments = std::iter::once("pylayer".into()).chain(arguments);
        let matches = command.clone().try_get_matches_from(arguments);
        let read = matches.and_then(|matches| {
            self.update_from_arg_matches(&matches)?;
            Ok(matches)
        });
        match read {
            Ok(matches) => Ok(Read::Matches(matches)),
            Err(error) => match error.kind() {
                ErrorKind::DisplayHelp => Ok(Read::Help(describe::with_equals(&error.to_string()))),
                ErrorKind::DisplayVersion => Ok(Read::Version(error.to_string())),
                _ => Err(describe::refusal(&error, command, hint)),
            },
        }
    }
}

fn level(name: &str) -> LevelFilter {
    LEVELS
        .into_iter()
        .find_map(|(level, filter)| (level == name).then_some(filter))
        .unwrap_or(LevelFilter::WARN)
}

fn jobs(value: &OsStr) -> Result<NonZeroUsize> {
    // More threads than any machine has CPUs are a slip of the finger.
    let jobs = flags::number("jobs", value, 1, 1024)?;
    Ok(usize::try_from(jobs).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN))
}

fn bytes(value: &OsStr) -> Result<u64> {
    let read = |text: &str| {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
        let unit = units.iter().find(|(suffix, _)| text.ends_with(suffix));
        let (suffix, shift) = unit.unwrap_or(&("", 0));
        let digits = text.strip_suffix(suffix)?;
        let digits = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse::<u64>().ok()?.checked_mul(1 << shift)
    };
    value.to_str().and_then(read).ok_or_else(|| {
        Error::usage(format!("`--cache-size={}` is not a size", value.display()))
            .hint("write bytes, or a number with KiB, MiB, or GiB")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, size) in [("0", 0), ("17", 17), ("1KiB", 1024), ("3GiB", 3 << 30)] {
            assert_eq!(bytes(OsStr::new(text)).unwrap(), size);
        }
    }
}
