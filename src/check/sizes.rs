//! How large packages are: of what would be shipped.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::fs::{self, Kind};
use crate::layer::Checkpoint;
use crate::layer::filter::{from_package_root, skips_directory, skips_file};

/// A package with its sizes.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Package {
    pub(super) name: String,
    /// All that would be shipped of it.
    pub(super) bytes: u64,
    /// The bytes that a glob would take out of it, by glob.
    pub(super) globs: BTreeMap<String, u64>,
}

/// Measures packages.
pub(super) fn measure(
    packages: &[(String, Vec<PathBuf>)],
    check: Checkpoint<'_>,
) -> Result<Vec<Package>> {
    let measured = packages.iter().map(|(name, paths)| {
        let mut package = Package { name: name.clone(), ..Package::default() };
        for path in paths {
            match fs::kind_followed(path) {
                Some(Kind::Directory) => package.tree(path, &mut Vec::new(), check)?,
                _ => package.bytes += fs::Input::open(path)?.size(),
            }
        }
        Ok(package)
    });
    measured.collect()
}

impl Package {
    fn tree(
        &mut self,
        directory: &Path,
        relative: &mut Vec<u8>,
        check: Checkpoint<'_>,
    ) -> Result<()> {
        check()?;
        let depth = relative.len();
        let own_name = relative.rsplit(|&byte| byte == b'/').next().unwrap_or_default().to_vec();
        for (name, kind) in fs::read_dir(directory)? {
            relative.truncate(depth);
            if depth > 0 {
                relative.push(b'/');
            }
            relative.extend_from_slice(name.as_bytes());
            let path = directory.join(&name);
            // A relative link is shipped as a link; any other stands for what it leads to.
            let stands_for = match kind {
                Kind::Symlink if fs::read_link(&path)?.is_relative() => continue,
                Kind::Symlink => fs::kind_followed(&path),
                kind => Some(kind),
            };
            match stands_for {
                Some(Kind::Directory) if !skips_directory(name.as_bytes()) => {
                    self.tree(&path, relative, check)?;
                }
                Some(Kind::File) if !skips_file(&own_name, name.as_bytes()) => {
                    self.add(relative, fs::Input::open(&path)?.size());
                }
                _ => {}
            }
        }
        relative.truncate(depth);
        Ok(())
    }

    fn add(&mut self, relative: &[u8], bytes: u64) {
        self.bytes += bytes;
        let path = String::from_utf8_lossy(from_package_root(relative)).into_owned();
        if let Some(glob) = glob(&path) {
            *self.globs.entry(glob).or_default() += bytes;
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
