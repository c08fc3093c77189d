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
    /// Its length in bytes.
    pub size: u64,
    /// When it was last used, as far as the clock can be believed.
    pub used: SystemTime,
}

/// Makes a directory, and those above it, that only its owner may enter.
pub fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether others than its owner may write to a directory.
pub fn is_writable_by_others(path: &Path) -> io::Result<bool> {
    Ok(std_fs::metadata(path)?.mode() & 0o022 != 0)
}

/// The regular files in a directory; none where there is no directory.
pub fn list(path: &Path) -> Vec<Listed> {
    let Ok(entries) = std_fs::read_dir(path) else {
        return Vec::new();
    };
    let listed = entries.flatten().filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(std_fs::Metadata::is_file)?;
        let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Some(Listed { name: entry.file_name(), size: metadata.len(), used })
    });
    listed.collect()
}

/// Says that a file was used just now; a file that is gone is nobody's concern.
#[expect(clippy::disallowed_methods, reason = "the time decides what is collected, no byte")]
pub fn touch(path: &Path) {
    let times = FileTimes::new().set_modified(SystemTime::now());
    // Where this fails, the file is collected earlier than it should be.
    drop(OpenOptions::new().append(true).open(path).and_then(|file| file.set_times(times)));
}

/// Removes a directory with all that is in it.
pub fn remove_all(path: &Path) -> io::Result<()> {
    match std_fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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
    let open = || {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600).custom_flags(NONBLOCK);
        options.open(path)
    };
    let file = open().or_else(|error| {
        match path.parent() {
            Some(folder) if error.kind() == io::ErrorKind::NotFound => create_private(folder)?,
            _ => return Err(error),
        }
        open()
    })?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { file, path: path.to_owned(), progress: 0 })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Writes a file's first bytes in place: for what may be lost. To make it empty first would have
/// ext4 write it to the disk at once.
pub fn overwrite(path: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    drop(file.and_then(|mut file| file.write_all(bytes)));
}
