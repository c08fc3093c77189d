//! Where a session is replayed: an output base of its own, with the files that the session names.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use xshell::Shell;

use super::{BASE, FLAGS, Place, Request, Session, noise, text};
use crate::shell::{Context as _, Result};

/// The folder of one replay; removed at its end.
#[derive(Debug)]
pub(super) struct Stage {
    base: TempDir,
    /// The worker's working directory.
    pub(super) directory: PathBuf,
    /// Files and links that the session has placed.
    placed: BTreeSet<PathBuf>,
    /// How often something has been replaced.
    replaced: usize,
}

/// How a one-shot run ended, and the files that it made.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "shown where it differs from a worker's")]
pub(super) struct OneShot {
    pub(super) exit_code: Option<i32>,
    pub(super) said: String,
    /// By the digests of their contents, in the order of the request's flags.
    pub(super) made: Vec<Option<String>>,
}

/// One-shot runs that replays of generated sessions share: those with the same arguments, save
/// the outputs' names, on the same files.
#[derive(Debug, Default)]
pub struct Known(Mutex<BTreeMap<Vec<Vec<u8>>, OneShot>>);

impl Stage {
    pub(super) fn new(session: &Session) -> Result<Self> {
        let base = TempDir::with_prefix("session-").context("cannot make a folder")?;
        let directory = base.path().join(&session.directory);
        fs::create_dir_all(&directory).context(directory.display())?;
        Ok(Self { base, directory, placed: BTreeSet::new(), replaced: 0 })
    }

    /// Where the worker's log goes: out of its sight.
    pub(super) fn log(&self) -> PathBuf {
        self.base.path().join("worker.log")
    }

    /// A path of the session.
    pub(super) fn path(&self, path: &[u8]) -> PathBuf {
        match path.strip_prefix(BASE) {
            Some(rest) => {
                let rest = rest.strip_prefix(b"/").unwrap_or(rest);
                self.base.path().join(OsStr::from_bytes(rest))
            }
            None => self.directory.join(OsStr::from_bytes(path)),
        }
    }

    /// Puts a file in place, instead of what was there.
    pub(super) fn place(&mut self, path: &[u8], what: &Place) -> Result<()> {
        let path = self.path(path);
        prepare(&path)?;
        match what {
            Place::File(content) => fs::write(&path, content).context(path.display())?,
            Place::Noise { size, seed } => {
                fs::write(&path, noise(*size, *seed)).context(path.display())?;
            }
            Place::Hole(size) => {
                let file = File::create(&path).and_then(|file| file.set_len(*size));
                file.context(path.display())?;
            }
            Place::Link(text) => {
                let text = match text.strip_prefix(BASE) {
                    Some(_) => self.path(text),
                    None => PathBuf::from(OsStr::from_bytes(text)),
                };
                symlink(text, &path).context(path.display())?;
            }
        }
        self.replaced += usize::from(!self.placed.insert(path));
        Ok(())
    }

    /// Whether the session has placed something there.
    pub(super) fn has(&self, path: &[u8]) -> bool {
        self.placed.contains(&self.path(path))
    }

    /// The request's arguments, also where they are in a file.
    fn arguments(&self, request: &Request) -> Vec<Vec<u8>> {
        let [argument] = &request.arguments[..] else { return request.arguments.clone() };
        let Some(file) = argument.strip_prefix(b"@") else { return request.arguments.clone() };
        let directory = self.directory.join(OsStr::from_bytes(&request.sandbox_dir));
        let Ok(lines) = fs::read(directory.join(OsStr::from_bytes(file))) else {
            return request.arguments.clone();
        };
        let lines = lines.strip_suffix(b"\n").unwrap_or(&lines);
        lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }

    /// The request's outputs.
    pub(super) fn outputs(&self, request: &Request) -> Vec<Vec<u8>> {
        Session::outputs(&Request { arguments: self.arguments(request), ..request.clone() })
    }

