//! A worker process, `examples/echo.rs`, from outside: descriptors, signals, exit
//! codes. `cargo test` and `cargo nextest run` build the example.

#![allow(clippy::unwrap_used, reason = "the test fails then, as it should")]

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use prost::Message;
use rustix::process::{Pid, Signal, kill_process};
use worker_protocol::codec;
use worker_protocol::messages::{WorkRequest, WorkResponse};

struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
}

/// How the process ended, and what it wrote besides the responses already read.
struct End {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Worker {
    fn start() -> Self {
        let deps = std::env::current_exe().unwrap();
        let target: PathBuf = deps.ancestors().nth(2).unwrap().into();
        let mut child = Command::new(target.join("examples/echo"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example is built with the tests");
        let stdin = child.stdin.take();
        Self { child, stdin }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stdin.as_ref().unwrap().write_all(bytes).unwrap();
    }

    fn request(&mut self, id: i32, arguments: &[&str]) {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let request = WorkRequest { request_id: id, arguments, ..WorkRequest::default() };
        self.send(&request.encode_length_delimited_to_vec());
    }

    fn response(&mut self) -> WorkResponse {
        let stdout = self.child.stdout.as_mut().unwrap();
        let frame = codec::read_frame(stdout, codec::MAX_FRAME).unwrap().expect("a response");
        WorkResponse::decode(&frame[..]).unwrap()
    }

    /// A round trip: the worker is up and has read all that was sent before.
    fn sync(&mut self) {
        self.request(1000, &["sync"]);
        assert_eq!(self.response().output, "sync");
    }

    /// Sends a request that will not end by itself, and waits until it runs.
    fn occupy(&mut self, how: &str) {
        self.request(1, &[how]);
        let mut line = [0; 8];
        self.child.stderr.as_mut().unwrap().read_exact(&mut line).unwrap();
        assert_eq!(&line, b"working\n");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Closes standard input.
    fn close(mut self) -> End {
        drop(self.stdin.take());
        self.wait()
    }

    /// Waits for the end while standard input stays open.
    fn wait(mut self) -> End {
        let (mut stdout, mut stderr) = (Vec::new(), String::new());
        let code = self.child.wait().unwrap().code();
        if let Some(mut stream) = self.child.stdout.take() {
            stream.read_to_end(&mut stdout).unwrap();
        }
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        End { code, stdout, stderr }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // For a test that failed; otherwise the process has been waited for.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn only_responses_reach_standard_output() {
    let mut worker = Worker::start();
    worker.request(1, &["--print"]);
    let answer = WorkResponse { request_id: 1, ..WorkResponse::default() };
    assert_eq!(worker.response(), answer);
    let end = worker.close();
    assert_eq!((end.code, end.stdout), (Some(0), vec![]));
    assert!(end.stderr.contains("printed by the worker\n"), "{}", end.stderr);
    // The child read an empty standard input, or it would still be reading.
    assert!(end.stderr.contains("printed by a child\n"), "{}", end.stderr);
}

#[test]
fn the_end_of_input_is_exit_code_0() {
    for busy_with in [None, Some("--wait"), Some("--stuck")] {
        let mut worker = Worker::start();
        if let Some(how) = busy_with {
            worker.occupy(how);
        }
        let end = worker.close();
        assert_eq!((end.code, end.stdout), (Some(0), vec![]), "{busy_with:?}: {}", end.stderr);
        assert_eq!(end.stderr, "");
    }
}

#[test]
fn a_signal_ends_the_worker() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        for busy_with in ["idle", "--wait", "--stuck"] {
            let mut worker = Worker::start();
            worker.sync();
            if busy_with != "idle" {
                worker.occupy(busy_with);
            }
            worker.signal(signal);
            let end = worker.wait();
            assert_eq!((end.code, end.stdout), (Some(code), vec![]), "{busy_with}");
        }
    }
}

#[test]
fn a_signal_ends_a_worker_whose_output_nobody_reads() {
    let mut worker = Worker::start();
    worker.sync();
    let text = "x".repeat(50_000);
    for id in 1..=20 {
        worker.request(id, &[&text]);
    }
    worker.signal(Signal::TERM);
    assert_eq!(worker.wait().code, Some(143));
}

#[test]
fn a_panic_costs_one_request() {
    let mut worker = Worker::start();
    worker.request(1, &["--panic"]);
    let answer = worker.response();
    assert_eq!((answer.request_id, answer.exit_code), (1, 70));
    assert!(answer.output.contains("as asked"), "{}", answer.output);
    worker.sync();
    let end = worker.close();
    assert_eq!(end.code, Some(0));
    // Where it happened is in the worker's log.
    assert!(end.stderr.contains("echo.rs"), "{}", end.stderr);
}

#[test]
fn broken_input_is_exit_code_3_and_a_message() {
    let cases: [(&[u8], &str); 4] = [
        (&[9, 1, 2], "ended inside a frame"),
        (&[0x80], "ended inside a frame"),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f], "above the limit"),
        (&[1, 0xff], "not a message"),
    ];
    for (bytes, message) in cases {
        let mut worker = Worker::start();
        worker.sync();
        worker.send(bytes);
        let end = worker.close();
        assert_eq!((end.code, end.stdout), (Some(3), vec![]), "{message}");
        assert!(end.stderr.contains(message), "{}", end.stderr);
    }
}

#[test]
fn a_closed_standard_output_is_exit_code_3_and_a_message() {
    let mut worker = Worker::start();
    worker.sync();
    drop(worker.child.stdout.take());
    let request = WorkRequest { request_id: 1, ..WorkRequest::default() };
    let request = request.encode_length_delimited_to_vec();
    // A process that another test is just starting may hold the other end for a
    // moment, so that one response is still taken. Standard input stays open:
    // nothing but a failed write ends the worker.
    while worker.child.try_wait().unwrap().is_none() {
        drop(worker.stdin.as_ref().unwrap().write_all(&request));
        thread::yield_now();
    }
    let end = worker.wait();
    assert_eq!(end.code, Some(3));
    assert!(end.stderr.contains("cannot write a response"), "{}", end.stderr);
}
