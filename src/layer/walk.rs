//! From sources to entries: trees are walked, globs applied, names checked, and links sorted into
//! those that stay as they are and those that only the whole layer can settle.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::links::Places;
use super::sandbox::{self, MOST_HOPS, hop};
use super::spec::{Links, Source, SourcePath, What};
use super::{Checkpoint, Filter, filter, paths};
use crate::error::{Error, Result};
use crate::fs::{self, Kind};

/// An entry that a source gives.
#[derive(Debug)]
pub(super) struct Found {
    /// Its place in the image.
    pub(super) dest: Box<[u8]>,
    /// Permission bits.
    pub(super) mode: u32,
    /// What stands there.
    pub(super) node: Node,
}

/// What stands at an entry's place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Node {
    /// A regular file with the content of a file on this machine.
    File(Content),
    /// A regular file of no bytes.
    Empty,
    /// A symbolic link with this text.
    Link(Box<[u8]>),
    /// A real link that only the whole layer can settle; with its bytes, should it stand for a
    /// file.
    Open(OpenLink, Content),
}

/// Where a file's bytes are: `root`, or the entry's destination from `relative` on, below it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Content {
    root: Arc<Path>,
    relative: Option<u32>,
}

impl Content {
    /// The content of an entry at `dest`, which ends with the path below `root`.
    fn below(root: &Arc<Path>, dest: &[u8], relative: &[u8]) -> Result<Self> {
        match u32::try_from(dest.len() - relative.len()) {
            Ok(from) => Ok(Self { root: root.clone(), relative: Some(from) }),
            Err(_) => Err(Error::input("the destination is too long:").at(paths::as_path(dest))),
        }
    }

    /// The part of an entry's destination that is its path in a tree; all of it for a single file.
    pub fn path_in_tree<'a>(&self, dest: &'a [u8]) -> &'a [u8] {
        &dest[self.relative.unwrap_or(0) as usize..]
    }

    /// The path of the file that an entry at `dest` has its bytes from.
    pub fn path(&self, dest: &[u8]) -> PathBuf {
        let mut path = PathBuf::new();
        self.write_path(dest, &mut path);
        path
    }

    /// The same in place of another path, whose room serves again.
    pub fn write_path(&self, dest: &[u8], path: &mut PathBuf) {
        path.clear();
        path.push(&*self.root);
        if let Some(from) = self.relative {
            path.push(paths::as_path(&dest[from as usize..]));
        }
    }
}

/// A real link, as it was found behind all hops.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct OpenLink {
    /// Where it is.
    pub(super) at: PathBuf,
    /// Its text.
    pub(super) text: PathBuf,
    /// Whether it lies in a tree.
    pub(super) in_tree: bool,
}

/// Walks sources and collects what they give.
pub(super) struct Walk<'a> {
    places: &'a Places<'a>,
    check: Checkpoint<'a>,
    found: Vec<Found>,
}

