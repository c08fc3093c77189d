//! Text that Bazel encoded twice.
//!
//! Before 8.0.0 Bazel keeps text as Latin-1 characters and writes these as UTF-8, so that `é` (c3 a9)
//! arrives as c3 83 c2 a9 (bazelbuild/bazel#24010). Text that means such characters is as good as
//! never found to be UTF-8 once more, so no flag is needed to tell the two apart.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::fs;

/// The text as it was meant.
pub(super) fn text(text: String) -> String {
    once(&text).unwrap_or(text)
}

/// Where a path is: as it stands, or encoded once where only that is there.
pub(super) fn path(base: &Path, path: &OsStr) -> PathBuf {
    let as_it_stands = base.join(path);
    let once = path.to_str().and_then(once).map(|once| base.join(once));
    // Of an output the folder is there.
    let is_there = |path: &Path| {
        fs::exists(path) || path.file_name().is_some_and(|_| fs::exists(fs::folder(path)))
    };
    match once {
        Some(once) if !is_there(&as_it_stands) && is_there(&once) => once,
        _ => as_it_stands,
    }
}

/// The text whose UTF-8 bytes, as Latin-1 characters, are `twice`; none if there is no such.
fn once(twice: &str) -> Option<String> {
    if twice.is_ascii() {
        return None;
    }
    let bytes = twice.chars().map(|character| u8::try_from(u32::from(character)).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_utf_8_twice_is_changed() {
        for (given, meant) in
            [("GrÃ¶Ã\u{9f}e", "Größe"), ("Größe", "Größe"), ("plain", "plain"), ("日本", "日本")]
        {
            assert_eq!(text(given.to_owned()), meant);
        }
    }

    #[test]
    fn the_disk_decides_for_a_path() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        std::fs::create_dir(base.join("é")).unwrap();
        std::fs::write(base.join("é/a"), "").unwrap();
        std::fs::write(base.join("Ã¶"), "").unwrap();
        for (given, meant) in
            [("Ã©/a", "é/a"), ("Ã©/new", "é/new"), ("Ã¶", "Ã¶"), ("é/a", "é/a"), ("no/Ã©", "no/Ã©")]
        {
            assert_eq!(path(base, OsStr::new(given)), base.join(meant), "{given}");
        }
    }
}
