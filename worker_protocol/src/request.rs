//! What a handler is asked: [`Request`].

use std::ffi::OsString;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use crate::messages::WorkRequest;
use crate::params;
use crate::reply::Error;

/// A [`WorkRequest`] and where its paths begin.
#[derive(Debug)]
pub struct Request {
    message: WorkRequest,
    base: PathBuf,
    /// The inputs' places, by path.
    sorted: OnceLock<Vec<usize>>,
}

impl Request {
    /// A request to a worker that was started in `directory`, an absolute path.
    pub fn new(message: WorkRequest, directory: &Path) -> Self {
        let base = match &*message.sandbox_dir {
            "" => directory.to_owned(),
            sandbox => directory.join(sandbox),
        };
        Self { message, base, sorted: OnceLock::new() }
    }

    /// The directory that the request's relative paths start from: its `sandbox_dir`, or else the
    /// worker's working directory, as an absolute path since the start of the worker. Bazel may
    /// remove the working directory and make it anew.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// A path of the request, from wherever in it (an argument, a params file, an input), as
    /// it is to be opened.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base.join(path)
    }

    /// The arguments, with those in params files in the place of `@FILE`, `--flagfile=FILE` and
    /// `-flagfile=FILE`. Bazel has read `@FILE` already; some remote executors have not. `@@` at
    /// the start means no file, and neither does a label (`@repo//package`).
    ///
    /// # Errors
    ///
    /// The reply to a request with a params file that cannot be read; see
    /// [`read_params_file`](crate::read_params_file).
    pub fn expanded_arguments(&self) -> Result<Vec<OsString>, Error> {
        params::expand(&self.message.arguments, &self.base)
    }

    /// What Bazel says of the content of an input: lower-case hex digits of whatever
    /// `--digest_function` is in force; other executors send other bytes. `path` is as it stands
    /// in the request, or as [`path`](Self::path) gives it. `None` where nothing is known.
    ///
    /// This is what Bazel knows of the file that it declared; nothing makes sure that the file
    /// at hand is still that one.
    pub fn digest(&self, path: impl AsRef<Path>) -> Option<&[u8]> {
        let path = path.as_ref();
        let path = path.strip_prefix(&self.base).unwrap_or(path).as_os_str().as_bytes();
        let inputs = &self.message.inputs;
        let key = |place: &usize| inputs[*place].path.as_bytes();
        let sorted = self.sorted.get_or_init(|| {
            let mut sorted: Vec<usize> = (0..inputs.len()).collect();
            // Bazel sends the files of a tree in order: this is quick on what is sorted in parts.
            sorted.sort_by_key(key);
            sorted
        });
        let place = sorted.binary_search_by_key(&path, key).ok()?;
        Some(&*inputs[sorted[place]].digest).filter(|digest| !digest.is_empty())
    }

    /// The message alone.
    pub fn into_message(self) -> WorkRequest {
        self.message
    }
}

impl Deref for Request {
    type Target = WorkRequest;

    fn deref(&self) -> &WorkRequest {
        &self.message
    }
}

/// The path from the root, without `.`, `..` and doubled slashes: one spelling for each path, so
/// that two requests for one file are noticed.
///
/// This is text alone: no symlink is followed, and nothing has to exist. `base` is
/// the directory that a relative path starts from, itself absolute.
pub(crate) fn normal_path(base: &Path, path: &Path) -> PathBuf {
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
    use crate::messages::Input;

    #[test]
    fn paths_and_digests_are_found_from_the_sandbox() {
        let input = |path: &str, digest: &[u8]| Input { path: path.into(), digest: digest.into() };
        let inputs = vec![input("b", b"2"), input("a/x", b"1"), input("c", b""), input("/d", b"4")];
        let mut message = WorkRequest { inputs, ..WorkRequest::default() };
        for (sandbox, base) in [("", "/w"), ("__sandbox/1/_main", "/w/__sandbox/1/_main")] {
            message.sandbox_dir = sandbox.to_owned();
            let request = Request::new(message.clone(), Path::new("/w"));
            assert_eq!(request.base(), Path::new(base));
            assert_eq!(request.path("/d"), Path::new("/d"));
            for (path, digest) in [
                ("a/x", Some(&b"1"[..])),
                ("b", Some(b"2")),
                ("c", None),
                ("e", None),
                ("/d", Some(b"4")),
            ] {
                assert_eq!(request.digest(path), digest, "{path}");
                assert_eq!(request.digest(request.path(path)), digest, "{path}");
            }
        }
    }

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
