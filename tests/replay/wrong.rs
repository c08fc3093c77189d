//! Workers that get something wrong: the replay notices each of them.

use std::fs;
use std::process::Command;

use xtask::session::{Known, Pace, Replay, Session, replay};

use crate::PYLAYER;

const SESSION: &str = "\
file f
  | content
request 1
  argument layer
  argument --output=out
  argument --compression=none
  argument --file=f
  argument --to=f
answer 1 0
request 2
  argument layer
  argument --output=out2
  argument --file=missing
  argument --to=f
answer 2 1
  | `missing`
";

/// What is complained of when a script stands between; `WORKER` in it is the worker.
fn complaints(session: &str, script: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let worker = folder.path().join("worker");
    let script = script.replace("WORKER", &format!("{PYLAYER} \"$@\""));
    let text = folder.path().join("text");
    fs::write(&text, format!("#!/bin/bash\nPATH=/usr/bin:/bin\nset -o pipefail\n{script}\n"))
        .unwrap();
    // Copied by another process: what this one has open for writing, a child that another test
    // starts meanwhile has open too, and then nobody can run it.
    let install = Command::new("install").args(["-m", "755"]).arg(&text).arg(&worker).status();
    assert!(install.unwrap().success());
    fs::remove_file(&text).unwrap();
    let known = Known::default();
    let session = Session::parse(session).unwrap();
    let replayed =
        replay(&session, &Replay { worker: &worker, pace: Pace::default(), known: &known });
    replayed.unwrap().complaints
}

#[test]
fn what_a_worker_gets_wrong_is_noticed() {
    // The worker's answers to SESSION: 3 bytes, then some more. In each script a one-shot run is
    // right, or there would be nothing to compare with.
    for (script, said) in [
        ("exec WORKER", ""),
        ("WORKER; printf '\\0'", "no request has this number"),
        ("WORKER; printf '\\2\\30\\1'", "every request with this number has its answer"),
        ("WORKER | stdbuf -o0 tr m _", "is no answer to"),
        ("WORKER | stdbuf -o0 tr m '\\377'", "is no WorkResponse"),
        ("WORKER; printf hello", "Noise"),
        ("WORKER; exit 7", "exit code Some(7), not 0"),
        ("WORKER | head -c 3; exit 0", "instead of Answer"),
        ("WORKER; [ $1 = layer ] || touch trace", "trace is left behind"),
        ("WORKER; [ $1 = layer ] || echo more >out", "out is Some"),
        ("WORKER; [ $1 = layer ] || touch -d 2000-01-01 out", "touched after its answer"),
        ("WORKER; [ $1 = layer ] || rm out", "out is None"),
        ("WORKER; [ $1 = layer ] || echo >out2", "its request is not done"),
        (
            "WORKER; code=$?; [ $1 = layer ] && exit $((code * 5)); exit $code",
            "exit code 1; one-shot",
        ),
    ] {
        let complaints = complaints(SESSION, script);
        let found = complaints.iter().any(|complaint| complaint.contains(said));
        assert_eq!(
            (found, complaints.is_empty()),
            (!said.is_empty(), said.is_empty()),
            "{script}: {complaints:#?}"
        );
    }
}

#[test]
fn what_a_session_says_is_compared() {
    for (from, to, said) in [
        ("answer 1 0", "answer 1 1", "is no answer to"),
        ("answer 2 1", "answer 2 1\n  | elsewhere", "is no answer to"),
        ("| `missing`", "| `missing`\noutput 00 out", "has the digest"),
        ("| `missing`", "| `missing`\nend 3", "exit code Some(0), not 3"),
        ("answer 1 0", "answer 3 0", "before its request"),
    ] {
        let complaints = complaints(&SESSION.replace(from, to), "exec WORKER");
        let found = complaints.iter().any(|complaint| complaint.contains(said));
        assert!(found, "{to}: {complaints:#?}");
    }
}
