//! How large packages are: of what would be shipped.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;

use super::CheckRequest;
use crate::error::Result;
use crate::fs::{self, Input, Kind};
use crate::layer::CancelCheck;
use crate::layer::filter::{below_site_packages, from_package_root};
use crate::layer::plan::{Kind as EntryKind, shipped};
use crate::layer::spec::SourcePath;
use crate::segment_file;

/// A package with its sizes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Package {
    pub(super) name: String,
    /// All that would be shipped of it.
    pub(super) bytes: u64,
    /// The bytes that a glob would take out of it, by glob.
    pub(super) globs: BTreeMap<String, u64>,
}

/// Measures the packages of a request.
pub(super) fn measure(request: &CheckRequest, check: CancelCheck<'_>) -> Result<Vec<Package>> {
    let mut by_name: BTreeMap<String, Package> = BTreeMap::new();
    let measured = request.packages.iter().map(|given| {
        let mut package = Package { name: given.name.clone(), ..Package::default() };
        let filter = given.filter()?;
        for path in &given.paths {
            match fs::kind_followed(path.full()) {
                Some(Kind::Directory) => {
                    for (relative, bytes) in shipped(path, check)? {
                        if filter.ships(&relative) {
                            package.add(&relative, bytes);
                        }
                    }
                }
                _ if filter.ships(path.typed().as_os_str().as_bytes()) => {
                    package.bytes = package.bytes.saturating_add(Input::open(path.full())?.size());
                }
                _ => {}
            }
        }
        Ok(package)
    });
    for package in measured.chain(request.segments.iter().map(segment)) {
        let package: Package = package?;
        by_name.entry(package.name.clone()).or_default().merge(package);
    }
    Ok(by_name.into_values().collect())
}

/// Measures the package that a segment file holds.
pub(super) fn segment(file: &SourcePath) -> Result<Package> {
    let plan = segment_file::contents(file)?;
    let name = String::from_utf8_lossy(&plan.name).into_owned();
    let mut package = Package { name, ..Package::default() };
    for entry in &plan.entries {
        if let EntryKind::Stored(bytes) = entry.kind {
            // Only below it is a path in the image one that a glob of the tier could match.
            match below_site_packages(&entry.dest) {
                Some(relative) => package.add(relative, bytes),
                None => package.bytes = package.bytes.saturating_add(bytes),
            }
        }
    }
    Ok(package)
}

impl Package {
    /// Takes in what another target gives of the same package.
    fn merge(&mut self, other: Self) {
        let Self { name, bytes, globs } = other;
        self.name = name;
        self.bytes = self.bytes.saturating_add(bytes);
        for (glob, bytes) in globs {
            let sum = self.globs.entry(glob).or_default();
            *sum = sum.saturating_add(bytes);
        }
    }

    fn add(&mut self, relative: &[u8], bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        let path = String::from_utf8_lossy(from_package_root(relative)).into_owned();
        if let Some(glob) = glob(&path) {
            let sum = self.globs.entry(glob).or_default();
            *sum = sum.saturating_add(bytes);
        }
    }
}

/// The glob that would take a file and its like out of a package: those of one kind in one
/// folder. None for a file without a kind, or in no folder.
fn glob(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/')?;
    let name = name.trim_start_matches('.');
    // A shared library may have a version after its kind: libx.so.1.2.
    if name.split('.').skip(1).any(|part| part == "so") {
        return Some(format!("{folder}/*.so*"));
    }
    let (_, kind) = name.rsplit_once('.')?;
    let plain = |text: &str| !text.contains(['*', '?', '[', ']', '{', '}', '\\', '"']);
    (plain(folder) && plain(kind)).then(|| format!("{folder}/*.{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_kind_in_one_folder_have_one_glob() {
        for (path, expected) in [
            ("torch/lib/libtorch.so", Some("torch/lib/*.so*")),
            ("torch/lib/libtorch.so.1.2", Some("torch/lib/*.so*")),
            ("numpy/core/_multi.cpython-311-x86_64-linux-gnu.so", Some("numpy/core/*.so*")),
            ("pkg/data/model.bin", Some("pkg/data/*.bin")),
            ("pkg/LICENSE", None),
            ("six.py", None),
            ("pkg/we[ird/x.py", None),
        ] {
            assert_eq!(glob(path).as_deref(), expected, "{path}");
        }
    }
}
