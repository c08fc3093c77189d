//! A layer as it is meant: every value valid, every path joined. Nothing is checked twice after
//! this.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compress::Compression;
use super::filter::Filter;
use super::paths;
use crate::error::{Error, Result};
use crate::fs;

/// The modification time of every entry unless the request says otherwise, in seconds:
/// 2023-01-01T08:00:00Z, which `rules_py` has always used.
pub const DEFAULT_MTIME: u64 = 1_672_560_000;

/// The permission bits of every source unless the request says otherwise.
pub const DEFAULT_MODE: u32 = 0o755;

/// Where a layer's files go.
#[derive(Debug)]
pub struct Targets {
    /// The blob.
    pub blob: PathBuf,
    /// The JSON about it, if wanted.
    pub metadata: Option<PathBuf>,
}

impl Targets {
    /// Whether the blob goes to standard output.
    pub fn is_stdout(&self) -> bool {
        self.blob.as_os_str() == "-"
    }

    /// All of them.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&*self.blob).chain(self.metadata.as_deref())
    }
}

/// One layer.
#[derive(Debug)]
pub struct LayerSpec {
    /// What all segments have in common.
    pub common: Common,
    /// The packages, in any order, each name once.
    pub packages: Vec<Package>,
    /// Files that hold one finished package each.
    pub segments: Vec<SourcePath>,
    /// What other layers deliver.
    pub elsewhere: Vec<Elsewhere>,
    /// Directories that the base image owns, with all above them.
    pub base_directories: Vec<Destination>,
    /// What paths are relative to, absolute.
    pub directory: PathBuf,
    /// The files that are being made: none of them is part of the layer.
    pub outputs: Outputs,
}

/// The files that an action makes.
#[derive(Debug, Default)]
pub struct Outputs(Vec<PathBuf>);

impl Outputs {
    /// The files at these paths.
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        Self(paths.into_iter().map(Path::to_owned).collect())
    }

    /// Whether the file of this name in this folder is one of them, or one of them in the making.
    pub(super) fn contains(&self, folder: &Path, name: &OsStr) -> bool {
        // Names come first: they cost nothing, and the folders' links have to be read.
        // Only what ends with the name is worth to be taken apart.
        let ends = |own: &Path| own.as_os_str().as_bytes().ends_with(name.as_bytes());
        self.0.iter().any(|own| {
            (ends(own) && own.file_name() == Some(name) || fs::is_temporary(name))
                && fs::canonical(folder)
                    .is_some_and(|folder| fs::canonical(fs::folder(own)) == Some(folder))
        })
    }

    /// Whether the file at `path` is one of them.
    pub(super) fn contains_path(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| self.contains(fs::folder(path), name))
    }
}

/// What all segments of a layer have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Common {
    /// How their members are compressed.
    pub compression: Compression,
    /// Owner, group, and time of their entries.
    pub attributes: Attributes,
}

/// What all entries of a layer have in common.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attributes {
    /// Numeric user id.
    pub owner: u64,
    /// Numeric group id.
    pub group: u64,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub mtime: u64,
}

impl Default for Attributes {
    fn default() -> Self {
        Self { owner: 0, group: 0, mtime: DEFAULT_MTIME }
    }
}

/// A package: what becomes one segment.
#[derive(Debug)]
pub struct Package {
    /// The name that it is sorted by; not part of any byte.
    pub name: Vec<u8>,
    /// What it consists of.
    pub sources: Vec<Source>,
    /// The wheels that it was installed from, as far as they are known.
    pub wheels: Vec<SourcePath>,
}

/// One source of a package and its place in the image.
#[derive(Debug)]
pub struct Source {
    /// What it is.
    pub what: What,
    /// Where it goes.
    pub to: Destination,
    /// Permission bits of its entries.
    pub mode: Mode,
    /// What becomes of a link that stands where a file is named.
    pub links: Links,
}

/// What becomes of a symbolic link that stands where a file is named.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Links {
    /// A link if what it leads to is in the image, else the file that it leads to.
    #[default]
    Settle,
    /// The file that it leads to: a remote executor gives no links.
    Follow,
    /// A link with the same text, whatever it leads to on this machine.
    Keep,
}

/// What the permission bits of a source's entries are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// These.
    Fixed(u32),
    /// 0755 for a file that its owner may execute, 0644 for any other.
    Keep,
}

impl Default for Mode {
    fn default() -> Self {
        Self::Fixed(DEFAULT_MODE)
    }
}

