//! What goes into a layer, and in which order: names and links, no contents.

mod overlap;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::links::{self, Places};
use super::node::{Found, Node, OpenLink};
use super::paths::DirectoryPolicy;
use super::spec::{Destination, LayerSpec, Links, Mode, Package, Source, SourcePath, What};
use super::walk::Walk;
use super::warnings::{Kind as Warning, Warnings};
use super::{CancelCheck, paths, segment};
use crate::error::{Error, Result};
use crate::fs;

pub use super::node::Content;

/// A layer's entries in their final order.
#[derive(Debug)]
pub struct Plan {
    /// All directories that the layer needs, parents before children, sorted.
    pub directories: Vec<Directory>,
    /// The packages, those with the longest segments first: by the number of binary digits of the
    /// length, and by name where that is equal; the one without a name comes last. Each has its
    /// entries by destination. Empty ones are left out.
    pub packages: Vec<PackagePlan>,
    /// What is probably not meant.
    pub warnings: Warnings,
}

/// A directory entry.
#[derive(Debug, Eq, PartialEq)]
pub struct Directory {
    /// The path in the image.
    pub path: Box<[u8]>,
    /// Permission bits.
    pub mode: u32,
    /// Whether it has the layer's owner; else it is the base image's and belongs to root.
    pub is_own: bool,
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
    /// The directories that it asks for by name, with their permission bits.
    pub directories: Vec<(Box<[u8]>, u32)>,
    /// The file that holds its segment, if there is one.
    pub segment: Option<SegmentRef>,
}

impl PackagePlan {
    /// A package that gives nothing but directories.
    pub fn without_entries(package: &Package) -> Self {
        Self {
            name: package.name.clone(),
            entries: Vec::new(),
            wheels: Vec::new(),
            directories: package.sources.iter().filter_map(asked_directory).collect(),
            segment: None,
        }
    }
}

/// Which of the files with finished segments holds a package.
#[derive(Clone, Debug)]
pub struct SegmentRef {
    /// The file's number among them.
    pub index: usize,
    /// The file, as the request names it.
    pub file: PathBuf,
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
    /// A regular file of this many bytes in a finished segment.
    Stored(u64),
    /// A symbolic link with this text.
    Symlink(Box<[u8]>),
}

impl Entry {
    /// The file on this machine that has the entry's content, if there is one, and its path.
    pub fn content(&self) -> Option<(&Content, PathBuf)> {
        match &self.kind {
            Kind::File(content) => Some((content, content.path(&self.dest))),
            Kind::Empty | Kind::Stored(_) | Kind::Symlink(_) => None,
        }
    }

    /// The entry's path in its tree, by which a wheel knows it.
    pub fn path_in_tree(&self) -> &[u8] {
        match &self.kind {
            Kind::File(content) => content.path_in_tree(&self.dest),
            Kind::Empty | Kind::Stored(_) | Kind::Symlink(_) => &self.dest,
        }
    }

    /// The source, for messages.
    fn origin(&self) -> String {
        match &self.kind {
            Kind::File(content) => format!("`{}`", content.path(&self.dest).display()),
            Kind::Empty => "an empty file".to_owned(),
            Kind::Stored(_) => "a file of a segment".to_owned(),
            Kind::Symlink(text) => format!("a link to `{}`", paths::as_path(text).display()),
        }
    }
}

/// Plans a layer: walks its sources, settles its links, and puts everything in order, together with
/// packages whose segments are finished.
pub fn plan(spec: &LayerSpec, finished: Vec<PackagePlan>, check: CancelCheck<'_>) -> Result<Plan> {
    let places = Places::new(spec);
    let mut named: Vec<_> = spec.packages.iter().collect();
    named.sort_by(|a, b| a.name.cmp(&b.name));

    let mut warnings = Warnings::default();
    let mut walk = Walk::new(&places, &spec.outputs, check);
    let mut ends = Vec::with_capacity(named.len());
    for package in &named {
        for source in &package.sources {
            walk.source(source)?;
        }
        ends.push(walk.found());
    }
    let mut found = walk.finish(&mut warnings);
    links::settle(&mut found, &places, &mut warnings, check)?;
    places.warn(&mut warnings);

    let mut found = found.into_iter().map(entry);
    let mut start = 0;
    let mut packages = Vec::with_capacity(named.len());
    for (package, end) in named.into_iter().zip(ends) {
        let mut entries: Vec<Entry> = found.by_ref().take(end - start).collect::<Result<_>>()?;
        entries.sort_by(|a, b| a.dest.cmp(&b.dest));
        start = end;
        let wheels = if spec.common.compression.takes_wheels() { &*package.wheels } else { &[] };
        let wheels = wheels.iter().map(|wheel| wheel.full().clone()).collect();
        let directories = package.sources.iter().filter_map(asked_directory).collect();
        let name = package.name.clone();
        packages.push(PackagePlan { name, entries, wheels, directories, segment: None });
    }
    packages.extend(finished);
    overlap::deduplicate(&mut packages, check)?;
    let directories = directories(&packages, spec)?;
    packages.retain(|package| !package.entries.is_empty());
    packages.sort_by_cached_key(|package| {
        let class = u64::BITS - segment::length(package, spec.common.attributes).leading_zeros();
        // Large packages change seldom, small ones often, and what follows a change is hashed again.
        (package.name.is_empty(), Reverse(class), package.name.clone())
    });
    warn(spec, packages.is_empty() && directories.is_empty(), &mut warnings);
    Ok(Plan { directories, packages, warnings })
}