/// A tree that is being walked.
struct Tree<'a> {
    source: &'a Source,
    path: &'a SourcePath,
    filter: &'a Filter,
    /// Where the tree's own links hop to, if it is a sandbox's.
    behind: Option<PathBuf>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(places: &'a Places<'a>, check: Checkpoint<'a>) -> Self {
        Self { places, check, found: Vec::new() }
    }

    /// The number of entries so far.
    pub(super) fn found(&self) -> usize {
        self.found.len()
    }

    /// What all sources walked gave, in the order of walking.
    pub(super) fn finish(self) -> Vec<Found> {
        self.found
    }

    /// Adds a source's entries.
    pub(super) fn source(&mut self, source: &Source) -> Result<()> {
        let to = source.to.bytes();
        if to.is_empty() && !matches!(source.what, What::Tree { .. }) {
            return Err(Error::input("only a tree can go to the image's root"));
        }
        match &source.what {
            What::Symlink(text) => {
                let directory = paths::parent(to).unwrap_or_default();
                let climbs = !text.starts_with(b"/") && paths::resolve(directory, text).is_none();
                if climbs || text.is_empty() || text.contains(&0) {
                    return Err(Error::input(format!(
                        "the link's text `{}` leads out of the image at",
                        paths::as_path(text).display()
                    ))
                    .at(paths::as_path(to)));
                }
                self.push(source, to.into(), Node::Link(text.clone().into()));
            }
            What::Empty => self.push(source, to.into(), Node::Empty),
            What::File(path) => {
                if self.places.covered_elsewhere(path.full()) {
                    return Ok(());
                }
                let content = Content { root: path.full().clone(), relative: None };
                let kind = fs::kind(path.full())?;
                let (kind, at) = hop(kind, path.full().to_path_buf(), path.typed(), None)?;
                let node = match (source.links, kind) {
                    (Links::Keep, Kind::Symlink) => Node::Link(OpenLink::read(at, false)?.bytes()),
                    (Links::Keep, _) => {
                        return Err(Error::input("`--links=keep`, and this is no link:").at(at));
                    }
                    (Links::Follow, Kind::Symlink) => match fs::kind_followed(&at) {
                        Some(kind) => file(kind, &at, content)?,
                        None => return Err(OpenLink::read(at, false)?.dangling()),
                    },
                    (Links::Settle, Kind::Symlink) => {
                        Node::Open(OpenLink::read(at, false)?, content)
                    }
                    (_, kind) => file(kind, &at, content)?,
                };
                self.push(source, to.into(), node);
            }
            What::Tree { path, filter } => {
                if self.places.covered_elsewhere(path.full()) {
                    return Ok(());
                }
                if fs::kind_followed(path.full()) != Some(Kind::Directory) {
                    fs::kind(path.full())?;
                    return Err(Error::input("not a directory:")
                        .at(&**path.full())
                        .hint("use --file for a single file"));
                }
                let behind = sandbox::behind(path)?;
                let tree = Tree { source, path, filter, behind };
                self.directory(&tree, path.full(), &mut Vec::new(), 0)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, source: &Source, dest: Box<[u8]>, node: Node) {
        self.found.push(Found { dest, mode: source.mode, node });
    }

    /// Adds what lies in the tree's directory `directory`, which is at `relative` in the tree.
    fn directory(
        &mut self,
        tree: &Tree<'_>,
        directory: &Path,
        relative: &mut Vec<u8>,
        followed: usize,
    ) -> Result<()> {
        (self.check)()?;
        let depth = relative.len();
        for (name, kind) in fs::read_dir(directory)? {
            relative.truncate(depth);
            if depth > 0 {
                relative.push(b'/');
            }
            relative.extend_from_slice(name.as_bytes());
            if !self.places.is_elsewhere(|| directory.join(&name)) {
                self.entry(tree, directory, kind, relative, followed)?;
            }
        }
        relative.truncate(depth);
        Ok(())
    }

    /// Adds what is in `directory`, and at `relative` in the tree.
    fn entry(
        &mut self,
        tree: &Tree<'_>,
        directory: &Path,
        kind: Kind,
        relative: &mut Vec<u8>,
        followed: usize,
    ) -> Result<()> {
        let path = directory.join(paths::as_path(paths::name(relative)));
        let (kind, at) = match tree.linked_directory(kind, relative) {
            Some(behind) => (Kind::Symlink, behind),
            None => hop(kind, path, tree.path.typed(), Some(relative))?,
        };
        let link = match kind {
            Kind::Symlink => Some(OpenLink::read(at.clone(), true)?),
            _ => None,
        };
        let leads_to_directory = kind == Kind::Directory
            || link.is_some() && fs::kind_followed(&at) == Some(Kind::Directory);
        if leads_to_directory && filter::skips_directory(paths::name(relative)) {
            return Ok(());
        }
        let stands_for_directory = link.as_ref().is_some_and(|link| {
            leads_to_directory && link.text.is_absolute() && !self.places.knows(&link.text)
        });
        if kind == Kind::Directory || stands_for_directory {
            paths::check_component(paths::name(relative), &tree.source.to.join(relative))?;
            if followed == MOST_HOPS {
                return Err(Error::input("links lead in a circle at").at(at));
            }
            let followed = followed + usize::from(stands_for_directory);
            let path = directory.join(paths::as_path(paths::name(relative)));
            return self.directory(tree, &path, relative, followed);
        }

        let folder = paths::name(paths::parent(relative).unwrap_or_default());
        let name = paths::name(relative);
        if filter::skips_file(folder, name) || !tree.filter.ships(relative) {
            return Ok(());
        }
        let dest = tree.source.to.join(relative).into_boxed_slice();
        paths::check_component(name, &dest)?;
        let content = Content::below(tree.path.full(), &dest, relative)?;
        let node = match link {
            None => file(kind, &at, content)?,
            Some(link) => match link.within_tree(relative)? {
                Some(text) => Node::Link(text),
                None => Node::Open(link, content),
            },
        };
        self.push(tree.source, dest, node);
        Ok(())
    }
}

/// The node of something that is no link.
fn file(kind: Kind, at: &Path, content: Content) -> Result<Node> {
    match kind {
        Kind::File => Ok(Node::File(content)),
        Kind::Other(what) => Err(Error::input(format!("{what} cannot be in a layer:")).at(at)),
        Kind::Directory | Kind::Symlink => Err(Error::input("not a file but a directory:")
            .at(at)
            .hint("use --tree for a directory")),
    }
}

impl Tree<'_> {
    /// The link behind a directory of the tree that is a link to a directory behind the sandbox:
    /// there Bazel gives a real directory, full of links.
    fn linked_directory(&self, kind: Kind, relative: &[u8]) -> Option<PathBuf> {
        let behind = self.behind.as_ref()?.join(paths::as_path(relative));
        let linked = kind == Kind::Directory && fs::kind(&behind).ok()? == Kind::Symlink;
        linked.then_some(behind)
    }
}

impl OpenLink {
    fn read(at: PathBuf, in_tree: bool) -> Result<Self> {
        let text = fs::read_link(&at)?;
        Ok(Self { at, text, in_tree })
    }

    /// The text of a relative link that stays in its tree, where the link is at `relative`: such
    /// a link is kept as it is. None for every other link.
    fn within_tree(&self, relative: &[u8]) -> Result<Option<Box<[u8]>>> {
        let directory = paths::parent(relative).unwrap_or_default();
        if self.text.is_absolute() || paths::resolve(directory, &self.bytes()).is_none() {
            return Ok(None);
        }
        match fs::kind_followed(&self.at) {
            Some(_) => Ok(Some(self.bytes())),
            None => Err(self.dangling()),
        }
    }

    /// The error for a link that leads nowhere.
    pub(super) fn dangling(&self) -> Error {
        Error::input(format!("the link to `{}` leads nowhere at", self.text.display()))
            .at(&*self.at)
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
