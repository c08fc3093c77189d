//! A worker process and the Bazel that talks to it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use prost::Message as _;
use worker_protocol::codec;
use worker_protocol::messages::{WorkRequest, WorkResponse};

use super::PYLAYER;

pub(crate) struct Worker {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
}

impl Worker {
    /// Starts a worker in `directory`.
    pub(crate) fn start(directory: &Path, startup: &[&str]) -> Self {
        Self::of(Command::new(PYLAYER).args(startup).arg("--persistent_worker"), directory)
    }

    /// Starts a worker with a command of one's own.
    pub(crate) fn of(command: &mut Command, directory: &Path) -> Self {
        let mut child = command
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        Self { child, stdin }
    }

    pub(crate) fn send(&mut self, request: &WorkRequest) {
        self.send_frame(&request.encode_length_delimited_to_vec());
    }

    /// Sends bytes that may be no request.
    pub(crate) fn send_frame(&mut self, frame: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(frame).unwrap();
    }

    pub(crate) fn request(&mut self, id: i32, arguments: &[&str]) {
        self.send(&request(id, arguments));
    }

    pub(crate) fn cancel(&mut self, id: i32) {
        self.send(&WorkRequest { request_id: id, cancel: true, ..WorkRequest::default() });
    }

    pub(crate) fn response(&mut self) -> WorkResponse {
        let stdout = self.child.stdout.as_mut().unwrap();
        let frame = codec::read_frame(stdout, codec::MAX_FRAME).unwrap().expect("a response");
        WorkResponse::decode(&frame[..]).unwrap()
    }

    /// The responses from now on, read by a thread while requests are sent, until there is none.
    pub(crate) fn answers(&mut self) -> Receiver<WorkResponse> {
        let mut stdout = self.child.stdout.take().unwrap();
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            // One that is killed may leave half a response.
            while let Ok(Some(frame)) = codec::read_frame(&mut stdout, codec::MAX_FRAME) {
                drop(sender.send(WorkResponse::decode(&frame[..]).unwrap()));
            }
        });
        answers
    }

    /// Ends the input.
    pub(crate) fn close(&mut self) {
        drop(self.stdin.take());
    }

    /// The most memory that the process ever used, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// The memory that the process uses, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        value.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Ends the input; nothing but the responses read may have been on standard output.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.close();
        let mut rest = Vec::new();
        let stdout = self.child.stdout.as_mut().unwrap();
        std::io::Read::read_to_end(stdout, &mut rest).unwrap();
        assert_eq!(rest, b"", "on standard output after the last response");
        self.child.wait().unwrap()
    }
}

pub(crate) fn request(id: i32, arguments: &[&str]) -> WorkRequest {
    let arguments = arguments.iter().map(ToString::to_string).collect();
    WorkRequest { request_id: id, arguments, ..WorkRequest::default() }
}
