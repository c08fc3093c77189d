//! What goes into a layer, and in which order: names and links, no contents.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compress::Compression;
use super::links::{self, Places};
use super::spec::{DEFAULT_MODE, Destination, LayerSpec, Links, Package, Source, SourcePath, What};
use super::walk::{Found, Node, OpenLink, Walk};
use super::{Checkpoint, paths};
use crate::error::{Error, Result};
use crate::fs;

pub use super::walk::Content;

/// A layer's entries in their final order.
#[derive(Debug)]
pub struct Plan {
    /// All directories that the layer needs, parents before children, sorted.
    pub directories: Vec<Directory>,
    /// The packages by name, each with its entries by destination. Empty ones are left out.
    pub packages: Vec<PackagePlan>,
}

/// A directory entry.
#[derive(Debug, Eq, PartialEq)]
pub struct Directory {
    /// The path in the image.
    pub path: Box<[u8]>,
    /// The mode of a directory that base images own, which belongs to root; none for the layer's
    /// own directories.
    pub base_mode: Option<u32>,
}

/// A package's entries.
#[derive(Debug)]
pub struct PackagePlan {
    /// The package's name.
    pub name: Vec<u8>,
    /// Its entries, sorted by destination.
    pub entries: Vec<Entry>,
    /// The wheels to take deflate streams from; none where the compression has no use for them.
    pub wheels: Vec<Arc<Path>>,
}

/// One entry of a package.
#[derive(Debug)]
pub struct Entry {
    /// The path in the image.
    pub dest: Box<[u8]>,
    /// Permission bits.
    pub mode: u32,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Debug)]
pub enum Kind {
    /// A regular file with the content of a file on this machine.
    File(Content),
    /// A regular file of no bytes.
    Empty,
    /// A symbolic link with this text.
    Symlink(Box<[u8]>),
}

impl Entry {
    /// The file on this machine that has the entry's content, if there is one.
    pub fn content(&self) -> Option<PathBuf> {
        match &self.kind {
            Kind::File(content) => Some(content.path(&self.dest)),
            Kind::Empty | Kind::Symlink(_) => None,
        }
    }

    /// The entry's path in its tree, by which a wheel knows it.
    pub fn path_in_tree(&self) -> &[u8] {
        match &self.kind {
            Kind::File(content) => content.path_in_tree(&self.dest),
            Kind::Empty | Kind::Symlink(_) => &self.dest,
        }
    }

    /// The source, for messages.
    fn origin(&self) -> String {
        match &self.kind {
            Kind::File(content) => format!("`{}`", content.path(&self.dest).display()),
            Kind::Empty => "an empty file".to_owned(),
            Kind::Symlink(text) => format!("a link to `{}`", paths::as_path(text).display()),
        }
    }

    /// Whether two entries for one place are the same entry: content, mode, and kind.
    fn is_same(&self, other: &Self) -> Result<bool> {
        if self.mode != other.mode {
            return Ok(false);
        }
        match (&self.kind, &other.kind) {
            (Kind::Symlink(a), Kind::Symlink(b)) => return Ok(a == b),
            (Kind::Symlink(_), _) | (_, Kind::Symlink(_)) => return Ok(false),
            _ => {}
        }
        match (self.content(), other.content()) {
            (None, None) => Ok(true),
            (Some(path), None) | (None, Some(path)) => Ok(fs::Input::open(&path)?.size() == 0),
            (Some(a), Some(b)) => fs::same_content(&a, &b),
        }
    }
}

/// Plans a layer: walks its sources, settles its links, and puts everything in order.
pub fn plan(spec: &LayerSpec, check: Checkpoint<'_>) -> Result<Plan> {
    let places = Places::new(spec);
    let mut named: Vec<_> = spec.packages.iter().collect();
    named.sort_by(|a, b| a.name.cmp(&b.name));

    let mut walk = Walk::new(&places, check);
    let mut ends = Vec::with_capacity(named.len());
    for package in &named {
        for source in &package.sources {
            walk.source(source)?;
        }
        ends.push(walk.found());
    }
    let mut found = walk.finish();
    links::settle(&mut found, &places)?;

    let mut found = found.into_iter().map(entry);
    let mut start = 0;
    let mut packages = Vec::with_capacity(named.len());
    for (package, end) in named.into_iter().zip(ends) {
        let mut entries: Vec<Entry> = found.by_ref().take(end - start).collect::<Result<_>>()?;
        entries.sort_by(|a, b| a.dest.cmp(&b.dest));
        start = end;
        let wheels = match spec.compression {
            Compression::Gzip(_) => package.wheels.iter().map(|path| path.full().clone()).collect(),
            Compression::None | Compression::Zstd(_) => Vec::new(),
        };
        packages.push(PackagePlan { name: package.name.clone(), entries, wheels });
    }
    deduplicate(&mut packages)?;
    packages.retain(|package| !package.entries.is_empty());
    let directories = directories(&packages)?;
    Ok(Plan { directories, packages })
}

