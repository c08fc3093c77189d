//! Files that are read: regular ones, which nobody may change meanwhile.

use std::fs as std_fs;
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::File;
use crate::error::{Error, Result};

/// How many bytes have been read by [`Input::read`].
static BYTES_READ: AtomicU64 = AtomicU64::new(0);

/// How many bytes of files the process has read one after the other, since it began.
pub fn bytes_read() -> u64 {
    BYTES_READ.load(Ordering::Relaxed)
}

/// What to do about a source that changes.
const UNTOUCHED: &str = "nothing may write to a source during a build";

/// A regular file that is being read.
#[derive(Debug)]
pub struct Input {
    pub(super) file: File,
    path: PathBuf,
    stamp: Stamp,
}

/// What tells a state of a file from its others, and from other files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
    executable: bool,
}

impl Stamp {
    pub(super) fn of(metadata: &std_fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            executable: metadata.mode() & 0o100 != 0,
        }
    }

    /// The stamp of the regular file that `path` leads to.
    pub fn read(path: &Path) -> Result<Self> {
        let metadata =
            std_fs::metadata(path).map_err(|source| Error::io("cannot read", path, source))?;
        if !metadata.is_file() {
            return Err(Error::input("not a regular file:").at(path));
        }
        Ok(Self::of(&metadata))
    }

    /// The file's length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the file's owner may execute it.
    pub fn is_executable(&self) -> bool {
        self.executable
    }

    /// Whether both are of one file. Some file systems number their files anew at will: there the
    /// time of the last change has to do.
    fn is_same_file(&self, other: &Self) -> bool {
        self.device == other.device
            && (self.inode == other.inode
                || self.size == other.size && self.changed == other.changed)
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
        // The open of a FIFO waits for a writer, and that of a terminal makes it the process's own.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty());
        let file = File::from(file.map_err(|errno| fail(errno.into()))?);
        let metadata = file.metadata().map_err(fail)?;
        if !metadata.is_file() {
            return Err(Error::input("not a regular file:").at(path));
        }
        Ok(Self { file, path: path.to_owned(), stamp: Stamp::of(&metadata) })
    }

    /// Opens the file that was seen at `path` before.
    pub fn reopen(path: &Path, seen: &Stamp) -> Result<Self> {
        let input = Self::open(path)?;
        if input.stamp.is_same_file(seen) {
            if input.stamp.size == seen.size { Ok(input) } else { Err(input.changed()) }
        } else {
            Err(Error::input("another file took the place of").at(path).hint(UNTOUCHED))
        }
    }

    /// Where the file was.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fails if the file has changed since it was opened.
    pub fn expect_unchanged(&self) -> Result<()> {
        let now =
            self.file.metadata().map_err(|source| Error::io("cannot read", &self.path, source));
        if Stamp::of(&now?) == self.stamp { Ok(()) } else { Err(self.changed()) }
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
                Ok(read) => {
                    BYTES_READ.fetch_add(read as u64, Ordering::Relaxed);
                    return Ok(read);
                }
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
        Error::input("the file changed while it was read:").at(&*self.path).hint(UNTOUCHED)
    }

    /// Fills the buffer; an error where the file ends before that.
    pub fn read_exact(&mut self, buffer: &mut [u8]) -> Result<()> {
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

/// The whole content of a regular file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut input = Input::open(path)?;
    let size = input.size();
    if size > limit {
        let what = format!("{size} bytes are more than the {limit} that are read of");
        return Err(Error::input(what).at(path));
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Whether two regular files hold the same bytes.
pub fn same_content(
    (mut a, mut b): (Input, Input),
    check: &dyn Fn() -> Result<()>,
) -> Result<bool> {
    if a.size() != b.size() {
        return Ok(false);
    }
    if (a.stamp.device, a.stamp.inode) == (b.stamp.device, b.stamp.inode) {
        return Ok(true);
    }
    let (mut bytes_a, mut bytes_b) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut left = a.size();
    while left > 0 {
        check()?;
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
