//! Real symbolic links: what becomes of each.
//!
//! A link whose target this layer or another one of the image delivers becomes a relative link
//! between the two places in the image. One that only stands for a file is that file. One that
//! leads nowhere, or out of the image, is an error.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::node::{Found, Node, OpenLink, Source, normal};
use super::sandbox::MOST_HOPS;
use super::spec::{Destination, Elsewhere, LayerSpec, SourcePath, What};
use super::warnings::{Kind as Warning, Warnings};
use super::{CancelCheck, paths};
use crate::error::{Error, Result};
use crate::fs::{self, Kind};

/// Where the request says that things of this machine lie in the image.
pub(super) struct Places<'a> {
    all: Vec<Place<'a>>,
    /// Places by the absolute path that the request gives, without `.` and `..`.
    absolute: BTreeMap<PathBuf, Vec<usize>>,
    /// Places by the relative path that the request gives: such a path is relative to an execution
    /// root of Bazel's, and there may be several.
    relative: BTreeMap<PathBuf, Vec<usize>>,
    /// Places by the path without links; asking the file system for all costs a call each.
    canonical: OnceCell<BTreeMap<PathBuf, Vec<usize>>>,
    /// What another layer delivers, by the path as it is opened.
    elsewhere: BTreeMap<PathBuf, usize>,
    /// Which places have served for anything.
    served: RefCell<BTreeSet<usize>>,
}

/// One file or tree of this machine and its place in the image.
struct Place<'a> {
    path: &'a SourcePath,
    to: &'a Destination,
    elsewhere: bool,
}

/// A place in the image that a path of this machine has.
struct Candidate {
    place: usize,
    dest: Vec<u8>,
    elsewhere: bool,
}

impl<'a> Places<'a> {
    pub(super) fn new(spec: &'a LayerSpec) -> Self {
        let here = spec.packages.iter().flat_map(|package| &package.sources);
        let here = here.filter_map(|source| match &source.what {
            What::Tree { path, .. } | What::File { path, .. } => {
                Some(Place { path, to: &source.to, elsewhere: false })
            }
            What::Symlink(_) | What::Empty | What::Directory => None,
        });
        let elsewhere =
            spec.elsewhere.iter().map(|Elsewhere { path, to }| Place { path, to, elsewhere: true });
        let mut all: Vec<Place<'_>> = elsewhere.chain(here).collect();
        // What another layer delivers comes first; then the order of places, not of arguments.
        all.sort_by(|a, b| (b.elsewhere, a.to).cmp(&(a.elsewhere, b.to)));

        let mut absolute: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut relative: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut elsewhere = BTreeMap::new();
        for (index, Place { path, elsewhere: is_elsewhere, .. }) in all.iter().enumerate() {
            let full = normal(path.full());
            if *is_elsewhere {
                elsewhere.entry(full.clone()).or_insert(index);
            }
            absolute.entry(normal(&spec.directory.join(full))).or_default().push(index);
            if path.typed().is_relative() {
                relative.entry(normal(path.typed())).or_default().push(index);
            }
        }
        let (canonical, served) = (OnceCell::new(), RefCell::default());
        Self { all, absolute, relative, canonical, elsewhere, served }
    }

    fn serve(&self, place: usize) {
        self.served.borrow_mut().insert(place);
    }

    /// Whether another layer delivers exactly this path.
    pub(super) fn is_elsewhere(&self, path: impl FnOnce() -> PathBuf) -> bool {
        if self.elsewhere.is_empty() {
            return false;
        }
        let place = self.elsewhere.get(&normal(&path()));
        place.inspect(|place| self.serve(**place)).is_some()
    }

    /// Whether another layer delivers this path, or a directory that it is in.
    pub(super) fn covered_elsewhere(&self, path: &Path) -> bool {
        if self.elsewhere.is_empty() {
            return false;
        }
        let path = normal(path);
        let place = path.ancestors().find_map(|ancestor| self.elsewhere.get(ancestor));
        place.inspect(|place| self.serve(**place)).is_some()
    }

