//! Which files of a tree a package ships.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::paths;
use crate::error::{Error, Result};

/// The longest glob, in bytes: no path is longer (`PATH_MAX` of Linux).
const MOST_BYTES: usize = 4096;

/// The most braces in braces, and alternatives, of one glob.
const MOST_NESTED: usize = 8;
const MOST_ALTERNATIVES: usize = 256;

/// The most globs of a package.
const MOST_GLOBS: usize = 1000;

/// The `--include` and `--exclude` globs of a package, and whether its byte code ships.
///
/// A pattern without a slash matches a name at any depth. One with a slash matches the path from
/// the package's root: the `site-packages` of an install tree, else the tree itself. What matches a
/// directory matches all below it. Single files are chosen in the same way where they go into a
/// `site-packages`: that is how packages come that are no trees.
#[derive(Debug, Default)]
pub struct Filter {
    include: Globs,
    exclude: Globs,
    keeps_bytecode: bool,
}

/// Patterns of one kind; empty if there are none.
#[derive(Debug, Default)]
struct Globs {
    names: GlobSet,
    paths: GlobSet,
    /// As typed, in the order of each set: names, then paths.
    patterns: Vec<Pattern>,
    /// How many of them are of names.
    of_names: usize,
}

#[derive(Debug)]
struct Pattern {
    typed: String,
    /// Whether it matches directories only.
    is_directory: bool,
    matched: AtomicBool,
}

impl Globs {
    fn new(typed: &[String]) -> Result<Self> {
        if typed.len() > MOST_GLOBS {
            let what = format!("{} globs are more than {MOST_GLOBS}", typed.len());
            return Err(Error::usage(what).hint("write fewer with `{a,b}`"));
        }
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let (mut patterns, mut anchored) = (Vec::new(), Vec::new());
        for pattern in typed {
            bounded(pattern)?;
            let text = pattern.trim_start_matches("./");
            let text = text.trim_start_matches('/');
            let (text, is_directory) = match text.strip_suffix('/') {
                Some(text) => (text, true),
                None => (text, false),
            };
            let glob = GlobBuilder::new(text)
                .literal_separator(true)
                .backslash_escape(true)
                .build()
                .map_err(|source| {
                    Error::usage(format!("`{pattern}` is not a glob"))
                        .because(source.kind().to_string())
                        .hint("a backslash before a special character makes it an ordinary one")
                })?;
            let is_path = text.contains('/') || pattern.starts_with(['/', '.']) && text != pattern;
            let (set, list) =
                if is_path { (&mut paths, &mut anchored) } else { (&mut names, &mut patterns) };
            set.add(glob);
            let matched = AtomicBool::new(false);
            list.push(Pattern { typed: pattern.clone(), is_directory, matched });
        }
        let build = |builder: GlobSetBuilder| {
            builder.build().map_err(|source| Error::usage("too many globs").because(source))
        };
        let of_names = patterns.len();
        patterns.append(&mut anchored);
        Ok(Self { names: build(names)?, paths: build(paths)?, patterns, of_names })
    }

    fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a pattern matches the file at `path`, or a directory that it is in.
    fn matches(&self, path: &Path) -> bool {
        let mut any = false;
        let mut is_directory = false;
        for path in path.ancestors().take_while(|path| !path.as_os_str().is_empty()) {
            let names = path.file_name().map(|name| self.names.matches(name)).unwrap_or_default();
            let paths = self.paths.matches(path);
            let matched = names.into_iter().chain(paths.into_iter().map(|at| self.of_names + at));
            for pattern in matched.filter_map(|at| self.patterns.get(at)) {
                if is_directory || !pattern.is_directory {
                    pattern.matched.store(true, Ordering::Relaxed);
                    any = true;
                }
            }
            is_directory = true;
        }
        any
    }

    fn unmatched(&self) -> impl Iterator<Item = &str> {
        let unmatched = |pattern: &&Pattern| !pattern.matched.load(Ordering::Relaxed);
        self.patterns.iter().filter(unmatched).map(|pattern| &*pattern.typed)
    }
}

/// Refuses a glob that would take much time or memory to compile, or overflow the stack.
fn bounded(pattern: &str) -> Result<()> {
    let refuse = |what: String| {
        let start: String = pattern.chars().take(40).collect();
        Err(Error::usage(format!("the glob `{start}…` {what}")))
    };
    if pattern.len() > MOST_BYTES {
        return refuse(format!("has more than {MOST_BYTES} bytes"));
    }
    let (mut depth, mut alternatives) = (0_usize, 0);
    for byte in pattern.bytes() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b',' => alternatives += 1,
            _ => {}
        }
        if depth > MOST_NESTED {
            return refuse(format!("has braces more than {MOST_NESTED} deep"));
        }
    }
    if alternatives > MOST_ALTERNATIVES {
        return refuse(format!("has more than {MOST_ALTERNATIVES} alternatives"));
    }
    Ok(())
}

