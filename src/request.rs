//! A `pylayer layer` request: from arguments as typed to a valid [`LayerSpec`].
//!
//! All paths are joined with the request's base directory here, once: the working directory, or
//! `sandbox_dir` (`WorkRequest` field 6, Bazel 6.0 and later).

mod encoding;
mod flags;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::fs;
use crate::layer::Filter;
use crate::layer::compress::Compression;
use crate::layer::spec::{
    Attributes, Common, Destination, Elsewhere, LayerSpec, Links, Mode, Outputs, Package, Source,
    SourcePath, Targets, What, check_mode,
};

pub use flags::{LAYER, SEGMENT};

/// A request as typed: each flag in its place, nothing joined or looked up.
#[derive(Debug, Default)]
pub struct LayerRequest {
    output: Option<OsString>,
    metadata: Option<OsString>,
    compression: Compression,
    attributes: Attributes,
    packages: Vec<PackageRequest>,
    segments: Vec<OsString>,
    elsewhere: Vec<Item>,
    last_is_elsewhere: bool,
    base_directories: Vec<OsString>,
    explain: bool,
}

/// The sources from one `--package` to the next.
#[derive(Debug, Default)]
struct PackageRequest {
    name: OsString,
    wheels: Vec<OsString>,
    include: Vec<String>,
    exclude: Vec<String>,
    keeps_bytecode: bool,
    items: Vec<Item>,
}

/// A source with the flags that follow it.
#[derive(Debug)]
struct Item {
    kind: ItemKind,
    value: OsString,
    to: Option<OsString>,
    mode: Option<Mode>,
    links: Option<Links>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ItemKind {
    Tree,
    File,
    Symlink,
    Empty,
    Directory,
    Elsewhere,
}

impl ItemKind {
    const fn flag(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::File => "file",
            Self::Symlink => "symlink",
            Self::Empty => "empty",
            Self::Directory => "directory",
            Self::Elsewhere => "elsewhere",
        }
    }
}

impl LayerRequest {
    /// Reads the arguments after `layer`, of which none is a startup flag.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut request = Self::default();
        LAYER.read(&mut request, arguments, || clap::Command::new("none"))?;
        Ok(request)
    }

    /// A request for a segment, which is of exactly one package.
    pub fn of_one_package(self) -> Result<Self> {
        let names: BTreeSet<&OsString> =
            self.packages.iter().map(|package| &package.name).collect();
        let what = match names.len() {
            1 if self.packages.iter().all(|package| package.name.is_empty()) => {
                "`--package` is missing"
            }
            0 => "`--package` is missing",
            1 => return Ok(self),
            _ => "a segment is of one `--package`",
        };
        Err(Error::usage(what).hint(SEGMENT.hint()))
    }

    /// Whether to say where each segment came from.
    pub fn explains(&self) -> bool {
        self.explain
    }

    /// Whether the layer goes to standard output.
    pub fn writes_to_stdout(&self) -> bool {
        self.output.as_ref().is_some_and(|output| output == "-")
    }

    /// What will be written, relative to `base`.
    pub fn targets(&self, base: &Path) -> Result<Targets> {
        let missing = || Error::usage("`--output` is missing").hint(LAYER.hint());
        let output = self.output.as_ref().ok_or_else(missing)?;
        let blob = if self.writes_to_stdout() { output.into() } else { base.join(output) };
        let metadata = self.metadata.as_ref().map(|path| base.join(path));
        Ok(Targets { blob, metadata })
    }

    /// The request as it is meant, its sources relative to `base`.
    pub fn into_spec(self, base: &Path) -> Result<(Targets, LayerSpec)> {
        let request = encoding::repair(self, base);
        let targets = request.targets(base)?;
        let mut packages: Vec<Package> = Vec::new();
        let mut by_name = BTreeMap::new();
        for package in request.packages {
            let PackageRequest { name, wheels, include, exclude, keeps_bytecode, items } = package;
            let filter = Arc::new(Filter::new(&include, &exclude, keeps_bytecode)?);
            let sources = items.into_iter().map(|item| item.source(&filter, base));
            let sources = sources.collect::<Result<Vec<_>>>()?;
            let wheels = wheels.into_iter().map(|wheel| SourcePath::new(base, wheel));
            let name = name.into_vec();
            match by_name.entry(name.clone()) {
                Entry::Occupied(at) => {
                    let package: &mut Package = &mut packages[*at.get()];
                    package.sources.extend(sources);
                    package.wheels.extend(wheels);
                }
                Entry::Vacant(place) => {
                    place.insert(packages.len());
                    packages.push(Package { name, sources, wheels: wheels.collect() });
                }
            }
        }
        let segments = request.segments.into_iter().map(|path| SourcePath::new(base, path));
        let segments = segments.collect();
        let elsewhere = request.elsewhere.into_iter().map(|item| {
            Ok(Elsewhere { to: item.destination()?, path: SourcePath::new(base, item.value) })
        });
        let spec = LayerSpec {
            common: Common { compression: request.compression, attributes: request.attributes },
            packages,
            segments,
            elsewhere: elsewhere.collect::<Result<_>>()?,
            base_directories: request
                .base_directories
                .iter()
                .map(|path| Destination::new(path.as_bytes()))
                .collect::<Result<_>>()?,
            directory: fs::absolute(base),
            outputs: Outputs::new(targets.files()),
        };
        if targets.metadata.as_ref().is_some_and(|path| fs::is_same_place(&targets.blob, path)) {
            return Err(Error::usage("`--output` and `--metadata` are the same file"));
        }
        Ok((targets, spec))
    }

    /// All values that are paths of this machine or of the image.
    fn paths_mut(&mut self) -> impl Iterator<Item = &mut OsString> {
        let targets = self.output.iter_mut().chain(&mut self.metadata).chain(&mut self.segments);
        let packages =
            self.packages.iter_mut().flat_map(|PackageRequest { wheels, items, .. }| {
                wheels.iter_mut().chain(items.iter_mut().flat_map(Item::paths_mut))
            });
        targets.chain(packages).chain(self.elsewhere.iter_mut().flat_map(Item::paths_mut))
    }

    /// The paths of all sources.
    fn sources(&self) -> impl Iterator<Item = &OsStr> {
        let items = self.packages.iter().flat_map(|package| &package.items);
        items
            .filter(|item| matches!(item.kind, ItemKind::Tree | ItemKind::File))
            .map(|item| &*item.value)
            .chain(self.segments.iter().map(|path| &**path))
    }
}

