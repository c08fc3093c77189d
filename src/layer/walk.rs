//! From sources to entries: trees are walked, globs applied, names checked, and links sorted into
//! those that stay as they are and those that only the whole layer can settle.

use std::cell::OnceCell;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::vec;

use super::links::Places;
use super::node::{Content, Found, Node, OpenLink, Source as From};
use super::sandbox::{self, MOST_HOPS, hop};
use super::spec::{Links, Outputs, Source, SourcePath, What};
use super::{CancelCheck, Filter, Warnings, filter, paths};
use crate::error::{Error, Result};
use crate::fs::{self, Kind, Member, Stamp};

/// The most entries that may be found behind links to directories: a few directories of links to
/// each other have as many paths as one likes.
const MOST_FOLLOWED: usize = 1 << 20;

/// Walks sources and collects what they give.
pub(super) struct Walk<'a> {
    places: &'a Places<'a>,
    outputs: &'a Outputs,
    check: CancelCheck<'a>,
    found: Vec<Found>,
    /// Entries behind links to directories.
    followed: usize,
    /// Links to directories of this machine that were followed.
    copied: Vec<PathBuf>,
}

/// A tree that is being walked.
struct Tree<'a> {
    source: &'a Source,
    path: &'a SourcePath,
    filter: &'a Filter,
    /// Where the tree's own links hop to, if it is a sandbox's.
    behind: Option<PathBuf>,
    /// Whether it is an install tree: one with a `lib/python*/site-packages`.
    is_install: OnceCell<bool>,
}

/// A directory of a tree that is being walked.
struct Level {
    path: PathBuf,
    /// The length of its path in the tree.
    depth: usize,
    members: vec::IntoIter<Member>,
    /// Links to directories that lead here.
    followed: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        places: &'a Places<'a>,
        outputs: &'a Outputs,
        check: CancelCheck<'a>,
    ) -> Self {
        Self { places, outputs, check, found: Vec::new(), followed: 0, copied: Vec::new() }
    }

    /// The number of entries so far.
    pub(super) fn found(&self) -> usize {
        self.found.len()
    }

    /// What all sources walked gave, in the order of walking.
    pub(super) fn finish(self, warnings: &mut Warnings) -> Vec<Found> {
        for link in self.copied {
            warnings.copied(&link);
        }
        self.found
    }

    /// Adds a source's entries.
    pub(super) fn source(&mut self, source: &Source) -> Result<()> {
        (self.check)()?;
        let to = source.to.bytes();
        if to.is_empty() && !matches!(source.what, What::Tree { .. } | What::Directory) {
            return Err(Error::input("only a tree can go to the image's root"));
        }
        match &source.what {
            What::Directory => {}
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
            What::File { path, filter } => {
                let ships = filter::below_site_packages(to).is_none_or(|path| filter.ships(path));
                if !ships || self.places.covered_elsewhere(path.full()) {
                    return Ok(());
                }
                if self.outputs.contains_path(path.full()) {
                    return Err(Error::input("a source is also an output:").at(&**path.full()));
                }
                let from = From::file(path.full());
                let kind = fs::kind(path.full())?;
                let (kind, at) = hop(kind, path.full().to_path_buf(), path.typed(), None)?;
                let node = match (source.links, kind) {
                    (Links::Keep, Kind::Symlink) => Node::Link(OpenLink::read(at, false)?.bytes()),
                    (Links::Keep, _) => {
                        return Err(Error::input("`--links=keep`, and this is no link:").at(at));
                    }
                    (Links::Follow, Kind::Symlink) => match fs::kind_followed(&at) {
                        Some(kind) => file(kind, || at, None, from)?,
                        None => return Err(OpenLink::read(at, false)?.dangling()),
                    },
                    (Links::Settle, Kind::Symlink) => Node::Open(OpenLink::read(at, false)?, from),
                    (_, kind) => file(kind, || at, None, from)?,
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
                let is_install = OnceCell::new();
                self.tree(&Tree { source, path, filter, behind, is_install })?;
            }
        }
        Ok(())
    }

    fn push(&mut self, source: &Source, dest: Box<[u8]>, node: Node) {
        self.found.push(Found { dest, mode: source.mode, node });
    }

    /// Adds what lies in a tree.
    fn tree(&mut self, tree: &Tree<'_>) -> Result<()> {
        let mut relative = Vec::new();
        let mut levels = vec![Level::open(tree.path.full().to_path_buf(), 0, 0)?];
        while let Some(level) = levels.last_mut() {
            relative.truncate(level.depth);
            let Some(member) = level.members.next() else {
                levels.pop();
                continue;
            };
            if level.depth > 0 {
                relative.push(b'/');
            }
            relative.extend_from_slice(member.name.as_bytes());
            if self.places.is_elsewhere(|| level.path.join(&member.name))
                || self.outputs.contains(&level.path, &member.name)
            {
                continue;
            }
            if level.followed > 0 {
                self.followed += 1;
                if self.followed > MOST_FOLLOWED {
                    let what = format!(
                        "more than {MOST_FOLLOWED} entries lie behind links to directories in"
                    );
                    return Err(Error::input(what).at(&**tree.path.full()));
                }
            }
            if let Some(deeper) = self.member(tree, level, member, &relative)? {
                (self.check)()?;
                levels.push(deeper);
            }
        }
        Ok(())
    }

    /// Adds what is at `relative` in the tree, or gives the directory that it is.
    fn member(
        &mut self,
        tree: &Tree<'_>,
        level: &Level,
        member: Member,
        relative: &[u8],
    ) -> Result<Option<Level>> {
        let Member { name, kind, file: stamp } = member;
        let path = || level.path.join(&name);
        let (kind, hopped) = match tree.linked_directory(kind, relative) {
            Some(behind) => (Kind::Symlink, Some(behind)),
            None if kind == Kind::Symlink => {
                let (kind, at) = hop(kind, path(), tree.path.typed(), Some(relative))?;
                (kind, Some(at))
            }
            None => (kind, None),
        };
        // For most files nobody asks.
        let at = || hopped.clone().unwrap_or_else(path);
        let name = name.as_bytes();
        let link = match kind {
            Kind::Symlink => Some(OpenLink::read(at(), true)?),
            _ => None,
        };
        let leads_to_directory = kind == Kind::Directory
            || link.is_some() && fs::kind_followed(&at()) == Some(Kind::Directory);
        if leads_to_directory && tree.filter.skips_directory(name) {
            return Ok(None);
        }
        let stands_for_directory = link.as_ref().is_some_and(|link| {
            leads_to_directory && link.text.is_absolute() && !self.places.knows(&link.text)
        });
        if kind == Kind::Directory || stands_for_directory {
            paths::check_component(name, &tree.source.to.join(relative))?;
            if level.followed == MOST_HOPS {
                return Err(Error::input("links lead in a circle at").at(at()));
            }
            if stands_for_directory {
                self.copied.push(at());
            }
            let followed = level.followed + usize::from(stands_for_directory);
            return Level::open(path(), relative.len(), followed).map(Some);
        }

        let folder = paths::name(paths::parent(relative).unwrap_or_default());
        if filter::speaks_of_the_machine(folder, name)
            || tree.is_own_wheel(relative)?
            || !tree.filter.ships(relative)
        {
            return Ok(None);
        }
        let dest = tree.source.to.join(relative).into_boxed_slice();
        paths::check_component(name, &dest)?;
        paths::check_length(&dest)?;
        let from = From::below(tree.path.full(), &dest, relative)?;
        let node = match link {
            None => file(kind, at, stamp, from)?,
            // What it leads to is there: nothing is left to settle.
            Some(link) if link.stays_in_tree(relative) && fs::kind_followed(&at()).is_some() => {
                Node::Link(link.bytes())
            }
            Some(link) => Node::Open(link, from),
        };
        self.push(tree.source, dest, node);
        Ok(None)
    }
}