impl Filter {
    /// A filter of these globs; none of a kind means no restriction of that kind.
    pub fn new(include: &[String], exclude: &[String], keeps_bytecode: bool) -> Result<Self> {
        Ok(Self { include: Globs::new(include)?, exclude: Globs::new(exclude)?, keeps_bytecode })
    }

    /// Whether the file at this path inside a tree is shipped.
    pub(crate) fn ships(&self, relative: &[u8]) -> bool {
        if self.include.is_empty() && self.exclude.is_empty() {
            return true;
        }
        let path = paths::as_path(from_package_root(relative));
        // Both are asked, for both say at the end what never matched.
        let (included, excluded) = (self.include.matches(path), self.exclude.matches(path));
        (self.include.is_empty() || included) && !excluded
    }

    /// Whether a directory of a tree is left out: the interpreter makes it anew, differently.
    pub(super) fn skips_directory(&self, name: &[u8]) -> bool {
        name == b"__pycache__" && !self.keeps_bytecode
    }

    /// The patterns that have matched nothing so far, as flags.
    pub(super) fn unmatched(&self) -> impl Iterator<Item = String> {
        let include = self.include.unmatched().map(|typed| format!("--include={typed}"));
        include.chain(self.exclude.unmatched().map(|typed| format!("--exclude={typed}")))
    }
}

/// The path from the install tree's `site-packages`; the whole path where there is none.
pub(crate) fn from_package_root(relative: &[u8]) -> &[u8] {
    below_site_packages(relative).unwrap_or(relative)
}

/// The path from the first `site-packages` on the way.
pub(crate) fn below_site_packages(path: &[u8]) -> Option<&[u8]> {
    const ROOT: &[u8] = b"site-packages";
    let mut start = 0;
    for component in path.split(|&byte| byte == b'/') {
        let end = start + component.len();
        if component == ROOT && end < path.len() {
            return Some(&path[end + 1..]);
        }
        start = end + 1;
    }
    None
}

/// Whether a file of a tree is left out: what speaks of the machine that installed a package.
pub(super) fn speaks_of_the_machine(directory: &[u8], name: &[u8]) -> bool {
    let installers_own: [&[u8]; 2] = [b"direct_url.json", b"uv_cache.json"];
    directory.ends_with(b".dist-info") && installers_own.contains(&name)
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
            (&["a/*"], &[], "site-packages/a/site-packages/b", true),
            (&["site-packages"], &[], "x/site-packages", true),
            (&[], &["tests"], "a/tests/b/c.py", false),
            (&[], &["tests/"], "a/tests/b/c.py", false),
            (&[], &["tests/"], "a/tests", true),
            (&[], &["**/tests"], "a/tests/b/c.py", false),
            (&[], &["a/tests"], "a/tests/b/c.py", false),
            (&[], &["b/tests"], "a/b/tests/c.py", true),
            (&["tests"], &[], "a/tests/b/c.py", true),
            (&["/a"], &[], "b/a", false),
        ] {
            let filter = Filter::new(&globs(include), &globs(exclude), false).unwrap();
            assert_eq!(filter.ships(path.as_bytes()), ships, "{include:?} {exclude:?} {path}");
        }
    }

    #[test]
    fn what_never_matched_is_told() {
        let filter = Filter::new(&globs(&["a", "b/c"]), &globs(&["*.x"]), false).unwrap();
        assert!(filter.ships(b"q/a"));
        let unmatched: Vec<_> = filter.unmatched().collect();
        assert_eq!(unmatched, ["--include=b/c", "--exclude=*.x"]);
    }

    #[test]
    fn a_bad_glob_is_a_usage_error_that_names_it() {
        let nested = "{".repeat(20_000) + &"}".repeat(20_000);
        let many = format!("{{{}}}", "a,".repeat(1000));
        let deep = "{a,".repeat(100) + &"}".repeat(100);
        for pattern in ["[a", "a/{b", "**a[", &nested, &many, &deep] {
            let error = Filter::new(&globs(&[pattern]), &[], false).unwrap_err();
            assert_eq!(error.fault().exit_code(), 2);
            let start: String = pattern.chars().take(40).collect();
            assert!(error.to_string().contains(&start), "{error}");
        }
    }

    #[test]
    fn what_speaks_of_the_machine_is_skipped() {
        for (directory, name, skipped) in [
            ("a/x-1.dist-info", "direct_url.json", true),
            ("a/x-1.dist-info", "uv_cache.json", true),
            ("a/x-1.dist-info", "RECORD", false),
            ("a/x-1.dist-info/licenses", "direct_url.json", false),
            ("a", "direct_url.json", false),
        ] {
            let skips = speaks_of_the_machine(directory.as_bytes(), name.as_bytes());
            assert_eq!(skips, skipped, "{name}");
        }
    }
}
