//! What is told about the work: lines on standard error, and a trace.

use std::io::Read as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::worker::{Worker, request};
use crate::support::{Folder, PYLAYER, Run};

/// A layer of two packages.
const LAYER: &[&str] = &[
    "layer",
    "--output=out",
    "--package=one",
    "--file=f",
    "--to=f",
    "--package=two",
    "--empty",
    "--to=g",
];

fn folder() -> Folder {
    Folder::new().with(&[("f", "content")])
}

fn run(folder: &Folder, startup: &[&str]) -> Run {
    folder.run(&[startup, LAYER].concat())
}

#[test]
fn lines_say_as_much_as_is_asked_for() {
    let folder = folder();
    for (startup, lines) in [
        (&[][..], 0),
        (&["--log=off"], 0),
        (&["--log=warn"], 0),
        (&["--log=info"], 1),
        (&["--log", "debug"], 3),
    ] {
        let run = run(&folder, startup);
        assert_eq!((run.code, &*run.stdout), (0, ""), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), lines, "{startup:?}: {}", run.stderr);
    }
    let said = run(&folder, &["--log=debug"]).stderr;
    let expected = ["layer{output=out}: ", " ms: 0 packages known, 2 built; plan ", "one ", "two "];
    assert!(expected.iter().all(|part| said.lines().next().unwrap().contains(part)), "{said}");
    assert!(said.lines().nth(1).unwrap().ends_with("one (1 entries): built: there is no cache"));
    let run = run(&folder, &["--log=loud"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("`loud` is not off, warn, info, or debug"), "{}", run.stderr);
}

#[test]
fn a_request_with_verbosity_is_told_about_itself_alone() {
    let folder = folder();
    let script = format!("exec {} --persistent_worker 2>log", crate::support::PYLAYER);
    let mut worker =
        Worker::of(std::process::Command::new("sh").args(["-c", &script]), folder.path());
    for (id, verbosity) in [(1, 0), (2, 10), (3, 0)] {
        let mut request = request(id, LAYER);
        request.verbosity = verbosity;
        worker.send(&request);
        assert_eq!(worker.response().output, "");
    }
    assert!(worker.end().success());
    let log = String::from_utf8(folder.read("log")).unwrap();
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(log.lines().all(|line| line.contains("request{id=2}:layer{output=")), "{log}");
    assert!(log.contains("2 packages known, 0 built") && log.contains("hit in memory"), "{log}");
}

#[test]
fn a_trace_has_a_span_for_each_part_of_the_work() {
    let folder = folder();
    let mut worker = Worker::start(folder.path(), &["--trace=trace-%p.json"]);
    for id in 1..=3 {
        worker.request(id, LAYER);
        assert_eq!(worker.response().exit_code, 0);
    }
    assert!(worker.end().success());
    let names = folder.names();
    let name = names.iter().find(|name| name.starts_with("trace-")).unwrap();
    assert!(!name.contains('%'), "{name}");
    let events: Vec<Value> = serde_json::from_slice(&folder.read(name)).unwrap();
    let count = |name: &str, phase: &str| {
        events.iter().filter(|event| event["name"] == name && event["ph"] == phase).count()
    };
    // A request is prepared, and then handled.
    for (span, times) in [("request", 6), ("layer", 3), ("plan", 3), ("publish", 3), ("package", 6)]
    {
        assert_eq!((count(span, "B"), count(span, "E")), (times, times), "{span}");
    }
    let package = events.iter().find(|event| event["name"] == "package").unwrap();
    assert_eq!(package["args"]["name"], "one");
}

#[test]
fn a_trace_that_cannot_be_written_is_an_error_that_names_it() {
    let folder = folder();
    let run = run(&folder, &["--trace=no/such/trace"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("no/such/trace"), "{}", run.stderr);
    assert_eq!(folder.names(), ["f"]);
}

#[test]
fn a_terminal_is_shown_how_far_long_work_is() {
    // Zeros without an end: an empty archive that is read to its last byte.
    let folder = Folder::new();
    let endless = std::fs::File::create(folder.path().join("endless")).unwrap();
    endless.set_len(1 << 40).unwrap();
    // `script` gives the command a terminal, and its end is the command's, also where whoever runs
    // the tests ignores SIGHUP.
    let mut child = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command"])
        .arg(format!("exec env --default-signal=HUP {PYLAYER} inspect endless"))
        .arg("/dev/null")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut shown = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&shown).contains("iB read") {
        child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
        shown.push(byte[0]);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