/// The node of something that is no link.
fn file(
    kind: Kind,
    at: impl FnOnce() -> PathBuf,
    stamp: Option<Stamp>,
    from: From,
) -> Result<Node> {
    match kind {
        Kind::File => {
            let stamp = stamp.map_or_else(|| Stamp::read(&at()), Ok)?;
            Ok(Node::File(Content::new(from, stamp)))
        }
        Kind::Other(what) => Err(Error::input(format!("{what} cannot be in a layer:")).at(at())),
        Kind::Directory | Kind::Symlink => Err(Error::input("not a file but a directory:")
            .at(at())
            .hint("use --tree for a directory")),
    }
}

impl Level {
    fn open(path: PathBuf, depth: usize, followed: usize) -> Result<Self> {
        let members = fs::read_dir(&path)?.into_iter();
        Ok(Self { path, depth, members, followed })
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

    /// Whether the file at `relative` is the wheel that an install tree was made from.
    fn is_own_wheel(&self, relative: &[u8]) -> Result<bool> {
        if relative.contains(&b'/') || !relative.ends_with(b".whl") {
            return Ok(false);
        }
        if let Some(is_install) = self.is_install.get() {
            return Ok(*is_install);
        }
        let lib = self.path.full().join("lib");
        let is_install = fs::kind_followed(&lib) == Some(Kind::Directory)
            && fs::read_dir(&lib)?.iter().any(|member| {
                let packages = lib.join(&member.name).join("site-packages");
                member.name.as_bytes().starts_with(b"python")
                    && fs::kind_followed(&packages) == Some(Kind::Directory)
            });
        Ok(*self.is_install.get_or_init(|| is_install))
    }
}
