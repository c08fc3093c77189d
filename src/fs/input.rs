//! Files that are read: regular ones, which nobody may change meanwhile.

use std::ffi::OsStr;
use std::fs as std_fs;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
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

/// How files are opened. The open of a FIFO waits for a writer, and that of a terminal makes it the
/// process's own.
const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens files one after the other. Where several come from one directory, the system looks that
/// up once.
#[derive(Debug, Default)]
pub struct Opener {
    directory: PathBuf,
    /// None before the second file of the directory.
    open: Option<OwnedFd>,
}

impl Opener {
    /// Opens the file that was seen at `path` before.
    pub fn reopen(&mut self, path: PathBuf, seen: &Stamp) -> Result<Input> {
        let file = self.open(&path);
        Input::of(file, path)?.expect_same(seen)
    }

    fn open(&mut self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let bytes = path.as_os_str().as_bytes();
        if let Some(slash) = bytes.iter().rposition(|&byte| byte == b'/') {
            let (directory, name) = (OsStr::from_bytes(&bytes[..slash]), &bytes[slash + 1..]);
            if self.directory.as_os_str() == directory {
                if self.open.is_none() {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                    self.open = rustix::fs::open(directory, flags, Mode::empty()).ok();
                }
                // Else the path says what is wrong.
                if let Some(open) = &self.open
                    && let Ok(file) = rustix::fs::openat(open, name, FLAGS, Mode::empty())
                {
                    return Ok(file);
                }
            } else {
                self.open = None;
                self.directory.clear();
                self.directory.push(directory);
            }
        }
        rustix::fs::open(path, FLAGS, Mode::empty())
    }
}

impl Input {
    /// Opens a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(rustix::fs::open(path, FLAGS, Mode::empty()), path.to_owned())
    }

    /// Opens the file that was seen at `path` before.
    pub fn reopen(path: &Path, seen: &Stamp) -> Result<Self> {
        Self::open(path)?.expect_same(seen)
    }

    fn of(file: rustix::io::Result<OwnedFd>, path: PathBuf) -> Result<Self> {
        let metadata = file.map_err(Into::into).and_then(|file| {
            let file = File::from(file);
            file.metadata().map(|metadata| (file, metadata))
        });
        match metadata {
            Ok((file, metadata)) if metadata.is_file() => {
                Ok(Self { file, path, stamp: Stamp::of(&metadata) })
            }
            Ok(_) => Err(Error::input("not a regular file:").at(path)),
            Err(source) => Err(Error::io("cannot read", &path, source)),
        }
    }

    fn expect_same(self, seen: &Stamp) -> Result<Self> {
        if !self.stamp.is_same_file(seen) {
            return Err(Error::input("another file took the place of")
                .at(self.path)
                .hint(UNTOUCHED));
        }
        if self.stamp.size == seen.size { Ok(self) } else { Err(self.changed()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opener_gives_the_files_that_were_seen_and_says_which_are_others() {
        let folder = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let names = ["a", "b", "c", "d", "e"];
        let paths = names.map(|name| folder.path().join(name));
        let seen = names.map(|name| {
            let path = folder.path().join(name);
            std_fs::write(&path, name).unwrap();
            std_fs::write(other.path().join(name), "not seen").unwrap();
            Stamp::read(&path).unwrap()
        });
        std_fs::rename(other.path().join("c"), &paths[2]).unwrap();
        std_fs::remove_file(&paths[3]).unwrap();

        let mut opener = Opener::default();
        let mut open = |at: usize| opener.reopen(paths[at].clone(), &seen[at]);
        for at in [0, 1, 4] {
            let mut byte = [0];
            open(at).unwrap().read_exact(&mut byte).unwrap();
            assert_eq!(byte, names[at].as_bytes());
        }
        for (at, what) in [(2, "another file took the place of"), (3, "cannot read")] {
            let error = open(at).unwrap_err().to_string();
            assert!(
                error.contains(what) && error.contains(&*paths[at].to_string_lossy()),
                "{error}"
            );
        }
        let elsewhere = other.path().join("a");
        assert!(opener.reopen(elsewhere.clone(), &Stamp::read(&elsewhere).unwrap()).is_ok());
        assert!(opener.reopen(elsewhere, &seen[0]).is_err());
    }
}
