//! Params files: arguments in a file, one a line.

use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

use crate::codec::MAX_ITEMS;
use crate::reply::Error;

/// The longest params file that is read, in bytes: 64 MiB, some half a million arguments.
pub const MAX_PARAMS: u64 = 64 << 20;

/// How often params files are read for one request: two that name each other may do so thousands
/// of times.
const FILES: usize = 1000;

/// How deep params files may name others.
const NESTED: usize = 16;

/// The arguments in a params file: one a line, raw, as Bazel's format `multiline` has them. An
/// empty line is an empty argument.
///
/// # Errors
///
/// The file is missing, is no regular file (a pipe or a device could keep the worker busy for
/// ever), or is longer than [`MAX_PARAMS`] or has more lines than [`MAX_ITEMS`].
pub fn read_params_file(path: &Path) -> io::Result<Vec<OsString>> {
    let regular = |metadata: std::fs::Metadata| {
        let why = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        metadata.is_file().then_some(()).ok_or_else(why)
    };
    // Before it is opened, since that alone moves some devices; and after it, since it may have
    // been exchanged in between.
    regular(path.metadata()?)?;
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    regular(file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(MAX_PARAMS + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_PARAMS {
        let kind = io::ErrorKind::FileTooLarge;
        return Err(io::Error::new(kind, format!("a params file of more than {MAX_PARAMS} bytes")));
    }
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let lines = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let lines = lines.split(|&byte| byte == b'\n');
    let count = lines.clone().count();
    if count > MAX_ITEMS {
        let error = format!("a params file of {count} lines, more than {MAX_ITEMS}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    Ok(lines.map(|line| OsString::from_vec(line.to_vec())).collect())
}

/// Puts the arguments in params files in the place of `@FILE`, `--flagfile=FILE` and
/// `-flagfile=FILE`, in those files, too. As for Bazel, `@@` at the start means no file, and neither does
/// a label (`@repo//package`).
pub(crate) fn expand<T: AsRef<OsStr>>(
    arguments: &[T],
    base: &Path,
) -> Result<Vec<OsString>, Error> {
    let mut expansion = Expansion { arguments: Vec::new(), files: 0 };
    expansion.add(arguments, base, NESTED)?;
    Ok(expansion.arguments)
}

/// What has come of arguments so far.
struct Expansion {
    arguments: Vec<OsString>,
    /// How many files were read.
    files: usize,
}

impl Expansion {
    fn add<T: AsRef<OsStr>>(
        &mut self,
        arguments: &[T],
        base: &Path,
        nested: usize,
    ) -> Result<(), Error> {
        for argument in arguments.iter().map(AsRef::as_ref) {
            let Some(file) = file(argument) else {
                self.arguments.push(argument.to_owned());
                if self.arguments.len() > MAX_ITEMS {
                    return Err(Error::failed(1, format!("more than {MAX_ITEMS} arguments")));
                }
                continue;
            };
            let failed = |why: &dyn ToString| {
                Error::failed(1, format!("{}: {}", file.display(), why.to_string()))
            };
            if nested == 0 {
                return Err(failed(&"params files name each other without end"));
            }
            self.files += 1;
            if self.files > FILES {
                return Err(failed(&format!("params files are read more than {FILES} times")));
            }
            let arguments = read_params_file(&base.join(file)).map_err(|error| failed(&error))?;
            self.add(&arguments, base, nested - 1)?;
        }
        Ok(())
    }
}

fn file(argument: &OsStr) -> Option<&Path> {
    let bytes = argument.as_bytes();
    let file = match bytes.strip_prefix(b"@") {
        Some(file) if file.starts_with(b"@") || file.windows(2).any(|pair| pair == b"//") => None,
        Some(file) => Some(file),
        None => bytes.strip_prefix(b"--flagfile=").or_else(|| bytes.strip_prefix(b"-flagfile=")),
    };
    file.map(|file| Path::new(OsStr::from_bytes(file)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn arguments_come_from_files_that_are_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text);
        write("flags", b"a\n\n@more\n@@x\n@r//p\n--flagfile=more").unwrap();
        write("more", b"\xff\n").unwrap();
        write("empty", b"").unwrap();
        write("loop", b"@loop\n").unwrap();
        write("many", &b"@empty\n".repeat(FILES)).unwrap();
        write("most", &b"\n".repeat(MAX_ITEMS / 2)).unwrap();
        write("twice", b"@most\n@most\n\n").unwrap();
        let socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket"));
        let expand = |argument: &str| expand(&[argument], folder.path());
        let raw = OsString::from_vec(vec![0xff]);
        let texts = ["a", "", "@@x", "@r//p"].map(OsString::from);
        let [a, empty, at, label] = texts;
        assert_eq!(expand("@flags").unwrap(), [a, empty, raw.clone(), at, label, raw]);
        assert_eq!(expand("@empty").unwrap(), [""; 0]);
        for (argument, said) in [
            ("@missing", "missing: No such file"),
            ("@loop", "without end"),
            ("@many", "more than 1000 times"),
            ("@twice", "more than 2097152 arguments"),
            ("@.", "not a regular file"),
            ("@/dev/zero", "not a regular file"),
            ("@socket", "not a regular file"),
        ] {
            let error = expand(argument).unwrap_err().to_string();
            assert!(error.contains(said), "{argument}: {error}");
        }
        drop(socket);
    }

    #[test]
    fn a_params_file_has_a_limit_of_lines() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&b"\n".repeat(MAX_ITEMS)).unwrap();
        assert_eq!(read_params_file(file.path()).unwrap().len(), MAX_ITEMS);
        file.write_all(b"\n").unwrap();
        let error = read_params_file(file.path()).unwrap_err();
        assert_eq!(error.to_string(), "a params file of 2097153 lines, more than 2097152");
    }

    #[test]
    fn a_params_file_has_a_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(MAX_PARAMS + 1).unwrap();
        assert!(read_params_file(file.path()).unwrap_err().to_string().contains("more than"));
    }
}
