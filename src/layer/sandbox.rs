//! Seeing through the links of a sandbox.
//!
//! Bazel shows an action its inputs in three ways: as they are, as a sandbox of links, or as
//! links into a repository. A layer must not depend on which. So a link whose absolute text ends
//! with the source's own path (`bazel-out/…/tree/a.py` leading to
//! `/…/execroot/ws/bazel-out/…/tree/a.py`) is a **hop**: what counts is what stands behind it.
//! Any other link is a real one.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::paths;
use super::spec::SourcePath;
use crate::error::{Error, Result};
use crate::fs::{self, Kind};

/// More links one behind the other than any sandbox makes; as in the kernel
/// (`path_resolution(7)`).
pub(super) const MOST_HOPS: usize = 40;

/// Where a tree's own links hop to; none if it is no sandbox's tree.
pub(super) fn behind(tree: &SourcePath) -> Result<Option<PathBuf>> {
    if tree.typed().is_absolute() {
        return Ok(None);
    }
    let mut directory = tree.full().to_path_buf();
    let mut relative = Vec::new();
    // All of a tree is linked or nothing, so that the first file tells.
    loop {
        let Some((name, kind)) = fs::first_in(&directory)? else {
            return Ok(None);
        };
        if !relative.is_empty() {
            relative.push(b'/');
        }
        relative.extend_from_slice(name.as_bytes());
        directory.push(name);
        match kind {
            Kind::Directory => {}
            Kind::Symlink => {
                let text = fs::read_link(&directory)?;
                if !is_hop(&text, tree.typed(), Some(&relative)) {
                    return Ok(None);
                }
                let mut root = text;
                for _ in relative.split(|&byte| byte == b'/') {
                    root.pop();
                }
                return Ok(Some(root));
            }
            _ => return Ok(None),
        }
    }
}

/// Follows hops from `path`, whose kind is known: what stands behind them, and where.
pub(super) fn hop(
    mut kind: Kind,
    mut path: PathBuf,
    typed: &Path,
    relative: Option<&[u8]>,
) -> Result<(Kind, PathBuf)> {
    for _ in 0..MOST_HOPS {
        if kind != Kind::Symlink {
            return Ok((kind, path));
        }
        let text = fs::read_link(&path)?;
        if !is_hop(&text, typed, relative) {
            return Ok((kind, path));
        }
        kind = fs::kind(&text)
            .map_err(|error| Error::input("the link leads nowhere at").at(&*path).because(error))?;
        path = text;
    }
    Err(Error::input("links lead in a circle at").at(path))
}

/// Whether a link with this text only leads to the same path below another root.
///
/// Path mapping (Bazel 7.0 and later) writes `cfg` for the configuration's name after
/// `bazel-out`; the links still have the name.
fn is_hop(text: &Path, typed: &Path, relative: Option<&[u8]>) -> bool {
    if !text.is_absolute() || typed.is_absolute() {
        return false;
    }
    let own = match relative {
        Some(relative) => typed.join(paths::as_path(relative)),
        None => typed.to_owned(),
    };
    let own: Vec<Component<'_>> =
        own.components().filter(|component| *component != Component::CurDir).collect();
    if !own.iter().all(|component| matches!(component, Component::Normal(_))) {
        return false;
    }
    let text: Vec<Component<'_>> = text.components().collect();
    let Some(start) = text.len().checked_sub(own.len()) else {
        return false;
    };
    let mut below_output = false;
    text[start..].iter().zip(&own).all(|(text, own)| {
        let mapped = below_output && own.as_os_str() == "cfg";
        below_output = own.as_os_str() == "bazel-out";
        text == own || mapped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_leads_to_the_same_path_below_another_root() {
        let own = "bazel-out/k8/bin/pkg/tree";
        for (text, typed, relative, hop) in [
            ("/x/execroot/ws/bazel-out/k8/bin/pkg/tree/a/b.py", own, Some("a/b.py"), true),
            ("/x/execroot/ws/bazel-out/k8/bin/pkg/tree/a/c.py", own, Some("a/b.py"), false),
            ("/x/execroot/ws/bazel-out/arm/bin/pkg/tree/a/b.py", own, Some("a/b.py"), false),
            ("/x/bazel-out/k8/bin/tree/a.py", "bazel-out/cfg/bin/tree", Some("a.py"), true),
            ("/x/bazel-out/k8/lib/tree/a.py", "bazel-out/cfg/bin/tree", Some("a.py"), false),
            ("bazel-out/k8/bin/pkg/tree/a/b.py", own, Some("a/b.py"), false),
            ("/ws/a.py", "a.py", None, true),
            ("/ws/a.py", "./a.py", None, true),
            ("/ws/a.py", "../a.py", None, false),
            ("/ws/a.py", "/sandbox/a.py", None, false),
            ("/a.py", "b/c/a.py", None, false),
        ] {
            let relative = relative.map(str::as_bytes);
            assert_eq!(is_hop(Path::new(text), Path::new(typed), relative), hop, "{text}");
        }
    }
}
