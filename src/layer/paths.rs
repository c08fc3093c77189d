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
        return refuse("`..` is refused");
    }
    if component.contains(&0) {
        return refuse("a NUL byte is refused");
    }
    if component.starts_with(b".wh.") {
        return refuse(
            "a name that begins with `.wh.` (a whiteout, which deletes files) is refused",
        );
    }
    Ok(())
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

/// The mode of a directory that base images own, whatever a layer's owner; none for all others.
///
/// A layer that names such a directory resets its mode and owner, so it has to name Debian's own
/// (the list: contract, section 2, "The bytes", 1).
pub(super) fn base_directory(path: &[u8]) -> Option<u32> {
    const TOP: [&[u8]; 23] = [
        b"bin",
        b"boot",
        b"dev",
        b"etc",
        b"home",
        b"lib",
        b"lib32",
        b"lib64",
        b"libx32",
        b"media",
        b"mnt",
        b"opt",
        b"proc",
        b"root",
        b"run",
        b"sbin",
        b"selinux",
        b"srv",
        b"sys",
        b"tmp",
        b"usr",
        b"var",
        b"lost+found",
    ];
    let components: Vec<&[u8]> = split(path).collect();
    match components[..] {
        [b"tmp"] | [b"var", b"tmp"] => Some(0o1777),
        [b"root"] => Some(0o700),
        [b"var" | b"usr", _] | [b"usr", _, _] => Some(0o755),
        [top] if TOP.contains(&top) => Some(0o755),
        _ => None,
    }
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
    fn base_directories_keep_their_modes() {
        for (path, mode) in [
            ("tmp", Some(0o1777)),
            ("var/tmp", Some(0o1777)),
            ("root", Some(0o700)),
            ("usr/local", Some(0o755)),
            ("usr/local/lib", Some(0o755)),
            ("usr/local/lib/python3.11", None),
            ("var/lib", Some(0o755)),
            ("var/lib/app", None),
            ("opt", Some(0o755)),
            ("opt/app", None),
            ("tmp/x", None),
            ("app", None),
        ] {
            assert_eq!(base_directory(path.as_bytes()), mode, "{path}");
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
