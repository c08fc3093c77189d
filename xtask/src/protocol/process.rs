//! A worker process, whose answers are collected while requests are sent.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::{Frames, Response};
use crate::shell::{self, Context as _, Result, failure};

/// A worker that has not said what it owes, or has not ended, by now, will not.
const FOREVER: Duration = Duration::from_secs(120);

/// What comes from the worker's standard output.
#[derive(Debug)]
#[expect(dead_code, reason = "noise is shown as it is")]
pub(crate) enum Heard {
    Answer(Response),
    /// Something that is no answer.
    Noise(String),
    /// The end of the stream.
    End,
    /// Nothing for a long time.
    Nothing,
}

/// A worker process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Stands between the worker's standard output and this process: reading can be stopped.
    reader: Child,
    heard: Receiver<Heard>,
}

impl Process {
    /// Starts a worker; its log goes to a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let log = File::create(log).context(log.display())?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child =
            command.spawn().context(format_args!("cannot run `{}`", shell::display(command)))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| failure("the worker has no pipe"))?;
        let mut cat = Command::new("cat");
        let mut reader =
            cat.stdin(stdout).stdout(Stdio::piped()).spawn().context("cannot run `cat`")?;
        let mut stdout = reader.stdout.take().ok_or_else(|| failure("`cat` has no pipe"))?;
        // The command keeps a copy of what it gave its process.
        drop(cat);
        let (sender, heard) = mpsc::channel();
        thread::spawn(move || {
            let mut frames = Frames::of(&mut stdout);
            loop {
                let (heard, last) = match frames.next() {
                    Ok(Some(body)) => match Response::read(&body) {
                        Ok(response) => (Heard::Answer(response), false),
                        Err(error) => (Heard::Noise(error.to_string()), true),
                    },
                    Ok(None) => (Heard::End, true),
                    Err(error) => (Heard::Noise(error.to_string()), true),
                };
                if sender.send(heard).is_err() || last {
                    return;
                }
            }
        });
        Ok(Self { child, stdin, reader, heard })
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends bytes. A worker that has ended does not take them, which is not said here: its end is
    /// heard.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.stdin.as_mut().map(|stdin| stdin.write_all(bytes)) {
            Some(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    /// Ends the worker's input.
    pub(crate) fn close(&mut self) {
        drop(self.stdin.take());
    }

    /// Stops reading what the worker says, as a Bazel that has died.
    pub(crate) fn hang_up(&mut self) {
        drop(self.reader.kill());
        drop(self.reader.wait());
    }

    /// The next thing that the worker says.
    pub(crate) fn hear(&self) -> Heard {
        self.heard.recv_timeout(FOREVER).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Heard::Nothing,
            // Heard before, in vain.
            RecvTimeoutError::Disconnected => Heard::End,
        })
    }

    /// The exit code, once the output has ended; none after a signal.
    pub(crate) fn exit_code(&mut self) -> Result<Option<i32>> {
        Ok(self.child.wait().context("cannot wait for the worker")?.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // For a worker that is given up; any other has been waited for.
        drop(self.child.kill());
        drop(self.child.wait());
        self.hang_up();
    }
}