impl Item {
    fn paths_mut(&mut self) -> impl Iterator<Item = &mut OsString> {
        std::iter::once(&mut self.value).chain(&mut self.to)
    }

    fn destination(&self) -> Result<Destination> {
        let Some(to) = &self.to else {
            let what = format!("`--{}={}` has no `--to`", self.kind.flag(), self.value.display());
            return Err(Error::usage(what).hint("add `--to=DEST`: where it goes in the image"));
        };
        if self.kind == ItemKind::File && to.as_bytes().ends_with(b"/") && to != "/" {
            let what = format!("`--to={}` names a directory for a file", to.display());
            let name = Path::new(&self.value).file_name().unwrap_or_default().display();
            return Err(Error::input(what)
                .hint(format!("write the file's whole path: `--to={}{name}`", to.display())));
        }
        Destination::new(to.as_bytes())
    }

    fn source(self, filter: &Arc<Filter>, base: &Path) -> Result<Source> {
        let to = self.destination()?;
        let links = self.links.unwrap_or_default();
        if links != Links::Settle && self.kind != ItemKind::File {
            let what =
                format!("`--links` follows `--{}={}`", self.kind.flag(), self.value.display());
            return Err(Error::usage(what).hint("it belongs to a `--file`"));
        }
        let mode = check_mode(self.mode.unwrap_or_default(), &to)?;
        let what = match self.kind {
            ItemKind::Tree => {
                let path = SourcePath::new(base, self.value);
                What::Tree { path, filter: filter.clone() }
            }
            ItemKind::File => {
                let path = SourcePath::new(base, self.value);
                What::File { path, filter: filter.clone() }
            }
            ItemKind::Symlink => What::Symlink(self.value.into_vec()),
            ItemKind::Directory => What::Directory,
            ItemKind::Empty | ItemKind::Elsewhere => What::Empty,
        };
        Ok(Source { what, to, mode, links })
    }
}

/// The longest params file, in bytes: far more than any build's, and not all of a memory.
const PARAMS: u64 = 1 << 30;

/// The arguments in a params file: one a line, as they stand (Bazel's format "multiline").
pub fn read_params_file(path: &Path) -> Result<Vec<OsString>> {
    let bytes = fs::read(path, PARAMS).map_err(|error| {
        error.or_hint(|| "`@FILE` reads arguments from a file, one per line".into())
    })?;
    let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    Ok(lines.split(|&byte| byte == b'\n').map(|line| OsString::from_vec(line.to_vec())).collect())
}
