//! A `pylayer check` request. The order of its flags matters: what a package consists of follows
//! its `--package`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{Limits, MB};
use crate::error::{Error, Result};
use crate::flags::{Flag, Table, number, text};
use crate::layer::Filter;
use crate::layer::spec::SourcePath;

/// A package that no group holds.
#[derive(Debug, Default)]
pub struct CheckedPackage {
    /// Its name.
    pub name: String,
    include: Vec<String>,
    exclude: Vec<String>,
    /// Its trees and files.
    pub paths: Vec<SourcePath>,
}

impl CheckedPackage {
    /// Which of its files ship.
    pub fn filter(&self) -> Result<Filter> {
        Filter::new(&self.include, &self.exclude, false)
    }
}

/// What is to be checked.
#[derive(Debug, Default)]
pub struct CheckRequest {
    /// What paths are relative to.
    base: PathBuf,
    output: OsString,
    /// Layers that the rules make.
    pub layers: u64,
    /// Layers of the base image.
    pub base_layers: u64,
    /// What is allowed.
    pub limits: Limits,
    /// For each layer, a file with the arguments that name its sources.
    pub sources: Vec<SourcePath>,
    /// Layers whose size is known: the number of their sources' file, and their metadata.
    pub metadata: Vec<(usize, SourcePath)>,
    /// Groups that the tier or the image has; only told if there are unknown ones.
    pub known_groups: Vec<String>,
    /// Groups that the tier compresses, and neither the tier nor the image has.
    pub unknown_groups: Vec<String>,
    /// Packages that the tier names, and the image does not have.
    pub absent: Vec<String>,
    /// The packages that no group holds.
    pub packages: Vec<CheckedPackage>,
    /// Files that hold one such package each.
    pub segments: Vec<SourcePath>,
    /// Files that hold one package of a group each.
    pub grouped_segments: Vec<SourcePath>,
}

impl CheckRequest {
    /// Where the findings go.
    pub fn target(&self) -> PathBuf {
        self.base.join(&self.output)
    }
}

/// A request as far as it has been read.
#[derive(Debug, Default)]
pub struct PartialRequest {
    output: Option<OsString>,
    layers: Option<u64>,
    request: CheckRequest,
}

impl PartialRequest {
    /// Nothing yet; paths will be relative to `base`.
    pub fn new(base: &Path) -> Self {
        let request = CheckRequest { base: base.to_owned(), ..CheckRequest::default() };
        Self { request, ..Self::default() }
    }

    /// The request, if all is there that has to be.
    pub fn finish(self) -> Result<CheckRequest> {
        let missing =
            |flag: &str| Error::usage(format!("`--{flag}` is missing")).hint(CHECK.hint());
        let output = self.output.ok_or_else(|| missing("output"))?;
        let layers = self.layers.ok_or_else(|| missing("layers"))?;
        Ok(CheckRequest { output, layers, ..self.request })
    }

    fn package(&mut self, flag: &str, value: &OsStr) -> Result<&mut CheckedPackage> {
        let outside = || Error::usage(format!("`--{flag}={}` is in no package", value.display()));
        self.request.packages.last_mut().ok_or_else(outside)
    }

    fn path(&mut self, flag: &str, path: &OsString) -> Result<()> {
        let source = SourcePath::new(&self.request.base, path.clone());
        self.package(flag, path)?.paths.push(source);
        Ok(())
    }
}

type Row = Flag<PartialRequest>;

/// The flags of `pylayer check`.
pub static CHECK: Table<PartialRequest> = Table {
    name: "check",
    about: "Checks that an image's layers are few and small enough, and says what to do if not",
    usage: "--output=LOG --layers=N [FLAGS] [--package=NAME --tree=SRC...]...",
    sections: &[
        ("The image", IMAGE),
        ("What is allowed", LIMITS),
        ("Packages that no group holds", PACKAGES),
    ],
    notes: "",
};

