//! Files by package and directory, small enough for a page.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeTuple as _, Serializer};

use crate::archive::{Kind, show};
use crate::inspect::subject::Subject;

/// How many files a page shows one by one; of others, only the largest.
const MOST_FILES: usize = 10_000;

/// How deep the tree is at most: what lies deeper has the rest of its path as its name.
const DEEPEST: usize = 64;

/// A folder or a file of the tree.
#[derive(Debug)]
pub(super) struct Node {
    name: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Folder(Vec<Node>),
    /// Its bytes, those of the blob, and its layer; none for several files in one.
    File(u64, u64, Option<usize>),
}

impl Serialize for Node {
    /// `[name, children]` or `[name, bytes, compressed, layer]`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.what {
            What::Folder(children) => {
                let mut tuple = serializer.serialize_tuple(2)?;
                tuple.serialize_element(&self.name)?;
                tuple.serialize_element(children)?;
                tuple.end()
            }
            What::File(bytes, compressed, layer) => {
                let mut tuple = serializer.serialize_tuple(4)?;
                tuple.serialize_element(&self.name)?;
                tuple.serialize_element(bytes)?;
                tuple.serialize_element(compressed)?;
                let layer = layer.and_then(|layer| i64::try_from(layer).ok());
                tuple.serialize_element(&layer.unwrap_or(-1))?;
                tuple.end()
            }
        }
    }
}

/// A folder that is being filled.
#[derive(Default)]
struct Folder<'a> {
    folders: BTreeMap<&'a [u8], Self>,
    files: Vec<(&'a [u8], u64, u64, usize)>,
    /// How many small files there are, their bytes, and those of the blob.
    small: (u64, u64, u64),
}

/// The tree of a subject: package, directory, file.
pub(super) fn of(subject: &Subject) -> Node {
    let files = || {
        subject.layers.iter().enumerate().flat_map(|(layer, part)| {
            let all = part.layer.entries.iter().zip(&part.compressed).zip(&part.packages);
            let files = all.filter(|((entry, _), _)| entry.kind != Kind::Directory);
            files.map(move |((entry, compressed), package)| (entry, *compressed, *package, layer))
        })
    };
    let mut sizes: Vec<u64> = files().map(|(entry, ..)| entry.size).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let least = sizes.get(MOST_FILES).map_or(0, |size| size + 1);

    let mut packages: BTreeMap<Option<usize>, Folder<'_>> = BTreeMap::new();
    for (entry, compressed, package, layer) in files() {
        let mut folder = packages.entry(package).or_default();
        let mut name = &*entry.path;
        for _ in 0..DEEPEST {
            let Some(at) = name.iter().position(|&byte| byte == b'/') else { break };
            folder = folder.folders.entry(&name[..at]).or_default();
            name = &name[at + 1..];
        }
        if entry.size >= least {
            folder.files.push((name, entry.size, compressed, layer));
        } else {
            folder.small.0 += 1;
            folder.small.1 += entry.size;
            folder.small.2 += compressed;
        }
    }
    let packages = packages.into_iter().map(|(package, folder)| {
        let name = package.map_or_else(
            || "(no Python package)".to_owned(),
            |number| {
                let package = &subject.packages[number];
                let version = package.version.as_deref().unwrap_or_default();
                format!("{} {version}", package.name).trim_end().to_owned()
            },
        );
        folder.finish(name)
    });
    Node { name: String::new(), what: What::Folder(packages.collect()) }
}

impl Folder<'_> {
    /// The folder as a node; what it calls itself for is no deeper than [`DEEPEST`]. One that has nothing but a folder is that folder, by both names: so
    /// the depth of the tree is that of its forks.
    fn finish(self, name: String) -> Node {
        let mut children: Vec<Node> = Vec::new();
        for (part, mut folder) in self.folders {
            let mut name = show(part);
            while folder.files.is_empty() && folder.small.0 == 0 && folder.folders.len() == 1 {
                let Some((part, inner)) = folder.folders.pop_first() else { break };
                name = format!("{name}/{}", show(part));
                folder = inner;
            }
            children.push(folder.finish(name));
        }
        let files = self.files.into_iter().map(|(name, bytes, compressed, layer)| Node {
            name: show(name),
            what: What::File(bytes, compressed, Some(layer)),
        });
        children.extend(files);
        let (count, bytes, compressed) = self.small;
        if count > 0 {
            let name = format!("({count} smaller files)");
            children.push(Node { name, what: What::File(bytes, compressed, None) });
        }
        Node { name, what: What::Folder(children) }
    }
}
