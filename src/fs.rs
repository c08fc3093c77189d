//! The only door to the file system.
//!
//! Every operation says in its error which path it was about. Outputs are written beside their
//! target and appear there by one rename or link, so a reader never sees half a file.

pub mod directory;
mod output;

use std::ffi::OsString;
use std::fs::{self as std_fs, File};
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};

pub use output::{Output, discard_unpublished};

/// What a path is, itself: a symbolic link is not followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a socket, or a FIFO, by that name.
    Other(&'static str),
}

impl From<std_fs::FileType> for Kind {
    fn from(file_type: std_fs::FileType) -> Self {
        if file_type.is_file() {
            Self::File
        } else if file_type.is_dir() {
            Self::Directory
        } else if file_type.is_symlink() {
            Self::Symlink
        } else if file_type.is_fifo() {
            Self::Other("a FIFO")
        } else if file_type.is_socket() {
            Self::Other("a socket")
        } else {
            Self::Other("a device")
        }
    }
}

/// What `path` is, without following a link in its last component.
pub fn kind(path: &Path) -> Result<Kind> {
    match std_fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.file_type().into()),
        Err(source) => Err(Error::io("cannot read", path, source)),
    }
}

/// What `path` leads to; none if it leads nowhere, or around in a circle.
pub fn kind_followed(path: &Path) -> Option<Kind> {
    std_fs::metadata(path).ok().map(|metadata| metadata.file_type().into())
}

/// Whether there is anything at `path`, a dangling link included.
pub fn exists(path: &Path) -> bool {
    std_fs::symlink_metadata(path).is_ok()
}

/// The text of the symbolic link at `path`.
pub fn read_link(path: &Path) -> Result<PathBuf> {
    std_fs::read_link(path).map_err(|source| Error::io("cannot read the link", path, source))
}

/// The absolute path without links that `path` leads to; none if it leads nowhere.
pub fn canonical(path: &Path) -> Option<PathBuf> {
    std_fs::canonicalize(path).ok()
}

/// The names in a directory with their kinds, sorted by name.
pub fn read_dir(path: &Path) -> Result<Vec<(OsString, Kind)>> {
    let fail = |source| Error::io("cannot read the directory", path, source);
    let mut names = Vec::new();
    for entry in std_fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let kind = entry.file_type().map_err(fail)?.into();
        names.push((entry.file_name(), kind));
    }
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

/// A regular file that is being read.
#[derive(Debug)]
pub struct Input {
    file: File,
    path: PathBuf,
    stamp: Stamp,
}

/// What tells a state of a file from its others, and from other files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &std_fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// When the file last changed, by the clock of the system, since 1970. Unlike the time of
    /// modification no program can set it.
    pub fn changed(&self) -> Duration {
        let (seconds, nanoseconds) = self.changed;
        let seconds = u64::try_from(seconds).unwrap_or_default();
        Duration::new(seconds, u32::try_from(nanoseconds).unwrap_or_default())
    }
}

impl Input {
    /// Opens a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |source| Error::io("cannot read", path, source);
        let file = File::open(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if !metadata.is_file() {
            return Err(Error::input("not a regular file:").at(path));
        }
        Ok(Self { file, path: path.to_owned(), stamp: Stamp::of(&metadata) })
    }

    /// The file's length in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.stamp.size
    }

    /// Which file it was, in which state, when it was opened.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Reads some bytes; fewer than asked for only at the file's end or after an interruption.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match self.file.read(buffer) {
                Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::io("cannot read", &self.path, source)),
                Ok(read) => return Ok(read),
            }
        }
    }

    /// Reads some bytes from `offset` on, wherever others read.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(source) if source.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::io("cannot read", &self.path, source)),
                Ok(read) => return Ok(read),
            }
        }
    }

    /// The error for a file that is not as long as it was when it was opened.
    pub fn changed(&self) -> Error {
        Error::input(format!("the file changed from {} bytes while it was read:", self.size()))
            .at(&*self.path)
            .hint("nothing may write to a source during a build")
    }

    fn is_same_file(&self, other: &Self) -> bool {
        let identity = |input: &Self| (input.stamp.device, input.stamp.inode);
        identity(self) == identity(other)
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => return Err(self.changed()),
                read => filled += read,
            }
        }
        Ok(())
    }
}

/// The whole content of a small file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std_fs::read(path).map_err(|source| Error::io("cannot read", path, source))
}

/// A file for what is no output: it is there, and grows, from the start.
pub fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|source| Error::io("cannot write", path, source))
}

/// Whether two regular files hold the same bytes.
pub fn same_content(a: &Path, b: &Path) -> Result<bool> {
    let (mut a, mut b) = (Input::open(a)?, Input::open(b)?);
    if a.size() != b.size() {
        return Ok(false);
    }
    if a.is_same_file(&b) {
        return Ok(true);
    }
    let (mut bytes_a, mut bytes_b) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut left = a.size();
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes_a.len());
        a.read_exact(&mut bytes_a[..length])?;
        b.read_exact(&mut bytes_b[..length])?;
        if bytes_a[..length] != bytes_b[..length] {
            return Ok(false);
        }
        left -= length as u64;
    }
    Ok(true)
}

/// Removes a file that should not have appeared, as far as that goes.
pub fn remove(path: &Path) {
    // It is said already what went wrong before.
    drop(std_fs::remove_file(path));
}
