//! The worker through its pipes: what the runtime promises, with real layers
//! (the runtime's own tests are in `worker_protocol`).

use std::os::unix::fs::MetadataExt as _;

use rustix::process::{Pid, Signal, kill_process};

use worker_protocol::codec;
use worker_protocol::messages::WorkRequest;

use crate::support::worker::{Worker, request};
use crate::support::{Folder, PYLAYER, sha256sum};

/// A file whose compression outlasts any test.
fn endless(folder: &Folder) {
    let file = std::fs::File::create(folder.path().join("endless")).unwrap();
    file.set_len(1 << 40).unwrap();
}

#[test]
fn bad_requests_cost_themselves_alone() {
    let folder = Folder::new().with(&[("f", "content")]);
    let mut worker = Worker::start(folder.path(), &[]);
    for (id, arguments, code, said) in [
        (1, &["layer", "--output=a", "--file=missing", "--to=x"][..], 1, "missing"),
        (2, &["layer", "--output=b", "--frobnicate"], 2, "--frobnicate"),
        (3, &["layer", "--output=no/such/folder/c"], 1, "no/such/folder/c"),
        (4, &[], 2, "command"),
        (0, &["layer", "--output=d", "--file=f", "--to=x"], 0, ""),
        (-7, &["layer", "--output=e", "--file=f", "--to=x"], 0, ""),
    ] {
        worker.request(id, arguments);
        let response = worker.response();
        assert_eq!((response.request_id, response.exit_code), (id, code), "{}", response.output);
        assert!(response.output.contains(said), "{}", response.output);
        assert_eq!(response.output.is_empty(), code == 0);
        assert!(!response.was_cancelled);
    }
    assert!(worker.end().success());
    assert_eq!(folder.names(), ["d", "e", "f"]);
}

#[test]
fn requests_run_side_by_side_and_give_the_bytes_of_each_alone() {
    let folder = Folder::new();
    for number in 0..24_u8 {
        folder.file(&format!("f{number}"), &vec![number; 700_000 * usize::from(number)]);
    }
    let layer = |number: u8| {
        ["layer", "--output=", "--file=f", "--to=f"].map(|part| match part {
            "layer" => part.to_owned(),
            _ => format!("{part}{number}"),
        })
    };
    let mut worker = Worker::start(folder.path(), &["--jobs=2"]);
    for number in 0..24 {
        worker.request(i32::from(number) + 1, &layer(number).each_ref().map(String::as_str));
    }
    let mut answered: Vec<i32> = (0..24)
        .map(|_| worker.response())
        .inspect(|response| assert_eq!(response.exit_code, 0, "{}", response.output))
        .map(|response| response.request_id)
        .collect();
    answered.sort_unstable();
    assert_eq!(answered, (1..=24).collect::<Vec<_>>());
    assert!(worker.end().success());
    for number in 0..24 {
        let together = sha256sum(&folder.read(&number.to_string()));
        assert_eq!(folder.run(&layer(number).each_ref().map(String::as_str)).code, 0);
        assert_eq!(sha256sum(&folder.read(&number.to_string())), together);
    }
}

#[test]
fn a_cancel_stops_its_request_also_while_every_slot_is_busy() {
    let folder = Folder::new().with(&[("f", "")]);
    endless(&folder);
    let mut worker = Worker::start(folder.path(), &[]);
    for id in 1..=12 {
        let output = format!("--output=o{id}");
        worker.request(id, &["layer", &output, "--file=endless", "--to=x"]);
    }
    // The last ones wait for a slot; the first one runs.
    for id in [12, 1] {
        worker.cancel(id);
        let response = worker.response();
        assert_eq!((response.request_id, response.was_cancelled), (id, true));
    }
    for id in 2..12 {
        worker.cancel(id);
    }
    for _ in 2..12 {
        assert!(worker.response().was_cancelled);
    }
    worker.cancel(5);
    worker.cancel(99);
    worker.request(5, &["layer", "--output=after", "--file=f", "--to=x"]);
    let response = worker.response();
    assert_eq!((response.request_id, response.exit_code, response.was_cancelled), (5, 0, false));
    assert!(worker.end().success());
    assert_eq!(folder.names(), ["after", "endless", "f"]);
}

#[test]
fn a_reused_id_or_output_abandons_the_old_request() {
    let folder = Folder::new().with(&[("f", "new")]);
    endless(&folder);
    let mut worker = Worker::start(folder.path(), &[]);
    worker.request(1, &["layer", "--output=o", "--file=endless", "--to=x"]);
    worker.request(1, &["layer", "--output=o", "--file=f", "--to=x"]);
    let response = worker.response();
    assert_eq!((response.request_id, response.exit_code), (1, 0), "{}", response.output);
    let first = std::fs::metadata(folder.path().join("o")).unwrap().ino();

    worker.request(2, &["layer", "--output=p", "--file=endless", "--to=x"]);
    worker.request(3, &["layer", "--output=./p", "--file=f", "--to=x"]);
    let mut responses = [worker.response(), worker.response()];
    responses.sort_by_key(|response| response.request_id);
    assert_eq!([2, 3], responses.each_ref().map(|response| response.request_id));
    assert_ne!(responses[0].exit_code, 0, "given up, and said so");
    assert_eq!(responses[1].exit_code, 0);
    assert!(worker.end().success());
    assert_eq!(std::fs::metadata(folder.path().join("o")).unwrap().ino(), first, "written once");
    assert_eq!(folder.read("o"), folder.read("p"));
    assert_eq!(folder.names(), ["endless", "f", "o", "p"]);
}

