//! The startup flags, which stand before a command or after it.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::HINT;
use crate::error::{Error, Result};
use crate::flags;

/// The startup flags, each of which has a value.
pub(super) const STARTUP: [&str; 6] =
    ["--jobs", "--cache-dir", "--cache-size", "--digest-attribute", "--log", "--trace"];

/// The flags of commands that have no value.
const WITHOUT_VALUE: [&str; 7] =
    ["--empty", "--directory", "--explain", "--json", "--link", "--help", "-h"];

/// The startup flags: none of them changes any byte of any output.
#[derive(Debug)]
pub struct Startup {
    /// The number of members compressed at a time.
    pub jobs: NonZeroUsize,
    /// Where the cache is.
    pub cache_dir: CacheDir,
    /// The cache's upper limit in bytes.
    pub cache_size: u64,
    /// The extended attribute that a layer's SHA-256 is written to, as 32 bytes: what Bazel's
    /// `--unix_digest_hash_attribute_name` reads in place of the file.
    pub digest_attribute: Option<OsString>,
    /// The least important kind of lines in the log.
    pub log: LevelFilter,
    /// The file of a trace, in which `%p` stands for the process's number.
    pub trace: Option<PathBuf>,
}

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

impl Default for Startup {
    fn default() -> Self {
        Self {
            jobs: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            cache_dir: CacheDir::Default,
            cache_size: 20 << 30,
            digest_attribute: None,
            log: LevelFilter::WARN,
            trace: None,
        }
    }
}

impl Startup {
    /// Takes in a flag, which is one of [`STARTUP`].
    pub(super) fn set(&mut self, flag: &str, value: OsString) -> Result<()> {
        match flag {
            "--jobs" => self.jobs = jobs(&value)?,
            "--cache-size" => self.cache_size = bytes(&value)?,
            "--digest-attribute" => self.digest_attribute = Some(value),
            "--log" => self.log = level(&value)?,
            "--trace" => self.trace = Some(value.into()),
            _ if value == "none" => self.cache_dir = CacheDir::None,
            _ => self.cache_dir = CacheDir::At(value.into()),
        }
        Ok(())
    }

    /// Takes the startup flags from a command's arguments; gives the others.
    pub(super) fn take_from(&mut self, arguments: Vec<OsString>) -> Result<Vec<OsString>> {
        let mut others = Vec::with_capacity(arguments.len());
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let bytes = argument.as_bytes();
            let equals = bytes.iter().position(|&byte| byte == b'=');
            let name = &bytes[..equals.unwrap_or(bytes.len())];
            let flag = STARTUP.into_iter().find(|flag| flag.as_bytes() == name);
            match (flag, equals) {
                (Some(flag), Some(at)) => {
                    self.set(flag, OsString::from_vec(bytes[at + 1..].to_vec()))?;
                }
                (Some(flag), None) => {
                    let missing = || Error::usage(format!("`{flag}` has no value")).hint(HINT);
                    self.set(flag, arguments.next().ok_or_else(missing)?)?;
                }
                (None, Some(_)) => others.push(argument),
                (None, None) => {
                    let has_value = bytes.starts_with(b"--")
                        && !WITHOUT_VALUE.iter().any(|flag| flag.as_bytes() == bytes);
                    others.push(argument);
                    if has_value {
                        others.extend(arguments.next());
                    }
                }
            }
        }
        Ok(others)
    }
}

fn level(value: &OsStr) -> Result<LevelFilter> {
    let levels = [LevelFilter::OFF, LevelFilter::WARN, LevelFilter::INFO, LevelFilter::DEBUG];
    let text = value.to_string_lossy();
    levels.into_iter().find(|level| level.to_string() == text).ok_or_else(|| {
        Error::usage(format!("--log: `{text}` is not off, warn, info, or debug")).hint(HINT)
    })
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
