//! Paths that Bazel encoded twice.
//!
//! Before 8.0.0 Bazel keeps a path's bytes as Latin-1 characters and writes them to params files
//! and requests as UTF-8, so that `é` (c3 a9) arrives as c3 83 c2 a9 (bazelbuild/bazel#24010).
//! What stands on the disk tells which it is.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use super::LayerRequest;
use crate::fs;

/// Undoes the second encoding in all paths of a request if one of its sources exists only that
/// way.
pub(super) fn repair(mut request: LayerRequest, base: &Path) -> LayerRequest {
    let twice = request.sources().find_map(|source| {
        let once = undo(source)?;
        let path = |path: &OsStr| fs::exists(&base.join(path));
        match (path(source), path(&once)) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        }
    });
    if twice == Some(true) {
        for path in request.paths_mut() {
            if let Some(once) = undo(path) {
                *path = once;
            }
        }
    }
    request
}

/// The bytes whose Latin-1 characters are `text`; none if they are the same, or not Latin-1.
fn undo(text: &OsStr) -> Option<OsString> {
    let text = text.to_str().filter(|text| !text.is_ascii())?;
    let bytes = text.chars().map(|character| u8::try_from(u32::from(character)).ok());
    bytes.collect::<Option<Vec<u8>>>().map(OsString::from_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_encoding_is_undone() {
        for (twice, once) in [
            ("nn/Ã©.txt", Some("nn/é.txt")),
            ("ascii", None),
            ("日本", None),
            ("ä¸\u{96}", Some("世")),
        ] {
            assert_eq!(undo(OsStr::new(twice)), once.map(OsString::from), "{twice}");
        }
    }

    #[test]
    fn the_disk_decides_for_the_whole_request() {
        let directory = tempfile::tempdir().unwrap();
        for (file, typed, destination, expected) in [
            ("é", "Ã©", "app/Ã©", "app/é"),
            ("Ã©", "Ã©", "app/Ã©", "app/Ã©"),
            ("é", "é", "app/Ã©", "app/Ã©"),
            ("plain", "plain", "app/Ã©", "app/Ã©"),
        ] {
            let base = tempfile::tempdir_in(directory.path()).unwrap();
            std::fs::write(base.path().join(file), "").unwrap();
            let arguments = ["--output=o", "--file", typed, "--to", destination];
            let request = LayerRequest::parse(arguments.map(OsString::from)).unwrap();
            let repaired = repair(request, base.path());
            let to = repaired.packages[0].items[0].to.as_deref();
            assert_eq!(to, Some(OsStr::new(expected)), "{file} {typed}");
        }
    }
}
