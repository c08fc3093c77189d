//! Stands between Bazel and the worker, and writes down what they say to each other.
//!
//! Each worker process has a file of its own, named by its number. What a request reads is written
//! down before the request is passed on, so that the session can be replayed elsewhere.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::{Answer, BASE, End, Place, Request, Session, Step, noise};
use crate::protocol::{Frames, Response, frame};
use crate::shell::{Context as _, Result, failure};

/// A file above so many bytes is no part of a session; noise of the same size is.
const LARGEST: usize = 64 << 10;

/// Writes an executable that runs `worker` and records it to `folder`.
pub(crate) fn script(folder: &Path, worker: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).context(folder.display())?;
    let this = std::env::current_exe().context("cannot find this program")?;
    let words = [this.as_path(), folder, worker].map(|path| {
        let path = fs::canonicalize(path).context(path.display())?;
        Ok(format!("'{}'", path.display().to_string().replace('\'', "'\\''")))
    });
    let [this, folder_word, worker] = words.map(|word: Result<String>| word);
    let text =
        format!("#!/bin/sh\nexec {} tee {} {} \"$0\" \"$@\"\n", this?, folder_word?, worker?);
    let script = folder.join("pylayer");
    fs::write(&script, text).context(script.display())?;
    fs::set_permissions(&script, Permissions::from_mode(0o755)).context(script.display())?;
    Ok(script)
}

