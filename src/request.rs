//! A `pylayer layer` request: from arguments as typed to a valid [`LayerSpec`].
//!
//! All paths are joined with the request's base directory here, once: the working directory, or
//! `sandbox_dir` (`WorkRequest` field 6, Bazel 6.0 and later).

mod encoding;
mod segment;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::sync::Arc;

use lexopt::Arg::{Long, Short, Value};

use crate::error::{Error, Result};
use crate::flags::{number, text, unknown, usage};
use crate::fs;
use crate::layer::compress::Compression;
use crate::layer::spec::{
    Attributes, Common, Destination, Elsewhere, LayerSpec, Links, Mode, Outputs, Package, Source,
    SourcePath, Targets, What, check_mode,
};
use crate::layer::{Filter, spec};

pub use segment::segment_help;

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
            Self::Tree => "--tree",
            Self::File => "--file",
            Self::Symlink => "--symlink",
            Self::Empty => "--empty",
            Self::Directory => "--directory",
            Self::Elsewhere => "--elsewhere",
        }
    }
}

impl LayerRequest {
    /// Reads the arguments after `layer`. The order matters: `--to`, `--mode`, and `--links` belong to the
    /// source before them, sources to the package before them.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut request = Self { packages: vec![PackageRequest::default()], ..Self::default() };
        let mut last_is_elsewhere = false;
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(usage(HINT))? {
            let flag = match argument {
                Long(flag) => flag.to_owned(),
                Short(_) | Value(_) => return Err(usage(HINT)(argument.unexpected())),
            };
            let kind = match &*flag {
                "tree" => ItemKind::Tree,
                "file" => ItemKind::File,
                "symlink" => ItemKind::Symlink,
                "empty" => ItemKind::Empty,
                "directory" => ItemKind::Directory,
                "elsewhere" => ItemKind::Elsewhere,
                _ => {
                    let last = if last_is_elsewhere {
                        request.elsewhere.last_mut()
                    } else {
                        request.packages.last_mut().and_then(|package| package.items.last_mut())
                    };
                    if flag == "explain" {
                        request.explain = true;
                    } else if ["to", "mode", "links"].contains(&&*flag) {
                        let value = parser.value().map_err(usage(HINT))?;
                        attach(last, &flag, value)?;
                    } else {
                        request.flag(&flag, &mut parser)?;
                        last_is_elsewhere &= flag != "package";
                    }
                    continue;
                }
            };
            let value = match kind {
                ItemKind::Empty | ItemKind::Directory => OsString::new(),
                _ => parser.value().map_err(usage(HINT))?,
            };
            last_is_elsewhere = kind == ItemKind::Elsewhere;
            let item = Item { kind, value, to: None, mode: None, links: None };
            match (last_is_elsewhere, request.packages.last_mut()) {
                (false, Some(package)) => package.items.push(item),
                _ => request.elsewhere.push(item),
            }
        }
        Ok(request)
    }

    /// A flag that is no source and follows none.
    fn flag(&mut self, flag: &str, parser: &mut lexopt::Parser) -> Result<()> {
        let known = [
            "output",
            "metadata",
            "compression",
            "owner",
            "group",
            "mtime",
            "package",
            "wheel",
            "segment",
            "include",
            "exclude",
            "bytecode",
            "base-directory",
        ];
        if !known.contains(&flag) {
            let sources = ["tree", "file", "symlink", "empty", "directory", "elsewhere"];
            let others = ["to", "mode", "links", "explain"];
            let all = known.iter().chain(&sources).chain(&others);
            let all: Vec<String> = all.map(|flag| format!("--{flag}")).collect();
            let all = all.iter().map(|flag| &**flag);
            return Err(unknown("flag", &format!("--{flag}"), all, HINT));
        }
        let value = parser.value().map_err(usage(HINT))?;
        let package = || Error::usage("no package is open");
        match flag {
            "output" => once(&mut self.output, flag, value)?,
            "metadata" => once(&mut self.metadata, flag, value)?,
            "compression" => self.compression = text(flag, &value)?.parse()?,
            "owner" => self.attributes.owner = number(flag, &value, 0, u32::MAX.into())?,
            "group" => self.attributes.group = number(flag, &value, 0, u32::MAX.into())?,
            "mtime" => self.attributes.mtime = number(flag, &value, 0, i64::MAX as u64)?,
            "package" => self.packages.push(PackageRequest { name: value, ..Default::default() }),
            "segment" => self.segments.push(value),
            "base-directory" => self.base_directories.push(value),
            "bytecode" if value == "keep" => {
                self.packages.last_mut().ok_or_else(package)?.keeps_bytecode = true;
            }
            "bytecode" => {
                let what = format!("`--bytecode={}` is not `keep`", value.display());
                return Err(Error::usage(what).hint(HINT));
            }
            "wheel" => self.packages.last_mut().ok_or_else(package)?.wheels.push(value),
            "include" | "exclude" => {
                let package = self.packages.last_mut().ok_or_else(package)?;
                let globs =
                    if flag == "include" { &mut package.include } else { &mut package.exclude };
                globs.push(text(flag, &value)?.to_owned());
            }
            _ => return Err(usage(HINT)(Long(flag).unexpected())),
        }
        Ok(())
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
        let missing = || Error::usage("`--output` is missing").hint(HINT);
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
        let segments =
            request.segments.into_iter().map(|path| SourcePath::new(base, path)).collect();
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
        if let [blob, metadata] = &*targets.files().map(fs::identity).collect::<Vec<_>>()
            && blob == metadata
        {
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
            let what = format!("`{}={}` has no `--to`", self.kind.flag(), self.value.display());
            return Err(Error::usage(what).hint(HINT));
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
            let what = format!("`--links` follows `{}={}`", self.kind.flag(), self.value.display());
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

const HINT: &str = "`pylayer layer --help` lists the flags";

/// Gives `--to`, `--mode`, or `--links` to the source before it.
fn attach(last: Option<&mut Item>, flag: &str, value: OsString) -> Result<()> {
    let Some(item) = last else {
        let what = format!("`--{flag}={}` follows no source", value.display());
        return Err(Error::usage(what).hint(HINT));
    };
    if flag == "to" {
        return once(&mut item.to, flag, value);
    }
    let digits = text(flag, &value)?;
    if flag == "links" {
        let links = match digits {
            "follow" => Links::Follow,
            "keep" => Links::Keep,
            _ => {
                return Err(Error::usage(format!("`--links={digits}` is neither follow nor keep")));
            }
        };
        return once(&mut item.links, flag, links);
    }
    if digits == "keep" {
        return once(&mut item.mode, flag, Mode::Keep);
    }
    let octal = digits.bytes().all(|byte| byte.is_ascii_digit());
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if octal && mode <= 0o7777 => once(&mut item.mode, flag, Mode::Fixed(mode)),
        _ => Err(Error::usage(format!("`--mode={digits}` is not an octal mode or `keep`"))),
    }
}

fn once<T>(slot: &mut Option<T>, flag: &str, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::usage(format!("`--{flag}` is given twice")).hint(HINT)),
    }
}

/// The longest params file, in bytes: far more than any build's, and not all of a memory.
const PARAMS: u64 = 1 << 30;

/// The arguments in a params file: one a line, as they stand (Bazel's format "multiline").
pub fn read_params_file(path: &Path) -> Result<Vec<OsString>> {
    let bytes = fs::read(path, PARAMS)?;
    let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    Ok(lines.split(|&byte| byte == b'\n').map(|line| OsString::from_vec(line.to_vec())).collect())
}

/// The help of `pylayer layer`.
pub fn help() -> String {
    format!(
        include_str!("request/help.txt"),
        mtime = spec::DEFAULT_MTIME,
        compression = Compression::default()
    )
}