#[test]
fn a_worker_whose_reader_is_gone_ends_with_its_work() {
    for input_ends in [false, true] {
        let folder = Folder::new();
        endless(&folder);
        let mut worker = Worker::start(folder.path(), &["--jobs=2"]);
        worker.request(1, &["layer", "--output=o", "--file=endless", "--to=x"]);
        worker.request(2, &["layer", "--output=bad"]);
        assert_eq!(worker.response().request_id, 2);
        drop(worker.child.stdout.take());
        if input_ends {
            worker.close();
        }
        assert_eq!(worker.child.wait().unwrap().code(), Some(0));
        assert_eq!(folder.names(), ["bad", "endless"]);
    }
}

#[test]
fn a_session_from_a_file_is_answered() {
    let folder = Folder::new().with(&[("f", "content")]);
    let mut session = Vec::new();
    for id in 1..=20 {
        let output = format!("--output=o{id}");
        let request = request(id, &["layer", &output, "--file=f", "--to=x"]);
        codec::write_request(&mut session, &request).unwrap();
    }
    let session = folder.file("session", &session);
    let output = std::process::Command::new(PYLAYER)
        .args(["--cache-dir=none", "--persistent_worker"])
        .current_dir(folder.path())
        .stdin(std::fs::File::open(session).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success());
    let (mut answers, mut ids) = (&*output.stdout, vec![]);
    while let Some(answer) = codec::read_response(&mut answers, codec::MAX_FRAME).unwrap() {
        assert_eq!(answer.exit_code, 0, "{}", answer.output);
        assert!(folder.path().join(format!("o{}", answer.request_id)).exists());
        ids.push(answer.request_id);
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=20).collect::<Vec<_>>());
}

#[test]
fn sigterm_ends_the_process_and_leaves_nothing() {
    let folder = Folder::new();
    endless(&folder);
    let mut worker = Worker::start(folder.path(), &[]);
    worker.request(1, &["layer", "--output=o", "--file=endless", "--to=x"]);
    worker.request(2, &["layer"]);
    assert_eq!(worker.response().request_id, 2);
    let pid = Pid::from_child(&worker.child);
    kill_process(pid, Signal::TERM).unwrap();
    assert!(!worker.child.wait().unwrap().success());
    assert_eq!(folder.names(), ["endless"]);
}

#[test]
fn not_even_sigkill_leaves_a_temporary_file() {
    let folder = Folder::new();
    endless(&folder);
    let mut worker = Worker::start(folder.path(), &[]);
    worker.request(1, &["layer", "--output=o", "--file=endless", "--to=x"]);
    worker.request(2, &["layer"]);
    assert_eq!(worker.response().request_id, 2);
    worker.child.kill().unwrap();
    worker.child.wait().unwrap();
    // Where the file system has no O_TMPFILE, nothing can be promised.
    let has_tmpfile = rustix::fs::openat(
        rustix::fs::CWD,
        folder.path(),
        rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR,
        rustix::fs::Mode::RUSR,
    );
    if has_tmpfile.is_ok() {
        assert_eq!(folder.names(), ["endless"]);
    }
}

#[test]
fn a_sandbox_is_found_although_the_worker_s_directory_was_made_again() {
    let folder = Folder::new().with(&[("ws/here", "")]);
    let directory = folder.path().join("ws");
    let mut worker = Worker::start(&directory, &["--cache-dir=none"]);
    // The first answer shows that the worker has started.
    worker.request(1, &["layer", "--output=../first", "--empty", "--to=x"]);
    assert_eq!(worker.response().exit_code, 0);
    std::fs::remove_dir_all(&directory).unwrap();
    folder.file("ws/box/f", b"content");
    let arguments = ["layer", "--output=o", "--file=f", "--to=x"].map(str::to_owned);
    worker.send(&WorkRequest {
        request_id: 2,
        arguments: arguments.into(),
        sandbox_dir: "box".to_owned(),
        ..WorkRequest::default()
    });
    let response = worker.response();
    assert_eq!(response.exit_code, 0, "{}", response.output);
    assert!(directory.join("box/o").exists());
}

#[test]
fn one_output_by_two_spellings_is_one_output() {
    let folder = Folder::new().with(&[("d/x", ""), ("f", "new")]);
    endless(&folder);
    folder.link("l", "d");
    let mut worker = Worker::start(folder.path(), &["--cache-dir=none"]);
    worker.request(1, &["layer", "--output=l/o", "--file=endless", "--to=x"]);
    worker.request(2, &["layer", "--output=d/o", "--file=f", "--to=x"]);
    let mut responses = [worker.response(), worker.response()];
    responses.sort_by_key(|response| response.request_id);
    assert_ne!(responses[0].exit_code, 0, "the older one is superseded");
    assert_eq!(responses[1].exit_code, 0, "{}", responses[1].output);
}