/// What a source is.
#[derive(Debug)]
pub enum What {
    /// Every file below a directory.
    Tree {
        /// The directory.
        path: SourcePath,
        /// Which of its files.
        filter: Arc<Filter>,
    },
    /// One file.
    File {
        /// The file.
        path: SourcePath,
        /// Whether it ships, if its destination is in a `site-packages`.
        filter: Arc<Filter>,
    },
    /// A symbolic link with this text.
    Symlink(Vec<u8>),
    /// A file of no bytes.
    Empty,
    /// A directory, whether anything is in it or not.
    Directory,
}

/// Something that another layer of the image delivers.
#[derive(Debug)]
pub struct Elsewhere {
    /// The file or directory.
    pub path: SourcePath,
    /// Where the other layer puts it.
    pub to: Destination,
}

/// A path on this machine: as the request wrote it, and as it is opened.
#[derive(Clone, Debug)]
pub struct SourcePath {
    typed: PathBuf,
    full: Arc<Path>,
}

impl SourcePath {
    /// A path as written in a request; a relative one is relative to `base`.
    pub fn new(base: &Path, typed: impl Into<PathBuf>) -> Self {
        let typed = typed.into();
        let full = base.join(&typed).into();
        Self { typed, full }
    }

    /// The path as it is opened.
    pub fn full(&self) -> &Arc<Path> {
        &self.full
    }

    /// The path as the request wrote it, for messages and for recognising it in link texts.
    pub fn typed(&self) -> &Path {
        &self.typed
    }
}

/// A path in the image: components without `.`, `..`, NUL, or empty ones, joined by slashes.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Destination(Vec<u8>);

impl LayerSpec {
    /// A layer of these packages, all else as it is by default.
    pub fn of(packages: Vec<Package>) -> Self {
        let (compression, attributes) = (Compression::default(), Attributes::default());
        Self {
            common: Common { compression, attributes },
            packages,
            segments: Vec::new(),
            elsewhere: Vec::new(),
            base_directories: Vec::new(),
            directory: PathBuf::new(),
            outputs: Outputs::default(),
        }
    }
}

impl LayerSpec {
    /// Fails if a wheel or a segment is also an output; trees and files are asked as they are walked.
    pub fn expect_inputs_apart(&self) -> Result<()> {
        let wheels = self.packages.iter().flat_map(|package| &package.wheels);
        for path in wheels.chain(&self.segments) {
            if self.outputs.contains_path(path.full()) {
                return Err(Error::input("a source is also an output:").at(path.typed()));
            }
        }
        Ok(())
    }
}

impl Destination {
    /// The image's root.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Reads a destination: `./a/b`, `/a/b`, and `a/b` are the same. Refuses `..`, NUL, and names
    /// that OCI image-spec (layer.md, "Whiteouts") reserves. Empty is the image's root.
    pub fn new(typed: &[u8]) -> Result<Self> {
        let mut path = Vec::with_capacity(typed.len());
        for component in typed.split(|&byte| byte == b'/') {
            if component.is_empty() || component == b"." {
                continue;
            }
            paths::check_component(component, typed)?;
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(component);
        }
        paths::check_length(&path)?;
        Ok(Self(path))
    }

    /// The path's bytes; empty for the image's root.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path of something below this one.
    pub fn join(&self, relative: &[u8]) -> Vec<u8> {
        if self.0.is_empty() {
            relative.to_vec()
        } else if relative.is_empty() {
            self.0.clone()
        } else {
            [&self.0, relative].join(&b'/')
        }
    }
}

/// Checks permission bits: setuid, setgid, and sticky never appear in a layer.
pub fn check_mode(mode: Mode, to: &Destination) -> Result<Mode> {
    if let Mode::Fixed(mode) = mode
        && mode > 0o777
    {
        return Err(Error::input(format!("mode {mode:o} is refused for"))
            .at(paths::as_path(to.bytes()))
            .hint("setuid, setgid, and sticky bits have no place in a layer: use 0000 to 0777"));
    }
    Ok(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_one_spelling() {
        for (typed, path) in [
            ("a/b", "a/b"),
            ("./a/b", "a/b"),
            ("/a/b", "a/b"),
            ("//a/./b//", "a/b"),
            ("/", ""),
            ("", ""),
            ("./", ""),
            ("a/...", "a/..."),
            ("a/x.wh.", "a/x.wh."),
        ] {
            assert_eq!(Destination::new(typed.as_bytes()).unwrap().bytes(), path.as_bytes());
        }
    }

    #[test]
    fn dangerous_places_are_refused_by_name() {
        for typed in ["..", "a/../b", "/..", "a/.wh.b", ".wh..wh..opq", ".wh.d/e", "a\0b"] {
            let error = Destination::new(typed.as_bytes()).unwrap_err();
            assert_eq!(error.fault().exit_code(), 1);
            assert!(error.to_string().contains(typed), "{error}");
        }
    }
}
