//! Directories that pylayer itself keeps: private ones, their files, and locks.

use std::ffi::OsString;
use std::fs::{self as std_fs, DirBuilder, File, FileTimes, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::SystemTime;

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

/// A lock that the kernel frees when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _held: File,
}

/// Takes the lock at `path`; none if somebody holds it.
pub fn try_lock(path: &Path) -> io::Result<Option<Lock>> {
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { _held: file })),
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
