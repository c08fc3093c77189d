//! Real symbolic links: what becomes of each.
//!
//! A link whose target this layer or another one of the image delivers becomes a relative link
//! between the two places in the image. One that only stands for a file is that file. One that
//! leads nowhere, or out of the image, is an error.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::paths;
use super::spec::{Destination, Elsewhere, LayerSpec, SourcePath, What};
use super::walk::{Content, Found, Node, OpenLink, normal};
use crate::error::{Error, Result};
use crate::fs::{self, Kind};

/// Where the request says that things of this machine lie in the image.
pub(super) struct Places<'a> {
    all: Vec<Place<'a>>,
    /// Places by the path that the request gives, without `.` and `..`.
    typed: BTreeMap<PathBuf, Vec<usize>>,
    /// Places by the path without links; asking the file system for all costs a call each.
    canonical: OnceCell<BTreeMap<PathBuf, Vec<usize>>>,
    elsewhere: BTreeSet<PathBuf>,
}

/// One file or tree of this machine and its place in the image.
struct Place<'a> {
    path: &'a SourcePath,
    to: &'a Destination,
    elsewhere: bool,
}

/// A place in the image that a path of this machine has.
struct Candidate {
    dest: Vec<u8>,
    elsewhere: bool,
}

impl<'a> Places<'a> {
    pub(super) fn new(spec: &'a LayerSpec) -> Self {
        let here = spec.packages.iter().flat_map(|package| &package.sources);
        let here = here.filter_map(|source| match &source.what {
            What::Tree { path, .. } | What::File(path) => {
                Some(Place { path, to: &source.to, elsewhere: false })
            }
            What::Symlink(_) | What::Empty => None,
        });
        let elsewhere =
            spec.elsewhere.iter().map(|Elsewhere { path, to }| Place { path, to, elsewhere: true });
        let mut places: Vec<Place<'_>> = elsewhere.chain(here).collect();
        // What another layer delivers comes first; then the order of places, not of arguments.
        places.sort_by(|a, b| (b.elsewhere, a.to).cmp(&(a.elsewhere, b.to)));

        let mut typed: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (index, place) in places.iter().enumerate() {
            typed.entry(normal(place.path.typed())).or_default().push(index);
        }
        let elsewhere = places.iter().filter(|place| place.elsewhere);
        let elsewhere = elsewhere.map(|place| normal(place.path.full())).collect();
        Self { all: places, typed, canonical: OnceCell::new(), elsewhere }
    }

    /// Whether another layer delivers exactly this path.
    pub(super) fn is_elsewhere(&self, path: impl FnOnce() -> PathBuf) -> bool {
        !self.elsewhere.is_empty() && self.elsewhere.contains(&normal(&path()))
    }

    /// Whether another layer delivers this path, or a directory that it is in.
    pub(super) fn covered_elsewhere(&self, path: &Path) -> bool {
        !self.elsewhere.is_empty()
            && normal(path).ancestors().any(|ancestor| self.elsewhere.contains(ancestor))
    }

    /// Whether the absolute path `target` is one of the request's, or below one.
    pub(super) fn knows(&self, target: &Path) -> bool {
        let target = normal(target);
        !self.by_name(&target).is_empty()
            || fs::canonical(&target).is_some_and(|target| !self.by_identity(&target).is_empty())
    }

    /// The places of a path whose text contains a path as the request gives it: in a sandbox, and
    /// for what is not there at all, names are all there is to go by. The longest match first.
    fn by_name(&self, target: &Path) -> Vec<Candidate> {
        let components: Vec<Component<'_>> = target.components().collect();
        let mut candidates = Vec::new();
        for length in (1..=components.len()).rev() {
            for start in 0..=components.len() - length {
                let key: PathBuf = components[start..start + length].iter().collect();
                let rest: PathBuf = components[start + length..].iter().collect();
                candidates.extend(self.candidates(&self.typed, &key, &rest));
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
            Candidate { dest: to.join(&rest), elsewhere }
        })
    }

    /// Whether another layer delivers something at this place in the image, or below it: a
    /// package of separate files has no place of its own for its directories.
    fn delivers(&self, dest: &[u8]) -> bool {
        let is_at_or_below = |path: &[u8], root: &[u8]| {
            let rest = path.strip_prefix(root);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || root.is_empty())
        };
        self.all.iter().filter(|place| place.elsewhere).any(|place| {
            let to = place.to.bytes();
            is_at_or_below(dest, to) || is_at_or_below(to, dest)
        })
    }
}

/// Settles all open links among a layer's entries.
pub(super) fn settle(found: &mut [Found], places: &Places<'_>) -> Result<()> {
    if !found.iter().any(|entry| matches!(entry.node, Node::Open(..))) {
        return Ok(());
    }
    let entries = Entries::new(found);
    let mut settled = Vec::new();
    for (index, entry) in found.iter().enumerate() {
        if let Node::Open(link, content) = &entry.node {
            settled.push((index, settle_one(&entry.dest, link, content, &entries, places)?));
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
}

fn settle_one(
    dest: &[u8],
    link: &OpenLink,
    content: &Content,
    entries: &Entries<'_>,
    places: &Places<'_>,
) -> Result<Node> {
    let directory = paths::parent(dest).unwrap_or_default();
    let relative_to = |target: &[u8]| Node::Link(paths::relative(directory, target).into());
    let delivered = |candidate: &Candidate| {
        candidate.elsewhere || candidate.dest != dest && entries.contains(&candidate.dest)
    };

    // Made for the image: a relative link may lead nowhere on this machine and be right there.
    let text = link.bytes();
    if link.text.is_relative()
        && let Some(target) = paths::resolve(directory, &text)
        && target != dest
        && (entries.contains(&target) || places.delivers(&target))
    {
        return Ok(Node::Link(text));
    }
    let target = link.target();
    if let Some(candidate) = places.by_name(&target).iter().find(|c| delivered(c)) {
        return Ok(relative_to(&candidate.dest));
    }
    let Some(canonical) = fs::canonical(&link.at) else {
        return Err(link.dangling());
    };
    // Two links to one file do not lead to each other.
    let settled = |candidate: &&Candidate| {
        delivered(candidate) && (candidate.elsewhere || !entries.is_open(&candidate.dest))
    };
    if let Some(candidate) = places.by_identity(&canonical).iter().find(settled) {
        return Ok(relative_to(&candidate.dest));
    }

    match fs::kind_followed(&canonical) {
        Some(Kind::File) if link.in_tree && link.text.is_relative() => Err(Error::input(format!(
            "the link to `{}` leads out of its tree, to what no layer delivers, at",
            link.text.display()
        ))
        .at(&*link.at)),
        Some(Kind::File) => Ok(Node::File(content.clone())),
        Some(Kind::Directory) => Err(Error::input(format!(
            "the link leads to the directory `{}`, which no layer delivers, at",
            canonical.display()
        ))
        .at(&*link.at)),
        _ => Err(Error::input(format!(
            "the link to `{}` leads to something that cannot be in a layer, at",
            link.text.display()
        ))
        .at(&*link.at)),
    }
}
