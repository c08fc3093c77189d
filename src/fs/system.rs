//! What only Linux can do. Elsewhere the answer is that it cannot be done, and the caller has
//! another way, which file systems that cannot do it need on Linux, too.

use std::fs::File;
use std::io;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::sync::LazyLock;

/// A file without a name in `directory`; none where the file system has no such thing.
#[cfg(target_os = "linux")]
pub(super) fn anonymous(directory: &Path) -> io::Result<Option<File>> {
    use rustix::fs::{CWD, Mode, OFlags};
    use rustix::io::Errno;

    // Linking the file later goes through /proc.
    static HAS_PROC: LazyLock<bool> = LazyLock::new(|| Path::new("/proc/self/fd").is_dir());
    if !*HAS_PROC {
        return Ok(None);
    }
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH;
    match rustix::fs::openat(CWD, directory, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode)
    {
        Ok(file) => Ok(Some(file.into())),
        // What open(2) and old kernels answer where O_TMPFILE is unknown.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Copies the next bytes of a file, at most `most`, without them passing through this process;
/// gives how many. None where the two file systems cannot.
#[cfg(target_os = "linux")]
pub(super) fn copy(from: &File, to: &File, most: usize) -> io::Result<Option<u64>> {
    use rustix::io::Errno;

    match rustix::fs::copy_file_range(from, None, to, None, most) {
        Ok(copied) => Ok(Some(copied as u64)),
        Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Has an empty file share another one's blocks; whether the file system can.
#[cfg(target_os = "linux")]
pub(super) fn share(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "on Linux it may fail")]
pub(super) fn anonymous(_directory: &Path) -> io::Result<Option<File>> {
    Ok(None)
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "on Linux it may fail")]
pub(super) fn copy(_from: &File, _to: &File, _most: usize) -> io::Result<Option<u64>> {
    Ok(None)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn share(_from: &File, _to: &File) -> bool {
    false
}