    /// As Bazel does before an action: outputs are removed, and their folders made.
    pub(super) fn prepare_outputs(&self, outputs: &[Vec<u8>]) -> Result<()> {
        outputs.iter().try_for_each(|output| {
            let path = self.path(output);
            // One that the session places, or that is a folder, is meant to be in the way.
            if self.placed.contains(&path) || path.is_dir() { Ok(()) } else { prepare(&path) }
        })
    }

    /// As Bazel does after an action: nobody is to write outputs any more.
    pub(super) fn seal(&self, output: &[u8]) {
        // One that is missing is complained of elsewhere.
        drop(fs::set_permissions(self.path(output), Permissions::from_mode(0o555)));
    }

    /// The digest of a file, if it is one.
    pub(super) fn digest(&self, path: &[u8]) -> Option<String> {
        digest(&self.path(path))
    }

    /// Does a request's work in a process of its own, with as many outputs elsewhere.
    pub(super) fn once(
        &self,
        worker: &Path,
        request: &Request,
        outputs: usize,
        known: &Known,
    ) -> Result<OneShot> {
        let folder = self.base.path().join("once");
        fs::create_dir_all(&folder).context(folder.display())?;
        let paths: Vec<PathBuf> = (0..outputs).map(|at| folder.join(at.to_string())).collect();
        let mut unused = paths.iter();
        let elsewhere = |argument: Vec<u8>| {
            let flag = FLAGS.iter().find(|flag| argument.starts_with(flag));
            match (flag, flag.and_then(|_| unused.next())) {
                (Some(flag), Some(path)) => [flag, path.as_os_str().as_bytes()].concat(),
                _ => argument,
            }
        };
        let typed = self.arguments(request);
        let is_output = |argument: &Vec<u8>| FLAGS.iter().any(|flag| argument.starts_with(flag));
        let numbers = format!("{outputs} {}", self.replaced).into_bytes();
        let mut key = vec![request.sandbox_dir.clone(), numbers];
        key.extend(typed.iter().filter(|argument| !is_output(argument)).cloned());
        let lock = || known.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(once) = lock().get(&key) {
            return Ok(once.clone());
        }
        let arguments: Vec<OsString> =
            typed.into_iter().map(elsewhere).map(OsString::from_vec).collect();
        let sh = Shell::new()?;
        sh.change_dir(self.directory.join(OsStr::from_bytes(&request.sandbox_dir)));
        let ended = sh.cmd(worker).args(arguments).ignore_status().output()?;
        let once = OneShot {
            exit_code: ended.status.code(),
            said: String::from_utf8_lossy(&ended.stderr).into_owned(),
            made: paths.iter().map(|path| digest(path)).collect(),
        };
        fs::remove_dir_all(&folder).context(folder.display())?;
        lock().insert(key, once.clone());
        Ok(once)
    }

    /// What is in the output base that neither the session nor its requests put there. The cache's
    /// files are its own, save those that were to be renamed.
    pub(super) fn left_behind(&self, outputs: &BTreeSet<PathBuf>) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut pending = vec![self.base.path().to_path_buf()];
        while let Some(folder) = pending.pop() {
            for entry in fs::read_dir(&folder).context(folder.display())? {
                let path = entry.context(folder.display())?.path();
                let cached = path.starts_with(self.base.path().join("pylayer"));
                let ours = self.placed.contains(&path)
                    || outputs.contains(&path)
                    || path == self.log()
                    || (cached && path.extension().is_none_or(|extension| extension != "tmp"));
                if path.is_dir() && !path.is_symlink() {
                    pending.push(path);
                } else if !ours {
                    let path = path.strip_prefix(self.base.path()).unwrap_or(&path);
                    found.push(path.to_path_buf());
                }
            }
        }
        Ok(found)
    }
}

fn digest(path: &Path) -> Option<String> {
    Some(text::hex(&Sha256::digest(fs::read(path).ok()?)))
}

/// Makes room for a file.
fn prepare(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(folder.display())?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(path.display())
        }
        _ => Ok(()),
    }
}
