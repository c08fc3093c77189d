//! What the tests share: a folder to work in, runs of the binary, and an archive reader.

pub(crate) mod pages;
pub(crate) mod registry;
pub(crate) mod worker;
pub(crate) mod zip;

use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The binary under test.
pub(crate) const PYLAYER: &str = env!("CARGO_BIN_EXE_pylayer");

/// A folder that is the working directory of the runs in it.
pub(crate) struct Folder(TempDir);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// One entry of an archive, as a reader sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) path: String,
    /// `d`, `f`, or `l` with the link's text.
    pub(crate) kind: String,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) mtime: u64,
    pub(crate) content: Vec<u8>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes files, given as path and content.
    pub(crate) fn with(self, files: &[(&str, &str)]) -> Self {
        for (path, content) in files {
            self.file(path, content.as_bytes());
        }
        self
    }

    pub(crate) fn file(&self, path: &str, content: &[u8]) -> PathBuf {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn link(&self, path: &str, text: impl AsRef<Path>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(text, path).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.path().join(path)).unwrap()
    }

    /// All names in the folder itself.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PYLAYER);
        command.current_dir(self.path()).args(arguments);
        command
    }

    /// Runs `pylayer` with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// Builds `out` with these arguments after `pylayer layer`, which must go well.
    pub(crate) fn layer(&self, arguments: &[&str]) -> Vec<u8> {
        let run = self.run(&[&["layer", "--output=out"], arguments].concat());
        assert_eq!((run.code, &*run.stdout), (0, ""), "{arguments:?}: {}", run.stderr);
        let warns = run.stderr.lines().all(|line| line.starts_with("pylayer: warning: "));
        assert!(warns, "{arguments:?}: {}", run.stderr);
        self.read("out")
    }

    /// The same, uncompressed and read.
    pub(crate) fn entries(&self, arguments: &[&str]) -> Vec<Entry> {
        entries(&self.layer(&[&["--compression=none"], arguments].concat()))
    }
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Reads an archive with an independent reader.
pub(crate) fn entries(archive: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        let kind = match header.entry_type() {
            tar::EntryType::Directory => "d".to_owned(),
            tar::EntryType::Regular => "f".to_owned(),
            tar::EntryType::Symlink => {
                format!("l {}", entry.link_name().unwrap().unwrap().display())
            }
            other => panic!("{other:?} has no place in a layer"),
        };
        Entry {
            path: String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
            kind,
            mode: header.mode().unwrap(),
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            mtime: header.mtime().unwrap(),
            content,
        }
    });
    entries.collect()
}

/// The paths and kinds of entries that are no directories.
pub(crate) fn listing(entries: &[Entry]) -> Vec<(&str, &str)> {
    let leaves = entries.iter().filter(|entry| entry.kind != "d");
    leaves.map(|entry| (&*entry.path, &*entry.kind)).collect()
}

/// A blob's archive, by decoders that are not the ones that wrote it.
pub(crate) fn decompress(blob: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    match blob {
        [0x1f, 0x8b, ..] => {
            flate2::read::MultiGzDecoder::new(blob).read_to_end(&mut archive).unwrap();
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            zstd::Decoder::new(blob).unwrap().read_to_end(&mut archive).unwrap();
        }
        _ => archive.extend_from_slice(blob),
    }
    archive
}

/// The digest of bytes, by coreutils.
pub(crate) fn sha256sum(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let run = Run::of(Command::new("sha256sum").arg(file.path()));
    format!("sha256:{}", &run.stdout[..64])
}

/// Everything below a folder: kind and mode, link text, or content by path.
pub(crate) fn tree(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            let what = if metadata.is_symlink() {
                format!("link to {}", fs::read_link(&path).unwrap().display())
            } else if metadata.is_dir() {
                pending.push(path.clone());
                format!("directory {mode:o}")
            } else {
                format!("file {mode:o} {}", sha256sum(&fs::read(&path).unwrap()))
            };
            let relative = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
            found.push((String::from_utf8_lossy(relative).into_owned(), what));
        }
    }
    found.sort();
    found
}
