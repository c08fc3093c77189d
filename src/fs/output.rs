//! Outputs: written out of sight, published whole or not at all.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, XattrFlags};

use super::{Input, Kind, system};
use crate::error::{Error, Fault, Result};

/// Named temporary files that are neither published nor dropped yet.
static UNPUBLISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unpublished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNPUBLISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary files of outputs that nobody will publish: for a process about to exit
/// while a job still runs.
pub fn discard_unpublished() {
    for path in std::mem::take(&mut *unpublished()) {
        discard(&path);
    }
}

/// Removes a temporary file or folder. Nothing more can be done about one that will not go.
fn discard(path: &Path) {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => drop(std::fs::remove_dir_all(path)),
        _ => drop(std::fs::remove_file(path)),
    }
}

/// A file that is being written for `target`.
///
/// Where the file system can, the file has no name until it is published (`O_TMPFILE`), so that
/// not even SIGKILL leaves one behind; elsewhere it has a hidden name beside the target, removed
/// on drop.
#[derive(Debug)]
pub struct Output {
    file: File,
    target: PathBuf,
    temporary: Option<Temporary>,
}

/// A name beside the target; what has it is removed on drop.
#[derive(Debug)]
pub(super) struct Temporary(PathBuf);

impl Temporary {
    /// A name beside `target` that no other output of any process on any machine has: process ids
    /// are the same in two containers that share a folder.
    pub(super) fn beside(target: &Path) -> io::Result<Self> {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random)?;
        let name = format!("{PREFIX}{:032x}{SUFFIX}", u128::from_ne_bytes(random));
        Ok(Self(folder(target).join(name)))
    }

    /// Says that the file is there, and so is to be removed.
    pub(super) fn made(&self) {
        unpublished().insert(self.0.clone());
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if unpublished().remove(&self.0) {
            // Gone already after a rename.
            discard(&self.0);
        }
    }
}

/// How many bytes are copied between two looks at whether the output is still wanted.
const COPY: usize = 16 << 20;

/// What the names of temporary files begin and end with.
const PREFIX: &str = ".pylayer-";
const SUFFIX: &str = ".tmp";

/// Whether a file of this name is an output in the making.
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(PREFIX.as_bytes()) && name.ends_with(SUFFIX.as_bytes())
}

/// The folder that the file at `target` is in.
pub fn folder(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

impl Output {
    /// Starts a file that will become `target`, whose directory must exist.
    pub fn create(target: &Path) -> Result<Self> {
        if target.file_name().is_none() {
            return Err(Error::input("cannot write a file at").at(target));
        }
        match std::fs::symlink_metadata(target).map(|metadata| Kind::from(metadata.file_type())) {
            Err(_) | Ok(Kind::File) => {}
            Ok(other) => {
                let what = match other {
                    Kind::Directory => "a directory",
                    Kind::Symlink => "a link",
                    Kind::Other(what) => what,
                    Kind::File => "a file",
                };
                return Err(Error::input(format!("the output would replace {what}:"))
                    .at(target)
                    .hint("only regular files are replaced: name another path"));
            }
        }
        Self::stage(target).map_err(|source| {
            Error::io("cannot write", target, source)
                .hint("the output's directory must exist and be writable")
        })
    }

    /// Starts what will be copied to standard output.
    pub fn for_stdout() -> Result<Self> {
        let fail = |source: io::Error| {
            Error::new(Fault::Environment, "cannot make a temporary file").because(source)
        };
        let file = tempfile::tempfile().map_err(fail)?;
        Ok(Self { file, target: "-".into(), temporary: None })
    }

    /// Starts a file that will get its name in `directory` when it is published.
    pub fn create_in(directory: &Path) -> io::Result<Self> {
        Self::stage(&directory.join("unnamed"))
    }

    fn stage(target: &Path) -> io::Result<Self> {
        match system::anonymous(folder(target))? {
            Some(file) => Ok(Self { file, target: target.to_owned(), temporary: None }),
            None => Self::named(target),
        }
    }

    fn named(target: &Path) -> io::Result<Self> {
        let temporary = Temporary::beside(target)?;
        let file = File::create_new(&temporary.0)?;
        temporary.made();
        Ok(Self { file, target: target.to_owned(), temporary: Some(temporary) })
    }

    /// Where the file will appear.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| Error::io("cannot write", &self.target, source))
    }

    /// Appends the next bytes of a file, at most `length`, without them passing through this
    /// process where the system can; gives how many, none at the file's end.
    pub fn copy(&mut self, input: &mut Input, length: u64) -> Result<u64> {
        let most = usize::try_from(length).unwrap_or(usize::MAX).min(COPY);
        let failed = |source| Error::io("cannot write", &self.target, source);
        if let Some(copied) = system::copy(&input.file, &self.file, most).map_err(failed)? {
            return Ok(copied);
        }
        let mut piece = vec![0; most.min(256 << 10)];
        let read = input.read(&mut piece)?;
        self.write(&piece[..read]).map(|()| read as u64)
    }

    /// Takes back all but the first `length` bytes.
    pub fn truncate(&mut self, length: u64) -> Result<()> {
        let file = &mut self.file;
        file.set_len(length)
            .and_then(|()| file.seek(SeekFrom::Start(length)).map(|_| ()))
            .map_err(|source| Error::io("cannot write", &self.target, source))
    }

    /// Gives the file an extended attribute, where the file system has such.
    pub fn set_attribute(&self, name: &OsStr, value: &[u8]) {
        let set = rustix::fs::fsetxattr(&self.file, name, value, XattrFlags::empty());
        // It saves a reader some work; without it nothing is wrong.
        let _: rustix::io::Result<()> = set;
    }

    /// Makes the file appear at its target, in place of whatever was there.
    pub fn publish(self) -> Result<()> {
        let target = self.target.clone();
        if target.as_os_str() == "-" {
            let copy = |mut file: &File| {
                file.rewind()?;
                io::copy(&mut file, &mut io::stdout().lock())
            };
            return match copy(&self.file) {
                Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
                    Err(Error::new(Fault::Environment, "cannot write to standard output")
                        .because(source))
                }
                _ => Ok(()),
            };
        }
        self.publish_as(&target).map_err(|source| Error::io("cannot publish", &target, source))
    }

    /// Makes the file appear at its target, unless something is there.
    pub fn publish_new(self) -> io::Result<()> {
        let linked = match &self.temporary {
            Some(temporary) => std::fs::hard_link(&temporary.0, &self.target),
            None => name(&self.file, &self.target),
        };
        linked.or_else(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
        })
    }

    /// Makes the file appear at `target`, in the directory that it was created in.
    pub fn publish_as(self, target: &Path) -> io::Result<()> {
        match self.temporary {
            Some(temporary) => std::fs::rename(&temporary.0, target),
            None => link(&self.file, target),
        }
    }
}

