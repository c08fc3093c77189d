//! What went wrong, whose fault it is, and what the user can do.

use std::fmt;
use std::path::{Path, PathBuf};

/// Whose fault an error is; decides the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The files or names that the request asks for.
    Input,
    /// The command line.
    Usage,
    /// The machine: a full disk, a missing permission.
    Environment,
    /// A bug in pylayer.
    Internal,
    /// Nobody's: the requester no longer wants the answer.
    Abandoned,
}

impl Fault {
    /// The process exit code, and the `exit_code` of a `WorkResponse`.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Input | Self::Abandoned => 1,
            Self::Usage => 2,
            Self::Environment => 3,
            Self::Internal => 70,
        }
    }
}

/// An error for the user: what failed, on which path, why, and a hint.
#[derive(Debug)]
pub struct Error {
    fault: Fault,
    what: String,
    path: Option<PathBuf>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    hint: Option<String>,
    /// What helps where nobody knows better.
    general_hint: Option<&'static str>,
}

/// The result of everything in pylayer that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given fault; `what` is a fragment without a final period.
    pub fn new(fault: Fault, what: impl Into<String>) -> Self {
        Self { fault, what: what.into(), path: None, source: None, hint: None, general_hint: None }
    }

    /// The request's files or names are at fault.
    pub fn input(what: impl Into<String>) -> Self {
        Self::new(Fault::Input, what)
    }

    /// The command line is at fault.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Fault::Usage, what)
    }

    /// The requester gave up; no output may appear.
    pub fn abandoned() -> Self {
        Self::new(Fault::Abandoned, "abandoned by the requester")
    }

    /// A failed file operation on `path`.
    ///
    /// A file that is missing or of the wrong kind is the input's fault; a missing permission, or
    /// a disk or a limit that gives out, is the environment's.
    pub fn io(what: impl Into<String>, path: &Path, source: std::io::Error) -> Self {
        let fault = match source.kind() {
            std::io::ErrorKind::NotFound
            | std::io::ErrorKind::NotADirectory
            | std::io::ErrorKind::IsADirectory
            | std::io::ErrorKind::InvalidFilename
            | std::io::ErrorKind::InvalidInput
            | std::io::ErrorKind::UnexpectedEof => Fault::Input,
            _ if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                Fault::Input
            }
            _ => Fault::Environment,
        };
        let hint = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Some("free some space, or write to another disk")
            }
            std::io::ErrorKind::FileTooLarge => {
                Some("`ulimit -f` shows the limit of a file's size")
            }
            _ if source.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
                Some("`ulimit -n` shows how many files a process may have open")
            }
            _ => None,
        };
        let general_hint = match source.kind() {
            std::io::ErrorKind::NotFound if path.is_relative() => {
                Some("check the path; it begins in the working directory")
            }
            std::io::ErrorKind::NotFound => Some("check the path"),
            std::io::ErrorKind::PermissionDenied => {
                Some("`ls -ld` shows the owner and the permissions")
            }
            _ => None,
        };
        let error = Self { general_hint, ..Self::new(fault, what) }.at(path).because(source);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// Names the path that the error is about.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what the user can do about it, unless that is said already.
    #[must_use]
    pub fn or_hint(mut self, hint: impl FnOnce() -> String) -> Self {
        self.hint = self.hint.or_else(|| Some(hint()));
        self
    }

    /// Whose fault the error is.
    pub fn fault(&self) -> Fault {
        self.fault
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(path) = &self.path {
            write!(f, " `{}`", path.display())?;
        }
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        if let Some(hint) = self.hint.as_deref().or(self.general_hint) {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn the_cause_decides_the_fault() {
        use rustix::io::Errno;
        for (errno, fault) in [
            (Errno::NOENT, Fault::Input),
            (Errno::NOTDIR, Fault::Input),
            (Errno::LOOP, Fault::Input),
            (Errno::ACCESS, Fault::Environment),
            (Errno::NOSPC, Fault::Environment),
            (Errno::MFILE, Fault::Environment),
        ] {
            let error = Error::io("cannot read", Path::new("a"), errno.into());
            assert_eq!(error.fault(), fault, "{errno}");
        }
    }

    #[test]
    fn a_message_has_all_its_parts() {
        let error = Error::input("cannot read")
            .at("a b")
            .because(io::Error::from(io::ErrorKind::NotFound))
            .hint("look again");
        assert_eq!(error.to_string(), "cannot read `a b`: entity not found\nhint: look again");
    }
}
