//! The example that the README shows, `examples/concat.rs`: as a program, and as a worker.

#![allow(clippy::unwrap_used, reason = "the test fails then, as it should")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use worker_protocol::codec;
use worker_protocol::messages::WorkRequest;

fn concat(folder: &Path) -> Command {
    let deps = std::env::current_exe().unwrap();
    let target: PathBuf = deps.ancestors().nth(2).unwrap().into();
    let mut command = Command::new(target.join("examples/concat"));
    command.current_dir(folder);
    command
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "one ").unwrap();
    fs::write(folder.path().join("b"), "two").unwrap();
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn without_a_worker_it_does_the_same_once() {
    let folder = folder();
    fs::write(folder.path().join("flags"), "out\n@more\nb\n").unwrap();
    fs::write(folder.path().join("more"), "a\n").unwrap();
    fs::write(folder.path().join("loop"), "@loop\n").unwrap();
    for (arguments, code, said, out) in [
        (vec!["out", "a", "b"], 0, "", Some("one two")),
        (vec!["@flags"], 0, "", Some("one two")),
        (vec!["out", "b"], 0, "", Some("two")),
        (vec!["out", "a", "missing"], 1, "missing: No such file", None),
        (vec!["out", "@@a"], 1, "@@a: No such file", None),
        (vec!["@missing"], 1, "missing: No such file", None),
        (vec!["@loop"], 1, "without end", None),
        (vec![], 2, "concat OUTPUT INPUT...", None),
    ] {
        drop(fs::remove_file(folder.path().join("out")));
        let Output { status, stdout, stderr } =
            concat(folder.path()).args(&arguments).output().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!((status.code(), stdout.len()), (Some(code), 0), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said) && stderr.is_empty() == said.is_empty(), "{stderr}");
        let content = fs::read_to_string(folder.path().join("out")).ok();
        assert_eq!(content.as_deref(), out, "{arguments:?}");
        let mut left = vec!["a", "b", "flags", "loop", "more"];
        left.extend(out.map(|_| "out"));
        assert_eq!(names(folder.path()), left);
    }
}

#[test]
fn an_argument_that_is_no_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = folder();
    let output = concat(folder.path()).arg(std::ffi::OsStr::from_bytes(b"\xff")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not UTF-8"));
}

#[test]
fn as_a_worker_it_serves_requests_in_their_sandboxes() {
    let folder = folder();
    fs::create_dir(folder.path().join("box")).unwrap();
    fs::write(folder.path().join("box/a"), "boxed").unwrap();
    let mut worker = concat(folder.path())
        .arg("--persistent_worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (worker.stdin.take().unwrap(), worker.stdout.take().unwrap());
    for (id, sandbox, input, code) in [(1, "", "a", 0), (2, "box", "a", 0), (3, "box", "b", 1)] {
        let request = WorkRequest {
            request_id: id,
            arguments: vec!["out".to_owned(), input.to_owned()],
            sandbox_dir: sandbox.to_owned(),
            ..WorkRequest::default()
        };
        codec::write_request(&mut stdin, &request).unwrap();
        let response = codec::read_response(&mut stdout, codec::MAX_FRAME).unwrap().unwrap();
        assert_eq!((response.request_id, response.exit_code), (id, code), "{response:?}");
    }
    drop(stdin);
    assert!(worker.wait().unwrap().success());
    assert_eq!(fs::read_to_string(folder.path().join("out")).unwrap(), "one ");
    assert_eq!(fs::read_to_string(folder.path().join("box/out")).unwrap(), "boxed");
    assert_eq!(names(folder.path()), ["a", "b", "box", "out"]);
}

#[test]
fn the_readme_shows_it_and_it_is_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = fs::read_to_string(root.join("examples/concat.rs")).unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.contains(&format!("```rust,no_run\n{example}```")));
    assert!(example.lines().count() < 60);
}