/// Runs a worker for Bazel; gives its exit code. `script` is what Bazel has started.
pub(crate) fn run(
    folder: &Path,
    worker: &Path,
    script: &Path,
    arguments: &[std::ffi::OsString],
) -> Result<u8> {
    if !arguments.iter().any(|argument| argument == "--persistent_worker") {
        let status = Command::new(worker).args(arguments).status().context(worker.display())?;
        return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
    }
    let record = folder.join(format!("{}.session", std::process::id()));
    let recorder = Arc::new(Mutex::new(Recorder::new(&record, script, arguments)?));
    let mut child = Command::new(worker)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context(worker.display())?;
    let (Some(mut to_worker), Some(mut from_worker)) = (child.stdin.take(), child.stdout.take())
    else {
        return Err(failure("the worker has no pipes"));
    };
    let answers = recorder.clone();
    let answering = thread::spawn(move || -> Result<()> {
        let mut stdout = io::stdout();
        let mut frames = Frames::of(&mut from_worker);
        while let Some(body) = frames.next()? {
            lock(&answers).answer(&Response::read(&body)?)?;
            stdout.write_all(&frame(&body)?).context("Bazel takes no answer")?;
            stdout.flush().context("Bazel takes no answer")?;
        }
        Ok(())
    });
    let mut stdin = io::stdin();
    let mut frames = Frames::of(&mut stdin);
    while let Some(body) = frames.next()? {
        lock(&recorder).request(&body)?;
        to_worker.write_all(&frame(&body)?).context("the worker takes no request")?;
    }
    drop(to_worker);
    let answered = answering.join().unwrap_or_else(|_| Err(failure("a thread has panicked")));
    let status = child.wait().context("cannot wait for the worker")?;
    answered?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn lock(recorder: &Mutex<Recorder>) -> std::sync::MutexGuard<'_, Recorder> {
    recorder.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a session as it happens.
struct Recorder {
    file: File,
    directory: PathBuf,
    base: PathBuf,
    /// What Bazel takes for the worker: no part of the session.
    script: PathBuf,
    /// What has been written down, by path.
    known: BTreeMap<Vec<u8>, Place>,
}

impl Recorder {
    fn new(record: &Path, script: &Path, arguments: &[std::ffi::OsString]) -> Result<Self> {
        let directory = std::env::current_dir().context("there is no working directory")?;
        let is_base = |path: &&Path| {
            let inside = path.file_name().and_then(OsStr::to_str);
            matches!(inside, Some("execroot" | "bazel-workers"))
        };
        // Elsewhere than in an output base, the directory above does as well.
        let base = directory.ancestors().skip(1).find(is_base).unwrap_or(&directory);
        let base = base.parent().unwrap_or(base).to_path_buf();
        let startup = arguments.iter().map(|argument| argument.to_string_lossy().into_owned());
        let session = Session {
            directory: directory.strip_prefix(&base).unwrap_or(&directory).to_path_buf(),
            startup: startup.filter(|argument| argument != "--persistent_worker").collect(),
            ..Session::default()
        };
        let mut file = File::create(record).context(record.display())?;
        file.write_all(session.write().as_bytes()).context(record.display())?;
        let script = fs::canonicalize(script).unwrap_or_else(|_| script.to_path_buf());
        Ok(Self { file, directory, base, script, known: BTreeMap::new() })
    }

    fn write(&mut self, step: &Step) -> Result<()> {
        let lines = format!("\n{}", step.write());
        self.file.write_all(lines.as_bytes()).context("cannot write the session")
    }

    fn request(&mut self, body: &[u8]) -> Result<()> {
        let Some(request) = Request::read(body) else {
            return self.write(&Step::Bytes(frame(body)?));
        };
        let prefix = match &*request.sandbox_dir {
            b"" => Vec::new(),
            dir => [dir, b"/"].concat(),
        };
        for (path, _) in &request.inputs {
            self.look_at(&[&*prefix, path].concat())?;
        }
        self.write(&Step::Request(request))
    }

    /// Writes down what an input is, by its name on the disk.
    fn look_at(&mut self, path: &[u8]) -> Result<()> {
        if self.full(path).symlink_metadata().is_ok() {
            return self.look(path);
        }
        // As Bazel before 8.0 writes names: each of their bytes as a character.
        let chars = str::from_utf8(path).unwrap_or_default().chars();
        let bytes: Option<Vec<u8>> = chars.map(|char| u8::try_from(u32::from(char)).ok()).collect();
        bytes.map_or(Ok(()), |bytes| self.look(&bytes))
    }

    fn full(&self, path: &[u8]) -> PathBuf {
        match path.strip_prefix(BASE) {
            Some(rest) => {
                self.base.join(OsStr::from_bytes(rest.strip_prefix(b"/").unwrap_or(rest)))
            }
            None => self.directory.join(OsStr::from_bytes(path)),
        }
    }

    fn look(&mut self, path: &[u8]) -> Result<()> {
        let full = self.full(path);
        // An input that is not there is the worker's to complain of.
        let Ok(metadata) = full.symlink_metadata() else { return Ok(()) };
        if metadata.is_dir() {
            for entry in fs::read_dir(&full).context(full.display())? {
                let name = entry.context(full.display())?.file_name();
                self.look(&[path, b"/", name.as_bytes()].concat())?;
            }
            return Ok(());
        }
        if fs::canonicalize(&full).is_ok_and(|path| path == self.script) {
            return Ok(());
        }
        if metadata.is_symlink() {
            let text = fs::read_link(&full).context(full.display())?;
            if let Ok(below) = text.strip_prefix(&self.base) {
                let text = [BASE, b"/", below.as_os_str().as_bytes()].concat();
                self.place(path, Place::Link(text.clone()))?;
                return self.look(&text);
            }
            if text.is_relative() {
                let parent = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
                let target = [&path[..parent], text.as_os_str().as_bytes()].concat();
                self.place(path, Place::Link(text.as_os_str().as_bytes().to_vec()))?;
                return self.look(&target);
            }
        }
        let Ok(content) = fs::read(&full) else { return Ok(()) };
        self.place(path, describe(content))
    }

    fn place(&mut self, path: &[u8], what: Place) -> Result<()> {
        if self.known.get(path) == Some(&what) {
            return Ok(());
        }
        self.known.insert(path.to_vec(), what.clone());
        self.write(&Step::Place { path: path.to_vec(), what })
    }

    fn answer(&mut self, response: &Response) -> Result<()> {
        let end =
            if response.was_cancelled { End::Cancelled } else { End::Exit(response.exit_code) };
        let said = response.output.lines().map(str::to_owned).collect();
        self.write(&Step::Answer(Answer { id: response.id, end, said }))
    }
}

/// Content as it is, or noise.
fn describe(content: Vec<u8>) -> Place {
    if content.len() <= LARGEST {
        return Place::File(content);
    }
    let size = content.len();
    let first = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let seed =
        str::from_utf8(first).ok().and_then(|line| line.strip_prefix("noise ")?.parse().ok());
    let seed = seed.filter(|seed| noise(size, *seed) == content);
    // Which noise does not matter, as long as files that differ do so still.
    let other = || {
        content.chunks(8).fold(0, |sum: u64, chunk| {
            chunk
                .iter()
                .fold(sum.rotate_left(5), |sum, byte| sum.wrapping_mul(31) ^ u64::from(*byte))
        })
    };
    Place::Noise { size, seed: seed.unwrap_or_else(other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_described() {
        assert_eq!(describe(b"x".to_vec()), Place::File(b"x".to_vec()));
        let size = LARGEST + 1;
        assert_eq!(describe(noise(size, 77)), Place::Noise { size, seed: 77 });
        let [a, b] = [b'a', b'b'].map(|byte| describe(vec![byte; size]));
        assert!(a != b && matches!(a, Place::Noise { size: s, .. } if s == size), "{a:?} {b:?}");
    }
}
