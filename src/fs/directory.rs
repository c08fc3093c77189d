//! Directories that pylayer itself keeps: private ones, their files, and locks.

use std::ffi::OsString;
use std::fs::{self as std_fs, DirBuilder, File, FileTimes, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;

/// An open never waits for another end of a pipe, and follows no link to another's file.
const NONBLOCK: i32 =
    (OFlags::NONBLOCK.bits() | OFlags::NOFOLLOW.bits() | OFlags::NOCTTY.bits()).cast_signed();

/// A file in a directory of ours.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub name: OsString,
    /// What it takes on the disk, in bytes.
    pub size: u64,
    /// When it was last used, as far as the clock can be believed.
    pub used: SystemTime,
}

/// Makes a directory, and those above it, that only its owner may enter.
pub fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Why a directory of ours cannot be relied on; none if nobody but its owner, who is the user that
/// this process runs as, can change what it leads to. Links are not followed.
pub fn mistrust(path: &Path) -> io::Result<Option<&'static str>> {
    let metadata = std_fs::symlink_metadata(path)?;
    Ok(if metadata.is_symlink() {
        Some("is a link")
    } else if !metadata.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    } else if metadata.uid() != rustix::process::geteuid().as_raw() {
        Some("belongs to another user")
    } else if metadata.mode() & 0o022 != 0 {
        Some("may be written to by others than its owner")
    } else {
        None
    })
}

/// The first directory above `path`, which has no links, in which others could put another in the
/// place of the one on the way. The members of the process's own group are not others: users have
/// groups of their own.
pub fn exposed_parent(path: &Path) -> Option<&Path> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    path.ancestors().skip(1).find(|parent| {
        let Ok(metadata) = std_fs::metadata(parent) else { return false };
        let mode = metadata.mode();
        let is_ours = [0, user].contains(&metadata.uid());
        let is_open =
            mode & 0o002 != 0 || mode & 0o020 != 0 && ![0, group].contains(&metadata.gid());
        // In a sticky directory only the owner of what is there may replace it.
        !is_ours || is_open && mode & 0o1000 == 0
    })
}

/// Whether nothing is in a directory.
pub fn is_empty(path: &Path) -> bool {
    std_fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// The regular files in a directory; none where there is no directory.
pub fn list(path: &Path) -> Vec<Listed> {
    let Ok(entries) = std_fs::read_dir(path) else {
        return Vec::new();
    };
    let listed = entries.flatten().filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(std_fs::Metadata::is_file)?;
        let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Some(Listed { name: entry.file_name(), size: metadata.blocks() * 512, used })
    });
    listed.collect()
}

/// Says that a file was used just now; a file that is gone is nobody's concern.
#[expect(clippy::disallowed_methods, reason = "the time decides what is collected, no byte")]
pub fn touch(path: &Path) {
    let times = FileTimes::new().set_modified(SystemTime::now());
    // Where this fails, the file is collected earlier than it should be.
    drop(
        OpenOptions::new()
            .append(true)
            .custom_flags(NONBLOCK)
            .open(path)
            .and_then(|file| file.set_times(times)),
    );
}

/// How often a directory is emptied that others fill meanwhile.
const EMPTIED: usize = 1000;

/// Removes a directory with all that is in it, also while others put more there.
pub fn remove_all(path: &Path) -> io::Result<()> {
    for _ in 1..EMPTIED {
        match std_fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            done => return done,
        }
    }
    std_fs::remove_dir_all(path)
}

/// A lock that the kernel frees when the process ends, however it ends. Its file is gone when it
/// is freed; one who was killed leaves an empty file.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    progress: u64,
}

impl Lock {
    /// Says to those who wait that the holder is at work.
    pub fn progress(&mut self) {
        self.progress += 1;
        // Where it cannot be said, the others wait no longer than for one who is stopped.
        drop(self.file.write_all_at(&self.progress.to_le_bytes(), 0));
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is held: one who opened it before gets a lock that others do not see, and works
        // beside them, which is allowed.
        drop(std_fs::remove_file(&self.path));
    }
}

/// How far the holder of a lock has come; it means something only beside another such value.
pub fn read_progress(path: &Path) -> Option<u64> {
    let mut bytes = [0; 8];
    let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path).ok()?;
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(u64::from_le_bytes(bytes))
}

/// Takes the lock at `path`; none if somebody holds it.
pub fn try_lock(path: &Path) -> io::Result<Option<Lock>> {
    let file = match (try_lock_file(path), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            create_private(folder)?;
            try_lock_file(path)?
        }
        (tried, _) => tried?,
    };
    Ok(file.map(|file| Lock { file, path: path.to_owned(), progress: 0 }))
}

/// Opens the file at `path`, which is made if need be, and locks it until it is closed; none if
/// somebody holds it.
pub fn try_lock_file(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(NONBLOCK);
    let file = options.open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Writes a small file in place: for what may be lost. To make it empty first would have ext4 write
/// it to the disk at once.
pub fn overwrite(path: &Path, bytes: &[u8]) {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(NONBLOCK);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)
    });
    drop(written);
}

/// Puts bytes at the end of a file that is there, whatever others put there.
pub fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().append(true).custom_flags(NONBLOCK).open(path)?.write_all(bytes)
}