const IMAGE: &[Row] = &[
    Row::new(
        "output",
        "LOG",
        "The findings, with lines to paste into py_layer_tier",
        |partial, _, path| {
            partial.output = Some(path);
            Ok(())
        },
    ),
    Row::new("layers", "N", "Layers that the rules make", |partial, flag, value| {
        partial.layers = Some(number(flag, &value, 0, u64::MAX)?);
        Ok(())
    }),
    Row::new("base-layers", "N", "Layers of the base image", |partial, flag, value| {
        partial.request.base_layers = number(flag, &value, 0, u64::MAX)?;
        Ok(())
    })
    .default(|| "0".to_owned()),
    Row::new(
        "sources",
        "FILE",
        "The arguments that name a layer's sources, a line each: a path in two layers is an \
         error; given once a layer",
        |partial, _, path| {
            partial.request.sources.push(SourcePath::new(&partial.request.base, path));
            Ok(())
        },
    ),
    Row::new(
        "metadata",
        "FILE",
        "What `pylayer layer --metadata` wrote about the layer of the --sources before it: one that is \
         far larger than all others with metadata is worth a warning",
        |partial, flag, path| {
            let request = &mut partial.request;
            let layer = request.sources.len().checked_sub(1).ok_or_else(|| {
                let what = format!("`--{flag}={}` follows no `--sources`", path.display());
                Error::usage(what).hint(CHECK.hint())
            })?;
            request.metadata.push((layer, SourcePath::new(&request.base, path)));
            Ok(())
        },
    ),
    Row::new(
        "known-group",
        "NAME",
        "A group that the tier or the image has (repeatable)",
        |partial, _, name| {
            partial.request.known_groups.push(name.to_string_lossy().into_owned());
            Ok(())
        },
    ),
    Row::new(
        "unknown-group",
        "NAME",
        "A group that the tier compresses, and neither has (repeatable)",
        |partial, _, name| {
            partial.request.unknown_groups.push(name.to_string_lossy().into_owned());
            Ok(())
        },
    ),
    Row::new(
        "absent-package",
        "NAME",
        "A package that the tier names, and the image does not have (repeatable)",
        |partial, _, name| {
            partial.request.absent.push(name.to_string_lossy().into_owned());
            Ok(())
        },
    ),
];

const LIMITS: &[Row] = &[
    Row::new("max-layers", "N", "More are an error", |partial, flag, value| {
        partial.request.limits.max_layers = number(flag, &value, 0, u64::MAX)?;
        Ok(())
    })
    .default(|| Limits::default().max_layers.to_string()),
    Row::new("warn-layers", "N", "More are worth a warning", |partial, flag, value| {
        partial.request.limits.warn_layers = number(flag, &value, 0, u64::MAX)?;
        Ok(())
    })
    .default(|| Limits::default().warn_layers.to_string()),
    Row::new(
        "squashed-limit-mb",
        "N",
        "More of all packages together is an error",
        |partial, flag, value| {
            partial.request.limits.squashed = megabytes(flag, &value)?;
            Ok(())
        },
    )
    .default(|| (Limits::default().squashed / MB).to_string()),
    Row::new(
        "package-limit-mb",
        "N",
        "More of one package is worth a warning",
        |partial, flag, value| {
            partial.request.limits.package = megabytes(flag, &value)?;
            Ok(())
        },
    )
    .default(|| (Limits::default().package / MB).to_string()),
    Row::new(
        "layer-limit-mb",
        "N",
        "More of one layer, compressed, is worth a warning if all others together have less",
        |partial, flag, value| {
            partial.request.limits.layer = megabytes(flag, &value)?;
            Ok(())
        },
    )
    .default(|| (Limits::default().layer / MB).to_string()),
];

const PACKAGES: &[Row] = &[
    Row::new(
        "segment",
        "FILE",
        "A package that `pylayer segment` has compressed (repeatable)",
        |partial, _, path| {
            partial.request.segments.push(SourcePath::new(&partial.request.base, path));
            Ok(())
        },
    ),
    Row::new(
        "grouped-segment",
        "FILE",
        "The same of a package that a group holds (repeatable)",
        |partial, _, path| {
            partial.request.grouped_segments.push(SourcePath::new(&partial.request.base, path));
            Ok(())
        },
    ),
    Row::new(
        "package",
        "NAME",
        "Opens a package: what follows belongs to it",
        |partial, _, name| {
            let name = name.to_string_lossy().into_owned();
            partial.request.packages.push(CheckedPackage { name, ..CheckedPackage::default() });
            Ok(())
        },
    ),
    Row::new("include", "GLOB", "Only these of its files ship", |partial, flag, glob| {
        let text = text(flag, &glob)?.to_owned();
        partial.package(flag, &glob)?.include.push(text);
        Ok(())
    }),
    Row::new("exclude", "GLOB", "These do not", |partial, flag, glob| {
        let text = text(flag, &glob)?.to_owned();
        partial.package(flag, &glob)?.exclude.push(text);
        Ok(())
    }),
    Row::new("tree", "SRC", "Every file below a directory", |partial, flag, path| {
        partial.path(flag, &path)
    }),
    Row::new("file", "SRC", "One file", |partial, flag, path| partial.path(flag, &path)),
];

fn megabytes(flag: &str, value: &OsStr) -> Result<u64> {
    Ok(number(flag, value, 0, u64::MAX)?.saturating_mul(MB))
}