/// The files that a tree would ship: each one's path in the tree, and that of its content. Links
/// are not settled, for other layers may be what they lead to; one that can but stand for a file
/// counts as that file.
pub fn shipped(tree: &SourcePath, check: Checkpoint<'_>) -> Result<Vec<(Box<[u8]>, PathBuf)>> {
    let what = What::Tree { path: tree.clone(), filter: Arc::default() };
    let source = Source { what, to: Destination::root(), mode: DEFAULT_MODE, links: Links::Settle };
    let spec = LayerSpec::of(vec![Package {
        name: Vec::new(),
        sources: vec![source],
        wheels: Vec::new(),
    }]);
    let places = Places::new(&spec);
    let mut walk = Walk::new(&places, check);
    for source in spec.packages.iter().flat_map(|package| &package.sources) {
        walk.source(source)?;
    }
    let files = walk.finish().into_iter().filter_map(|Found { dest, node, .. }| {
        let stands_for_file = |link: &OpenLink| {
            link.text.is_absolute() && fs::kind_followed(&link.at) == Some(fs::Kind::File)
        };
        let content = match node {
            Node::File(content) => content,
            Node::Open(link, content) if stands_for_file(&link) => content,
            Node::Open(..) | Node::Link(_) | Node::Empty => return None,
        };
        let path = content.path(&dest);
        Some((dest, path))
    });
    Ok(files.collect())
}

fn entry(found: Found) -> Result<Entry> {
    let Found { dest, mode, node } = found;
    let kind = match node {
        Node::File(content) => Kind::File(content),
        Node::Empty => Kind::Empty,
        Node::Link(text) => Kind::Symlink(text),
        Node::Open(link, _) => return Err(link.dangling()),
    };
    Ok(Entry { dest, mode, kind })
}

/// Whether it takes no more than a look to see that no two entries have one place: each package
/// lies in a part of the image of its own.
fn are_apart(packages: &[PackagePlan]) -> bool {
    let mut ranges = Vec::with_capacity(packages.len());
    for PackagePlan { entries, .. } in packages {
        if !entries.is_sorted_by(|a, b| a.dest < b.dest) {
            return false;
        }
        ranges.extend(entries.first().zip(entries.last()).map(|(a, b)| (&a.dest, &b.dest)));
    }
    ranges.sort();
    ranges.is_sorted_by(|(_, last), (first, _)| last < first)
}

/// Leaves one entry at each place: of two that are the same, the first package's.
fn deduplicate(packages: &mut [PackagePlan]) -> Result<()> {
    if are_apart(packages) {
        return Ok(());
    }
    let mut order: Vec<(&[u8], usize, usize)> = Vec::new();
    for (package, plan) in packages.iter().enumerate() {
        let entries = plan.entries.iter().enumerate();
        order.extend(entries.map(|(entry, planned)| (&*planned.dest, package, entry)));
    }
    order.sort();
    let mut dropped = BTreeSet::new();
    let mut kept = 0;
    for next in 1..order.len() {
        let ((place, ..), (other, package, entry)) = (order[kept], order[next]);
        if place != other {
            kept = next;
            continue;
        }
        let (_, first_package, first_entry) = order[kept];
        let first = &packages[first_package].entries[first_entry];
        let second = &packages[package].entries[entry];
        if !first.is_same(second)? {
            let what =
                format!("two different entries, {} and {}, for", first.origin(), second.origin());
            return Err(Error::input(what)
                .at(paths::as_path(place))
                .hint("content, mode, and kind must be equal; leave one of them out"));
        }
        dropped.insert((package, entry));
    }
    for (package, plan) in packages.iter_mut().enumerate() {
        let mut entry = 0..;
        plan.entries.retain(|_| !entry.next().is_some_and(|at| dropped.contains(&(package, at))));
    }
    Ok(())
}

/// All directories that the entries need.
fn directories(packages: &[PackagePlan]) -> Result<Vec<Directory>> {
    let mut needed: BTreeSet<&[u8]> = BTreeSet::new();
    for package in packages {
        let mut last: &[u8] = b"";
        for entry in &package.entries {
            let mut directory = paths::parent(&entry.dest);
            while let Some(path) = directory
                && !path.is_empty()
                && path != last
                && needed.insert(path)
            {
                directory = paths::parent(path);
            }
            last = paths::parent(&entry.dest).unwrap_or_default();
        }
    }
    for package in packages {
        if let Some(entry) = package.entries.iter().find(|entry| needed.contains(&*entry.dest)) {
            let what = format!("{} is no directory, but other files are below", entry.origin());
            return Err(Error::input(what).at(paths::as_path(&entry.dest)));
        }
    }
    let directories = needed
        .into_iter()
        .map(|path| Directory { path: path.into(), base_mode: paths::base_directory(path) });
    Ok(directories.collect())
}