    /// Warns of every `--elsewhere` that has served for nothing.
    pub(super) fn warn(&self, warnings: &mut Warnings) {
        let served = self.served.borrow();
        for (index, place) in self.all.iter().enumerate() {
            if place.elsewhere && !served.contains(&index) {
                warnings.add(Warning::Elsewhere, format!("`{}`", place.path.typed().display()));
            }
        }
    }

    /// Whether the absolute path `target` is one of the request's, or below one.
    pub(super) fn knows(&self, target: &Path) -> bool {
        let target = normal(target);
        !self.by_name(&target).is_empty()
            || fs::canonical(&target).is_some_and(|target| !self.by_identity(&target).is_empty())
    }

    /// The places of an absolute path by what the request calls them: for what is not there at
    /// all, names are all there is to go by. A relative path of the request's is looked for below
    /// the working directory and below execution roots of Bazel's, for a sandbox's links lead to
    /// another one. The longest match first.
    fn by_name(&self, target: &Path) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut add = |index: &BTreeMap<PathBuf, Vec<usize>>, path: &Path| {
            for ancestor in path.ancestors() {
                if let Ok(rest) = path.strip_prefix(ancestor) {
                    candidates.extend(self.candidates(index, ancestor, rest));
                }
            }
        };
        add(&self.absolute, target);
        for root in target.ancestors().skip(1).filter(|root| is_bazel_root(root)) {
            if let Ok(path) = target.strip_prefix(root) {
                add(&self.relative, path);
            }
        }
        candidates
    }

    /// The places of a path without links.
    fn by_identity(&self, target: &Path) -> Vec<Candidate> {
        let canonical = self.canonical.get_or_init(|| {
            let mut canonical: BTreeMap<_, Vec<_>> = BTreeMap::new();
            for (index, place) in self.all.iter().enumerate() {
                if let Some(path) = fs::canonical(place.path.full()) {
                    canonical.entry(path).or_default().push(index);
                }
            }
            canonical
        });
        let mut candidates = Vec::new();
        for ancestor in target.ancestors() {
            if let Ok(rest) = target.strip_prefix(ancestor) {
                candidates.extend(self.candidates(canonical, ancestor, rest));
            }
        }
        candidates
    }

    fn candidates(
        &self,
        index: &BTreeMap<PathBuf, Vec<usize>>,
        key: &Path,
        rest: &Path,
    ) -> impl Iterator<Item = Candidate> {
        let places = index.get(key).map(Vec::as_slice).unwrap_or_default();
        let rest = rest.as_os_str().as_bytes().to_vec();
        places.iter().map(move |&place| {
            let Place { to, elsewhere, .. } = self.all[place];
            Candidate { place, dest: to.join(&rest), elsewhere }
        })
    }

    /// Whether another layer delivers something at this place in the image, or below it: a
    /// package of separate files has no place of its own for its directories.
    fn delivers(&self, dest: &[u8]) -> bool {
        let is_at_or_below = |path: &[u8], root: &[u8]| {
            let rest = path.strip_prefix(root);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || root.is_empty())
        };
        let place = self.all.iter().filter(|place| place.elsewhere).position(|place| {
            let to = place.to.bytes();
            is_at_or_below(dest, to) || is_at_or_below(to, dest)
        });
        // Those that are elsewhere come first.
        place.inspect(|place| self.serve(*place)).is_some()
    }
}

/// Whether relative paths of a request may be relative to this directory: an execution root
/// (`<output base>/execroot/<workspace>`, also a sandbox's), or the output base, where the
/// execution root's `external` leads.
fn is_bazel_root(path: &Path) -> bool {
    path.parent().is_some_and(|parent| parent.ends_with("execroot"))
        || fs::kind_followed(&path.join("execroot")) == Some(Kind::Directory)
}

/// Settles all open links among a layer's entries.
pub(super) fn settle(
    found: &mut [Found],
    places: &Places<'_>,
    warnings: &mut Warnings,
    check: CancelCheck<'_>,
) -> Result<()> {
    if !found.iter().any(|entry| matches!(entry.node, Node::Open(..))) {
        return Ok(());
    }
    let entries = Entries::new(found);
    let mut settled = Vec::new();
    for (index, entry) in found.iter().enumerate() {
        if let Node::Open(link, source) = &entry.node {
            check()?;
            let node = settle_one(&entry.dest, link, source, &entries, places, warnings)?;
            settled.push((index, node));
        }
    }
    for (index, node) in settled {
        found[index].node = node;
    }
    Ok(())
}

