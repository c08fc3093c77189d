//! What stands at a place in the image, as walking the sources found it.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::paths;
use super::spec::Mode;
use crate::error::{Error, Result};
use crate::fs::{self, Input, Opener, Stamp};

/// An entry that a source gives.
#[derive(Debug)]
pub(super) struct Found {
    /// Its place in the image.
    pub(super) dest: Box<[u8]>,
    /// Permission bits.
    pub(super) mode: Mode,
    /// What stands there.
    pub(super) node: Node,
}

/// What stands at an entry's place.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A regular file with the content of a file on this machine.
    File(Content),
    /// A regular file of no bytes.
    Empty,
    /// A symbolic link with this text.
    Link(Box<[u8]>),
    /// A real link that only the whole layer can settle; with its bytes, should it stand for a
    /// file.
    Open(OpenLink, Source),
}

/// Where a file's bytes are: `root`, or the entry's destination from `relative` on, below it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    root: Arc<Path>,
    relative: Option<u32>,
}

/// A file's bytes, and which file it was when it was found.
#[derive(Clone, Debug)]
pub struct Content {
    source: Source,
    stamp: Stamp,
}

impl Source {
    /// A single file.
    pub(super) fn file(root: &Arc<Path>) -> Self {
        Self { root: root.clone(), relative: None }
    }

    /// The file of an entry at `dest`, which ends with the path below `root`.
    pub(super) fn below(root: &Arc<Path>, dest: &[u8], relative: &[u8]) -> Result<Self> {
        match u32::try_from(dest.len() - relative.len()) {
            Ok(from) => Ok(Self { root: root.clone(), relative: Some(from) }),
            Err(_) => Err(Error::input("the destination is too long:").at(paths::as_path(dest))),
        }
    }

    fn write_path(&self, dest: &[u8], path: &mut PathBuf) {
        path.clear();
        path.push(&*self.root);
        if let Some(from) = self.relative {
            path.push(paths::as_path(&dest[from as usize..]));
        }
    }

    /// The file that an entry at `dest` has its bytes from.
    pub(super) fn path(&self, dest: &[u8]) -> PathBuf {
        let mut path = PathBuf::with_capacity(self.root.as_os_str().len() + 1 + dest.len());
        self.write_path(dest, &mut path);
        path
    }

    /// The content of the file that is there now.
    pub(super) fn content(self, dest: &[u8]) -> Result<Content> {
        let stamp = Stamp::read(&self.path(dest))?;
        Ok(Content { source: self, stamp })
    }
}

impl Content {
    pub(super) fn new(source: Source, stamp: Stamp) -> Self {
        Self { source, stamp }
    }

    /// The part of an entry's destination that is its path in a tree; all of it for a single file.
    pub fn path_in_tree<'a>(&self, dest: &'a [u8]) -> &'a [u8] {
        &dest[self.source.relative.unwrap_or(0) as usize..]
    }

    /// The path of the file that an entry at `dest` has its bytes from.
    pub fn path(&self, dest: &[u8]) -> PathBuf {
        self.source.path(dest)
    }

    /// The same in place of another path, whose room serves again.
    pub fn write_path(&self, dest: &[u8], path: &mut PathBuf) {
        self.source.write_path(dest, path);
    }

    /// Opens the file, which has to be the one that was found.
    pub fn open(&self, path: &Path) -> Result<Input> {
        Input::reopen(path, &self.stamp)
    }

    /// The same, by an opener that has opened the files before.
    pub fn open_by(&self, opener: &mut Opener, path: PathBuf) -> Result<Input> {
        opener.reopen(path, &self.stamp)
    }

    /// The file's length in bytes when it was found.
    pub fn size(&self) -> u64 {
        self.stamp.size()
    }

    /// Whether the file's owner may execute it.
    pub(super) fn is_executable(&self) -> bool {
        self.stamp.is_executable()
    }
}

/// A real link, as it was found behind all hops.
#[derive(Clone, Debug)]
pub(super) struct OpenLink {
    /// Where it is.
    pub(super) at: PathBuf,
    /// Its text.
    pub(super) text: PathBuf,
    /// Whether it lies in a tree.
    pub(super) in_tree: bool,
}

impl OpenLink {
    pub(super) fn read(at: PathBuf, in_tree: bool) -> Result<Self> {
        let text = fs::read_link(&at)?;
        Ok(Self { at, text, in_tree })
    }

    /// Whether it is a relative link that stays in its tree, where it is at `relative`.
    pub(super) fn stays_in_tree(&self, relative: &[u8]) -> bool {
        let directory = paths::parent(relative).unwrap_or_default();
        self.text.is_relative() && paths::resolve(directory, &self.bytes()).is_some()
    }

    /// The error for a link that leads nowhere, with the missing end of its chain.
    pub(super) fn dangling(&self) -> Error {
        let mut what = format!("a link to `{}` leads nowhere", self.text.display());
        let missing = fs::missing_end(&self.at);
        if let Some(missing) = missing.filter(|missing| *missing != self.target()) {
            what = format!("{what} (`{}` is missing)", missing.display());
        }
        Error::input(what + ":").at(&*self.at).hint(
            "leave it out with `--exclude`; or, if another layer or the base image has its target, \
             say so with `--elsewhere=SRC --to=DEST`",
        )
    }

    /// The path that the link leads to, read where it lies, without `.` and `..`.
    pub(super) fn target(&self) -> PathBuf {
        let directory = self.at.parent().unwrap_or(Path::new("/"));
        normal(&directory.join(&self.text))
    }

    /// The link's text as bytes.
    pub(super) fn bytes(&self) -> Box<[u8]> {
        self.text.as_os_str().as_bytes().into()
    }
}

/// A path without `.` and `..`, read without asking the file system.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}
