//! A `pylayer check` request.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use lexopt::Arg::Long;

use super::{Limits, MB};
use crate::error::{Error, Result};
use crate::flags::{number, text, unknown, usage};
use crate::layer::Filter;
use crate::layer::spec::SourcePath;

/// The help of `pylayer check`.
pub(crate) const HELP: &str = "\
Checks that an image's layers are few and small enough, and says what to do if not.

Usage: pylayer check --output=LOG --layers=N [FLAGS] [--package=NAME --tree=SRC...]...

      --output=LOG              the findings, with lines to paste into py_layer_tier
      --layers=N                layers that the rules make
      --base-layers=N           layers of the base image                      [0]
      --max-layers=N            more are an error                             [127]
      --warn-layers=N           more are worth a warning                      [90]
      --squashed-limit-mb=N     more of all packages together is an error     [200]
      --package-limit-mb=N      more of one package is worth a warning        [200]
      --sources=FILE            the arguments that name a layer's sources, a line each:
                                a path in two layers is an error; given once a layer
      --known-group=NAME        a group that the tier or the image has
      --unknown-group=NAME      a group that the tier compresses, and neither has
      --absent-package=NAME     a package that the tier names, and the image does not have
      --segment=FILE            a package that no group holds, from `pylayer segment`
      --package=NAME            the same by its sources
      --include=GLOB, --exclude=GLOB   which of its files ship
      --tree=SRC, --file=SRC    what it consists of
";

const HINT: &str = "`pylayer check --help` lists the flags";

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
#[derive(Debug)]
pub struct CheckRequest {
    output: OsString,
    /// Layers that the rules make.
    pub layers: u64,
    /// Layers of the base image.
    pub base_layers: u64,
    /// What is allowed.
    pub limits: Limits,
    /// For each layer, a file with the arguments that name its sources.
    pub sources: Vec<SourcePath>,
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
}

impl CheckRequest {
    /// Reads the arguments after `check`; the packages' paths are relative to `base`.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>, base: &Path) -> Result<Self> {
        let (mut output, mut layers) = (None, None);
        let mut base_layers = 0;
        let mut limits =
            Limits { max_layers: 127, warn_layers: 90, squashed: 200 * MB, package: 200 * MB };
        let mut packages: Vec<CheckedPackage> = Vec::new();
        let (mut sources, mut absent, mut segments) = (Vec::new(), Vec::new(), Vec::new());
        let (mut known_groups, mut unknown_groups) = (Vec::new(), Vec::new());
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next().map_err(usage(HINT))? {
            let Long(flag) = argument else { return Err(usage(HINT)(argument.unexpected())) };
            let flag = flag.to_owned();
            let known = [
                "output",
                "layers",
                "base-layers",
                "max-layers",
                "warn-layers",
                "squashed-limit-mb",
                "package-limit-mb",
                "sources",
                "segment",
                "known-group",
                "unknown-group",
                "absent-package",
                "package",
                "include",
                "exclude",
                "tree",
                "file",
            ];
            if !known.contains(&&*flag) {
                let known: Vec<String> = known.iter().map(|flag| format!("--{flag}")).collect();
                let known = known.iter().map(|flag| &**flag);
                return Err(unknown("flag", &format!("--{flag}"), known, HINT));
            }
            let value = parser.value().map_err(usage(HINT))?;
            match &*flag {
                "output" => output = Some(value),
                "layers" => layers = Some(number(&flag, &value, 0, u64::MAX)?),
                "base-layers" => base_layers = number(&flag, &value, 0, u64::MAX)?,
                "max-layers" => limits.max_layers = number(&flag, &value, 0, u64::MAX)?,
                "warn-layers" => limits.warn_layers = number(&flag, &value, 0, u64::MAX)?,
                "squashed-limit-mb" => limits.squashed = megabytes(&flag, &value)?,
                "package-limit-mb" => limits.package = megabytes(&flag, &value)?,
                "sources" => sources.push(SourcePath::new(base, value)),
                "segment" => segments.push(SourcePath::new(base, value)),
                "known-group" => known_groups.push(value.to_string_lossy().into_owned()),
                "unknown-group" => unknown_groups.push(value.to_string_lossy().into_owned()),
                "absent-package" => absent.push(value.to_string_lossy().into_owned()),
                "package" => packages.push(CheckedPackage {
                    name: value.to_string_lossy().into_owned(),
                    ..CheckedPackage::default()
                }),
                _ => {
                    let Some(package) = packages.last_mut() else {
                        let what = format!("`--{flag}={}` is in no package", value.display());
                        return Err(Error::usage(what).hint(HINT));
                    };
                    match &*flag {
                        "include" => package.include.push(text(&flag, &value)?.to_owned()),
                        "exclude" => package.exclude.push(text(&flag, &value)?.to_owned()),
                        _ => package.paths.push(SourcePath::new(base, value)),
                    }
                }
            }
        }
        let missing = |flag: &str| Error::usage(format!("`--{flag}` is missing")).hint(HINT);
        Ok(Self {
            output: output.ok_or_else(|| missing("output"))?,
            layers: layers.ok_or_else(|| missing("layers"))?,
            base_layers,
            limits,
            sources,
            known_groups,
            unknown_groups,
            absent,
            packages,
            segments,
        })
    }

    /// Where the findings go.
    pub fn target(&self, base: &Path) -> PathBuf {
        base.join(&self.output)
    }
}

fn megabytes(flag: &str, value: &OsStr) -> Result<u64> {
    Ok(number(flag, value, 0, u64::MAX)?.saturating_mul(MB))
}