/// The entries of a layer by destination, before its links are settled.
struct Entries<'a>(BTreeMap<&'a [u8], &'a Node>);

impl<'a> Entries<'a> {
    fn new(found: &'a [Found]) -> Self {
        Self(found.iter().map(|entry| (&*entry.dest, &entry.node)).collect())
    }

    /// Whether the layer has an entry, or a directory, at `dest`.
    fn contains(&self, dest: &[u8]) -> bool {
        let below = [dest, b"/"].concat();
        dest.is_empty()
            || self.0.contains_key(dest)
            || self.0.range(&*below..).next().is_some_and(|(next, _)| next.starts_with(&below))
    }

    /// Whether the layer's entry at `dest` is itself an open link.
    fn is_open(&self, dest: &[u8]) -> bool {
        matches!(self.0.get(dest), Some(Node::Open(..)))
    }

    /// Whether links of the layer lead from `dest` around in a circle.
    fn is_circle(&self, dest: &[u8]) -> bool {
        let mut at = dest.to_vec();
        for _ in 0..MOST_HOPS {
            let text: Box<[u8]> = match self.0.get(&*at) {
                Some(Node::Open(link, _)) if link.text.is_relative() => link.bytes(),
                Some(Node::Link(text)) if !text.starts_with(b"/") => text.clone(),
                _ => return false,
            };
            match paths::resolve(paths::parent(&at).unwrap_or_default(), &text) {
                Some(next) => at = next,
                None => return false,
            }
        }
        true
    }
}

fn settle_one(
    dest: &[u8],
    link: &OpenLink,
    source: &Source,
    entries: &Entries<'_>,
    places: &Places<'_>,
    warnings: &mut Warnings,
) -> Result<Node> {
    let directory = paths::parent(dest).unwrap_or_default();
    let delivered = |candidate: &&Candidate| {
        candidate.elsewhere || candidate.dest != dest && entries.contains(&candidate.dest)
    };
    let lead_to = |candidate: &Candidate| {
        places.serve(candidate.place);
        Ok(Node::Link(paths::relative(directory, &candidate.dest).into()))
    };

    // Made for the image: a relative link may lead nowhere on this machine and be right there.
    let text = link.bytes();
    if link.text.is_relative()
        && let Some(target) = paths::resolve(directory, &text)
        && target != dest
        && (entries.contains(&target) && !entries.is_circle(dest) || places.delivers(&target))
    {
        return Ok(Node::Link(text));
    }
    if let Some(candidate) = places.by_name(&link.target()).iter().find(delivered) {
        return lead_to(candidate);
    }
    let Some(canonical) = fs::canonical(&link.at) else {
        return Err(link.dangling());
    };
    // Two links to one file do not lead to each other.
    let settled = |candidate: &&Candidate| {
        delivered(candidate) && (candidate.elsewhere || !entries.is_open(&candidate.dest))
    };
    if let Some(candidate) = places.by_identity(&canonical).iter().find(settled) {
        return lead_to(candidate);
    }

    let refuse = |what: String| {
        Err(Error::input(what).at(&*link.at).hint(
            "leave it out with `--exclude`, or say with `--elsewhere=SRC --to=DEST` where another \
             layer or the base image has it",
        ))
    };
    match fs::kind_followed(&canonical) {
        Some(Kind::File) if link.in_tree && link.text.is_relative() => refuse(format!(
            "the link to `{}` leads out of its tree, to what no layer delivers, at",
            link.text.display()
        )),
        Some(Kind::File) => {
            if link.in_tree {
                warnings.copied(&link.at);
            }
            source.clone().content(dest).map(Node::File)
        }
        Some(Kind::Directory) => refuse(format!(
            "the link leads to the directory `{}`, which no layer delivers, at",
            canonical.display()
        )),
        _ => refuse(format!(
            "the link to `{}` leads to something that cannot be in a layer, at",
            link.text.display()
        )),
    }
}
