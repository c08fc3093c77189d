//! A worker process, `examples/echo.rs`, from outside: descriptors, signals, exit
//! codes. `cargo test` and `cargo nextest run` build the example.

#![allow(clippy::unwrap_used, reason = "the test fails then, as it should")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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
    fn command() -> Command {
        let deps = std::env::current_exe().unwrap();
        let target: PathBuf = deps.ancestors().nth(2).unwrap().into();
        let mut command = Command::new(target.join("examples/echo"));
        command.arg("--persistent_worker");
        command
    }

    fn start() -> Self {
        let mut child = Self::command()
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
        codec::write_request(&mut self.stdin.as_ref().unwrap(), &request).unwrap();
    }

    fn response(&mut self) -> WorkResponse {
        let stdout = self.child.stdout.as_mut().unwrap();
        codec::read_response(stdout, codec::MAX_FRAME).unwrap().expect("a response")
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
    let end = Worker::start().close();
    assert_eq!((end.code, end.stdout, &*end.stderr), (Some(0), vec![], ""));
}

#[test]
fn what_was_accepted_before_the_end_of_input_is_answered() {
    let mut worker = Worker::start();
    for id in 1..=20 {
        worker.request(id, &["text"]);
    }
    let end = worker.close();
    let (mut answers, mut ids) = (&*end.stdout, vec![]);
    while let Some(answer) = codec::read_response(&mut answers, codec::MAX_FRAME).unwrap() {
        assert_eq!(answer.output, "text");
        ids.push(answer.request_id);
    }
    ids.sort_unstable();
    assert_eq!((end.code, ids), (Some(0), (1..=20).collect()));
}

#[test]
fn a_worker_whose_answers_nobody_reads_ends_within_a_second() {
    for how in ["--wait", "--stuck"] {
        for input_ends in [false, true] {
            let mut worker = Worker::start();
            worker.occupy(how);
            let start = Instant::now();
            drop(worker.child.stdout.take());
            if input_ends {
                drop(worker.stdin.take());
            }
            let end = worker.wait();
            // On a machine that is busy with other tests, a second may be longer.
            assert!(start.elapsed() < Duration::from_secs(10), "{how} {input_ends}");
            assert_eq!((end.code, &*end.stderr), (Some(0), ""), "{how} {input_ends}");
        }
    }
}

#[test]
fn a_session_in_a_file_is_answered_into_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["in", "out"].map(|name| folder.path().join(name));
    let mut file = File::create(&input).unwrap();
    let long = "x".repeat(60_000);
    for request_id in 0..10 {
        let arguments = vec![long.clone()];
        let request = WorkRequest { request_id, arguments, ..WorkRequest::default() };
        codec::write_request(&mut file, &request).unwrap();
    }
    let mut worker = Worker::command();
    worker.stdin(File::open(&input).unwrap()).stdout(File::create(&output).unwrap());
    assert!(worker.status().unwrap().success());
    let (answers, mut count) = (fs::read(&output).unwrap(), 0);
    let mut answers = &*answers;
    while let Some(answer) = codec::read_response(&mut answers, codec::MAX_FRAME).unwrap() {
        assert_eq!(answer.output, long);
        count += 1;
    }
    assert_eq!(count, 10);
}

#[test]
fn sockets_serve_as_streams_and_stay_as_they_are() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut worker = Worker::command()
        .stdin(OwnedFd::from(theirs.try_clone().unwrap()))
        .stdout(OwnedFd::from(theirs.try_clone().unwrap()))
        .spawn()
        .unwrap();
    for request_id in 1..3 {
        let request = WorkRequest { request_id, ..WorkRequest::default() };
        codec::write_request(&mut &ours, &request).unwrap();
        let answer = codec::read_response(&mut &ours, codec::MAX_FRAME).unwrap().unwrap();
        assert_eq!(answer.request_id, request_id);
    }
    // Whoever has the socket besides can still wait for it.
    let flags = rustix::fs::fcntl_getfl(&theirs).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK));
    drop(theirs);
    ours.shutdown(Shutdown::Write).unwrap();
    assert!(worker.wait().unwrap().success());
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_worker_sleeps() {
    let mut worker = Worker::start();
    worker.sync();
    let wakes = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", worker.child.id())).unwrap();
        let statuses = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")));
        let switches = |status: String| {
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
            line.unwrap().trim().parse::<u64>().unwrap()
        };
        statuses.map(|status| switches(status.unwrap())).collect::<Vec<_>>()
    };
    // What follows the last answer ends at some time; then nothing happens any more.
    let mut quiet = 0;
    let mut last = wakes();
    for _ in 0..600 {
        thread::sleep(Duration::from_millis(100));
        let now = wakes();
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
        if quiet == 30 {
            return;
        }
    }
    panic!("it wakes up again and again");
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
