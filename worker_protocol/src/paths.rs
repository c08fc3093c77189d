//! One spelling for each path, so that two requests for one file are noticed.

use std::path::{Component, Path, PathBuf};

/// The path from the root, without `.`, `..` and doubled slashes.
///
/// This is text alone: no symlink is followed, and nothing has to exist. `base` is
/// the directory that a relative path starts from, itself absolute.
pub fn normal_path(base: &Path, path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            // At the root this does nothing, as in the file system.
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path_are_one_path() {
        let cases = [
            ("out/a", "/w/out/a"),
            ("./out//a", "/w/out/a"),
            ("out/b/../a", "/w/out/a"),
            ("/w/out/a", "/w/out/a"),
            ("/w/./out/a/", "/w/out/a"),
            ("../x", "/x"),
            ("../../../x", "/x"),
            ("__sandbox/1/w/out/a", "/w/__sandbox/1/w/out/a"),
        ];
        for (path, normal) in cases {
            assert_eq!(normal_path(Path::new("/w"), Path::new(path)), Path::new(normal), "{path}");
        }
    }
}
