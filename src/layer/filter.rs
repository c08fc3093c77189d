//! Which files of a tree a package ships.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::paths;
use crate::error::{Error, Result};

/// The `--include` and `--exclude` globs of a package.
///
/// A pattern without a slash matches a file's name at any depth. One with a slash matches the
/// path from the package's root: the `site-packages` of an install tree, else the tree itself.
#[derive(Debug, Default)]
pub struct Filter {
    include: Globs,
    exclude: Globs,
}

/// Patterns of one kind; empty if there are none.
#[derive(Debug, Default)]
struct Globs {
    names: GlobSet,
    paths: GlobSet,
}

impl Globs {
    fn new(patterns: &[String]) -> Result<Self> {
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in patterns {
            let anchored = pattern.trim_start_matches("./").trim_start_matches('/');
            let glob = GlobBuilder::new(anchored)
                .literal_separator(true)
                .backslash_escape(true)
                .build()
                .map_err(|source| {
                    Error::usage(format!("`{pattern}` is not a glob")).because(source)
                })?;
            let set = if pattern.contains('/') { &mut paths } else { &mut names };
            set.add(glob);
        }
        let build = |builder: GlobSetBuilder| {
            builder.build().map_err(|source| Error::usage("too many globs").because(source))
        };
        Ok(Self { names: build(names)?, paths: build(paths)? })
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.paths.is_empty()
    }

    fn matches(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| self.names.is_match(name)) || self.paths.is_match(path)
    }
}

impl Filter {
    /// A filter of these globs; none of a kind means no restriction of that kind.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self> {
        Ok(Self { include: Globs::new(include)?, exclude: Globs::new(exclude)? })
    }

    /// Whether the file at this path inside a tree is shipped.
    pub(crate) fn ships(&self, relative: &[u8]) -> bool {
        if self.include.is_empty() && self.exclude.is_empty() {
            return true;
        }
        let path = paths::as_path(from_package_root(relative));
        (self.include.is_empty() || self.include.matches(path)) && !self.exclude.matches(path)
    }
}

/// The path from the install tree's `site-packages`; the whole path where there is none.
pub(crate) fn from_package_root(relative: &[u8]) -> &[u8] {
    const ROOT: &[u8] = b"site-packages";
    let mut start = 0;
    for component in relative.split(|&byte| byte == b'/') {
        let end = start + component.len();
        if component == ROOT && end < relative.len() {
            return &relative[end + 1..];
        }
        start = end + 1;
    }
    relative
}

/// Whether a directory of a tree is left out: the interpreter makes it anew, differently.
pub(super) fn skips_directory(name: &[u8]) -> bool {
    name == b"__pycache__"
}

/// Whether a file of a tree is left out: what only installers read, and whole wheels.
pub(super) fn skips_file(directory: &[u8], name: &[u8]) -> bool {
    let installers_own: [&[u8]; 4] = [b"RECORD", b"INSTALLER", b"WHEEL", b"REQUESTED"];
    name.ends_with(b".whl")
        || (directory.ends_with(b".dist-info") && installers_own.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Vec<String> {
        patterns.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn globs_choose_files() {
        let tree = "lib/python3.11/site-packages/torch/lib/libc10.so";
        for (include, exclude, path, ships) in [
            (&[][..], &[][..], tree, true),
            (&["*.so*"], &[], tree, true),
            (&["*.so"], &[], "libc10.so.1", false),
            (&["*.so*"], &[], "torch/__init__.py", false),
            (&["torch/lib/*.so"], &[], tree, true),
            (&["./torch/lib/*.so"], &[], tree, true),
            (&["lib/*.so"], &[], tree, false),
            (&["**/*.so"], &[], tree, true),
            (&["**/lib/*"], &[], tree, true),
            (&["torch/*.so"], &[], tree, false),
            (&["torch/**"], &[], tree, true),
            (&["torch/{lib,bin}/*"], &[], tree, true),
            (&["torch/[a-l]ib/*"], &[], tree, true),
            (&["torch/?ib/*.so"], &[], tree, true),
            (&["torch?lib/*.so"], &[], tree, false),
            (&[], &["*.so"], tree, false),
            (&["torch/**"], &["*.so"], tree, false),
            (&["bin/tool"], &[], "bin/tool", true),
            (&["a/*"], &[], "site-packages/a/site-packages/b", false),
            (&["site-packages"], &[], "x/site-packages", true),
        ] {
            let filter = Filter::new(&globs(include), &globs(exclude)).unwrap();
            assert_eq!(filter.ships(path.as_bytes()), ships, "{include:?} {exclude:?} {path}");
        }
    }

    #[test]
    fn a_bad_glob_is_a_usage_error_that_names_it() {
        for pattern in ["[a", "a/{b", "**a["] {
            let error = Filter::new(&globs(&[pattern]), &[]).unwrap_err();
            assert_eq!(error.fault().exit_code(), 2);
            assert!(error.to_string().contains(pattern), "{error}");
        }
    }

    #[test]
    fn what_only_installers_read_is_skipped() {
        for (directory, name, skipped) in [
            ("a/x-1.dist-info", "RECORD", true),
            ("a/x-1.dist-info", "METADATA", false),
            ("a/x-1.dist-info", "RECORD.jws", false),
            ("a/x-1.dist-info/licenses", "RECORD", false),
            ("a", "RECORD", false),
            ("a", "x.whl", true),
        ] {
            assert_eq!(skips_file(directory.as_bytes(), name.as_bytes()), skipped, "{name}");
        }
    }
}
