//! Paths in the image, as bytes: no file system is asked.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes as a path, for messages and for opening.
pub(super) fn as_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// Refuses a component that may not stand in a destination.
pub(super) fn check_component(component: &[u8], path: &[u8]) -> Result<()> {
    let refuse =
        |why: &str| Err(Error::input(format!("{why} in the destination")).at(as_path(path)));
    if component == b".." {
        return refuse("`..` is refused").map_err(|error: Error| {
            error.hint("write the path as the image has it, from the image's root")
        });
    }
    if component.contains(&0) {
        return refuse("a NUL byte is refused");
    }
    if component.len() > MOST_NAME {
        return refuse(&format!(
            "a name of {} bytes, more than {MOST_NAME}, is refused",
            component.len()
        ));
    }
    if component.starts_with(b".wh.") {
        return refuse(
            "a name that begins with `.wh.` (a whiteout, which deletes files) is refused",
        );
    }
    Ok(())
}

/// The longest path that a file system takes, in bytes (`PATH_MAX` of Linux, without its NUL).
const MOST_BYTES: usize = 4095;

/// The longest name that a file system takes, in bytes (`NAME_MAX` of Linux).
const MOST_NAME: usize = 255;

/// Refuses a destination that nobody could unpack.
pub(super) fn check_length(path: &[u8]) -> Result<()> {
    if path.len() <= MOST_BYTES {
        return Ok(());
    }
    let start = &path[..64];
    Err(Error::input(format!("the destination has {} bytes, more than {MOST_BYTES}:", path.len()))
        .at(as_path(start)))
}

/// The directory that holds `path`; the image's root is empty and has none.
pub(super) fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    let slash = path.iter().rposition(|&byte| byte == b'/');
    Some(&path[..slash.unwrap_or(0)])
}

/// The last component of `path`.
pub(super) fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

/// Where a link with this relative text leads from `directory`; none above the image's root.
pub(super) fn resolve(directory: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let mut components: Vec<&[u8]> = split(directory).collect();
    for component in text.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                components.pop()?;
            }
            _ => components.push(component),
        }
    }
    Some(components.join(&b'/'))
}

/// The text of a relative link in `directory` that leads to `target`.
pub(super) fn relative(directory: &[u8], target: &[u8]) -> Vec<u8> {
    let (from, to): (Vec<_>, Vec<_>) = (split(directory).collect(), split(target).collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(&b".."[..], from.len() - common);
    let text: Vec<&[u8]> = up.chain(to[common..].iter().copied()).collect();
    if text.is_empty() { b".".to_vec() } else { text.join(&b'/') }
}

fn split(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|component| !component.is_empty())
}

/// How a directory that a layer needs stands in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DirectoryPolicy {
    /// With the layer's owner.
    Own,
    /// It belongs to the base image: with root as its owner and this mode.
    Base(u32),
    /// Not at all: in images with a merged `/usr` it is a link, which an entry would replace.
    Link,
}

/// How the directory at `path` stands in a layer. One that base images own has their customary
/// owner and mode, for an entry sets both anew.
pub(super) fn directory_policy(path: &[u8]) -> DirectoryPolicy {
    use DirectoryPolicy::{Base, Link, Own};
    let mut components = split(path);
    let first = components.next().unwrap_or_default();
    match (first, components.next(), components.next()) {
        (b"bin" | b"sbin" | b"lib" | b"lib32" | b"lib64" | b"libx32", None, _)
        | (b"var", Some(b"run" | b"lock"), None) => Link,
        (b"tmp", None, _) | (b"var", Some(b"tmp"), None) => Base(0o1777),
        (b"root", None, _) => Base(0o700),
        (
            b"home" | b"lost+found" | b"media" | b"mnt" | b"opt" | b"run" | b"selinux" | b"srv",
            None,
            _,
        )
        | (b"boot" | b"dev" | b"etc" | b"proc" | b"sys" | b"usr" | b"var", ..) => Base(0o755),
        (first, ..) if is_library(first) => Base(0o755),
        _ => Own,
    }
}

/// Whether a directory at the root is one of `lib`, `lib32`, and so on.
fn is_library(name: &[u8]) -> bool {
    matches!(name, b"lib" | b"lib32" | b"lib64" | b"libx32" | b"libo32" | b"libexec")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parents() {
        for (path, expected) in
            [("", None), ("a", Some("")), ("a/b", Some("a")), ("a/b/c", Some("a/b"))]
        {
            assert_eq!(parent(path.as_bytes()), expected.map(str::as_bytes));
        }
    }

    #[test]
    fn links_are_resolved_within_the_image() {
        for (directory, text, expected) in [
            ("a/b", "c", Some("a/b/c")),
            ("a/b", "./c/", Some("a/b/c")),
            ("a/b", "../c", Some("a/c")),
            ("a/b", "../../c", Some("c")),
            ("a/b", "../..", Some("")),
            ("a/b", "../../../c", None),
            ("", "c/../d", Some("d")),
        ] {
            let resolved = resolve(directory.as_bytes(), text.as_bytes());
            assert_eq!(resolved.as_deref(), expected.map(str::as_bytes), "{directory} {text}");
        }
    }

    #[test]
    fn base_directories_keep_their_owners_and_links() {
        use DirectoryPolicy::{Base, Link, Own};
        for (path, policy) in [
            ("tmp", Base(0o1777)),
            ("var/tmp", Base(0o1777)),
            ("root", Base(0o700)),
            ("usr/local", Base(0o755)),
            ("usr/local/lib/python3.11/site-packages", Base(0o755)),
            ("var/lib/app", Base(0o755)),
            ("etc/ssl/certs", Base(0o755)),
            ("lib/python3", Base(0o755)),
            ("opt", Base(0o755)),
            ("bin", Link),
            ("lib64", Link),
            ("var/run", Link),
            ("var/run/x", Base(0o755)),
            ("opt/app", Own),
            ("library", Own),
            ("home/user", Own),
            ("root/.config", Own),
            ("tmp/x", Own),
            ("app", Own),
        ] {
            assert_eq!(directory_policy(path.as_bytes()), policy, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_relative_link_leads_to_its_target(directory in "([abc]/){0,4}", target in "[abc](/[abc]){0,4}") {
            let directory = directory.trim_end_matches('/').as_bytes();
            let text = relative(directory, target.as_bytes());
            let resolved = resolve(directory, &text);
            prop_assert_eq!(resolved.as_deref(), Some(target.as_bytes()));
        }
    }
}
