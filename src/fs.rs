//! The only door to the file system.
//!
//! Every operation says in its error which path it was about. Outputs are written beside their
//! target and appear there by one rename or link, so a reader never sees half a file.

pub mod directory;
mod folder;
mod input;
mod output;
mod system;

pub use std::fs::File;

use std::ffi::OsString;
use std::fs as std_fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

pub use folder::{OutputFolder, Placing};
pub use input::{Input, Opener, Stamp, bytes_read, read, same_content};
pub use output::{Output, discard_unpublished, folder, is_temporary};

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

/// The first path on the way from the link at `path` that is not there; none if all is, or the
/// way leads around in a circle.
pub fn missing_end(path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        match std_fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let text = std_fs::read_link(&path).ok()?;
                path = path.parent().unwrap_or(Path::new("/")).join(text);
            }
            Ok(_) => return None,
            Err(_) => return Some(path),
        }
    }
    None
}

/// The path, from the root on; links stay.
pub fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What tells a place for a file from all others: its folder without links, and its name there.
pub fn identity(path: &Path) -> PathBuf {
    let known = canonical(folder(path)).unwrap_or_else(|| folder(path).to_owned());
    path.file_name().map_or_else(|| known.clone(), |name| known.join(name))
}

/// Whether both paths are of one place for a file. Paths with different names are not compared
/// further, for the links in both would have to be read.
pub fn is_same_place(a: &Path, b: &Path) -> bool {
    a.file_name() == b.file_name() && identity(a) == identity(b)
}

/// The absolute path without links that `path` leads to; none if it leads nowhere.
pub fn canonical(path: &Path) -> Option<PathBuf> {
    std_fs::canonicalize(path).ok()
}

/// Something in a directory.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: OsString,
    /// What it is, itself.
    pub kind: Kind,
    /// Which file it is, if it is a regular one.
    pub file: Option<Stamp>,
}

/// What is in a directory, sorted by name.
pub fn read_dir(path: &Path) -> Result<Vec<Member>> {
    let fail = |source| Error::io("cannot read the directory", path, source);
    let mut names = Vec::new();
    for entry in std_fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let kind = entry.file_type().map_err(fail)?.into();
        let file = match kind {
            Kind::File => Some(Stamp::of(&entry.metadata().map_err(fail)?)),
            _ => None,
        };
        names.push(Member { name: entry.file_name(), kind, file });
    }
    names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(names)
}

/// What comes first in a directory by name, and what it is; none if nothing is there. Nothing else
/// is asked about it or the others.
pub fn first_in(path: &Path) -> Result<Option<(OsString, Kind)>> {
    let fail = |source| Error::io("cannot read the directory", path, source);
    let mut first: Option<(OsString, std_fs::DirEntry)> = None;
    for entry in std_fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        if first.as_ref().is_none_or(|(first, _)| name < *first) {
            first = Some((name, entry));
        }
    }
    match first {
        Some((name, entry)) => Ok(Some((name, entry.file_type().map_err(fail)?.into()))),
        None => Ok(None),
    }
}

/// A file for what is no output: it is there, and grows, from the start.
pub fn create(path: &Path) -> Result<File> {
    File::create(path).map_err(|source| Error::io("cannot write", path, source))
}

/// Removes a file that should not have appeared, as far as that goes.
pub fn remove(path: &Path) {
    // It is said already what went wrong before.
    drop(std_fs::remove_file(path));
}