fn warn(spec: &LayerSpec, is_empty: bool, warnings: &mut Warnings) {
    if is_empty {
        warnings.add(Warning::NoEntries, "");
    }
    for package in &spec.packages {
        let name = paths::as_path(&package.name).display();
        let mut filters = package.sources.iter().filter_map(|source| match &source.what {
            What::Tree { filter, .. } | What::File { filter, .. } => Some(filter),
            What::Symlink(_) | What::Empty | What::Directory => None,
        });
        // All trees of a package have one filter.
        for flag in filters.next().into_iter().flat_map(|filter| filter.unmatched()) {
            let package =
                if package.name.is_empty() { String::new() } else { format!(" of {name}") };
            warnings.add(Warning::Glob, format!("`{flag}`{package}"));
        }
        if spec.common.compression.takes_wheels() {
            continue;
        }
        for wheel in &package.wheels {
            let what = format!(
                "`{}`: {} has no use for it",
                wheel.typed().display(),
                spec.common.compression
            );
            warnings.add(Warning::Wheel, what);
        }
    }
}

/// The files that a tree would ship: each one's path in the tree, and that of its content. Links
/// are not settled, for other layers may be what they lead to; one that can but stand for a file
/// counts as that file.
pub fn shipped(tree: &SourcePath, check: CancelCheck<'_>) -> Result<Vec<(Box<[u8]>, u64)>> {
    let what = What::Tree { path: tree.clone(), filter: Arc::default() };
    let source =
        Source { what, to: Destination::root(), mode: Mode::default(), links: Links::Settle };
    let spec = LayerSpec::of(vec![Package {
        name: Vec::new(),
        sources: vec![source],
        wheels: Vec::new(),
    }]);
    let places = Places::new(&spec);
    let mut walk = Walk::new(&places, &spec.outputs, check);
    for source in spec.packages.iter().flat_map(|package| &package.sources) {
        walk.source(source)?;
    }
    let mut files = Vec::new();
    for Found { dest, node, .. } in walk.finish(&mut Warnings::default()) {
        let stands_for_file = |link: &OpenLink| {
            link.text.is_absolute() && fs::kind_followed(&link.at) == Some(fs::Kind::File)
        };
        let content = match node {
            Node::File(content) => content,
            Node::Open(link, source) if stands_for_file(&link) => source.content(&dest)?,
            Node::Open(..) | Node::Link(_) | Node::Empty => continue,
        };
        files.push((dest, content.size()));
    }
    Ok(files)
}

fn entry(found: Found) -> Result<Entry> {
    let Found { dest, mode, node } = found;
    let kind = match node {
        Node::File(content) => Kind::File(content),
        Node::Empty => Kind::Empty,
        Node::Link(text) => Kind::Symlink(text),
        Node::Open(link, _) => return Err(link.dangling()),
    };
    let mode = match (mode, &kind) {
        (Mode::Fixed(mode), _) => mode,
        (Mode::Keep, Kind::File(content)) if !content.is_executable() => 0o644,
        (Mode::Keep, Kind::Empty) => 0o644,
        (Mode::Keep, Kind::File(_) | Kind::Stored(_) | Kind::Symlink(_)) => 0o755,
    };
    Ok(Entry { dest, mode, kind })
}

/// The directory that a source asks for by name, with its permission bits.
fn asked_directory(source: &Source) -> Option<(Box<[u8]>, u32)> {
    let mode = match source.mode {
        Mode::Fixed(mode) => mode,
        Mode::Keep => 0o755,
    };
    matches!(source.what, What::Directory).then(|| (source.to.bytes().into(), mode))
}

/// All directories that the entries need, or that are asked for by name.
fn directories(packages: &[PackagePlan], spec: &LayerSpec) -> Result<Vec<Directory>> {
    let mut needed: BTreeMap<&[u8], Option<u32>> = BTreeMap::new();
    for (path, mode) in packages.iter().flat_map(|package| &package.directories) {
        let (path, mode) = (&**path, *mode);
        if !path.is_empty()
            && let Some(Some(other)) = needed.insert(path, Some(mode))
            && other != mode
        {
            let what = format!("two modes, {other:o} and {mode:o}, for the directory");
            return Err(Error::input(what).at(paths::as_path(path)));
        }
    }
    let asked: Vec<&[u8]> = needed.keys().copied().collect();
    let ends = asked.into_iter().map(paths::parent);
    let entries = packages.iter().flat_map(|package| &package.entries);
    for directory in ends.chain(entries.map(|entry| paths::parent(&entry.dest))) {
        let mut directory = directory;
        while let Some(path) = directory
            && !path.is_empty()
            && !needed.contains_key(path)
        {
            needed.insert(path, None);
            directory = paths::parent(path);
        }
    }
    for package in packages {
        if let Some(entry) = package.entries.iter().find(|entry| needed.contains_key(&*entry.dest))
        {
            let what = format!("{} is not a directory, but other files go below", entry.origin());
            return Err(Error::input(what)
                .at(paths::as_path(&entry.dest))
                .hint("give one of them another `--to`"));
        }
    }
    let mut of_base: BTreeSet<&[u8]> = BTreeSet::new();
    for directory in &spec.base_directories {
        let mut path = Some(directory.bytes());
        while let Some(directory) = path {
            of_base.insert(directory);
            path = paths::parent(directory);
        }
    }
    let directories = needed.into_iter().filter(|(path, _)| !of_base.contains(path));
    let directories = directories.filter_map(|(path, asked)| {
        let (mode, is_own) = match paths::directory_policy(path) {
            DirectoryPolicy::Own => (asked.unwrap_or(0o755), true),
            DirectoryPolicy::Base(mode) => (mode, false),
            DirectoryPolicy::Link => return None,
        };
        Some(Directory { path: path.into(), mode, is_own })
    });
    Ok(directories.collect())
}