/// How often a file that others put in the place of an output is removed.
const MOST_TRIES: u32 = 100;

/// Gives a nameless file its name, if that is free.
fn name(file: &File, target: &Path) -> io::Result<()> {
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(rustix::fs::linkat(CWD, source.as_str(), CWD, target, AtFlags::SYMLINK_FOLLOW)?)
}

/// Gives a nameless file its name, in place of whatever has it.
fn link(file: &File, target: &Path) -> io::Result<()> {
    // link(2) does not replace. To give the file another name first and rename(2) it would leave
    // that name behind if the process were killed in between; so the old file goes first.
    for _ in 0..MOST_TRIES {
        match name(file, target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                std::fs::remove_file(target).or_else(|error| {
                    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
                })?;
            }
            linked => return linked,
        }
    }
    Err(rustix::io::Errno::EXIST.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Both ways of making an output keep the same promises.
    fn both(check: impl Fn(&Path, fn(&Path) -> Output)) {
        let ways: [fn(&Path) -> Output; 2] =
            [|target| Output::create(target).unwrap(), |target| Output::named(target).unwrap()];
        for way in ways {
            let directory = tempfile::tempdir().unwrap();
            check(directory.path(), way);
        }
    }

    #[test]
    fn an_output_appears_only_when_published() {
        both(|directory, create| {
            let target = directory.join("out");
            let mut output = create(&target);
            output.write(b"one").unwrap();
            assert!(!target.exists());
            output.publish().unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"one");
            assert_eq!(names(directory), ["out"]);
        });
    }

    #[test]
    fn a_dropped_output_leaves_nothing() {
        both(|directory, create| {
            let mut output = create(&directory.join("out"));
            output.write(b"one").unwrap();
            drop(output);
            assert_eq!(names(directory), [""; 0]);
        });
    }

    #[test]
    fn publishing_replaces_without_writing_through() {
        both(|directory, create| {
            let (target, other) = (directory.join("out"), directory.join("other"));
            fs::write(&target, "old").unwrap();
            fs::hard_link(&target, &other).unwrap();
            let mut output = create(&target);
            output.write(b"new").unwrap();
            output.publish().unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"new");
            assert_eq!(fs::read(&other).unwrap(), b"old");
            assert_eq!(names(directory), ["other", "out"]);
        });
    }

    #[test]
    fn an_impossible_target_is_named() {
        let directory = tempfile::tempdir().unwrap();
        for target in [directory.path().join("no/such/out"), directory.path().to_owned()] {
            let error = Output::create(&target).unwrap_err();
            assert!(error.to_string().contains(&*target.to_string_lossy()), "{error}");
        }
    }
}
