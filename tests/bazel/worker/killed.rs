//! Processes that are killed in a build, and a worker that is another one afterwards.

use std::fs;
use std::io::Write as _;

use xtask::processes;

use super::{Layers, SIDE_BY_SIDE, wait_until};
use crate::scene::worker;

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn a_server_that_is_killed_leaves_no_worker_and_no_file() {
    let layers = Layers::new("orphan");
    let options = SIDE_BY_SIDE;
    layers.build(&["a", "b", "c"], &options);
    layers.write("a", "one.txt", "other");
    let (mut build, worker) = layers.busy(&["a"], &options);

    let server = fs::read_to_string(layers.output_base.join("server/server.pid.txt")).unwrap();
    processes::signal(server.trim().parse().unwrap(), "KILL").unwrap();
    assert!(!build.wait().unwrap().success());
    wait_until("no worker is left", || layers.workers().is_empty());
    layers.check_nothing_is_left();
    assert!(!layers.outputs().join("slow.layer").exists());

    layers.make_quick();
    layers.build(&["a", "b", "c", "slow"], &options);
    assert!(!layers.workers().contains(&worker));
    layers.check(&["a", "b", "c", "slow"]);
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn a_worker_that_is_killed_fails_its_build_and_no_other() {
    let layers = Layers::new("crashed");
    for options in [&SIDE_BY_SIDE[..], &["--worker_sandboxing"]] {
        layers.make_quick();
        layers.build(&["a", "b", "c", "slow"], options);
        let (build, worker) = layers.busy(&[], options);
        processes::signal(worker, "KILL").unwrap();
        let ended = build.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success(), "{said}");
        assert!(
            said.contains("unparseable WorkResponse")
                || said.contains("did not return a WorkResponse"),
            "{said}"
        );
        assert!(!layers.outputs().join("slow.layer").exists());
        layers.check(&["a", "b", "c"]);

        layers.make_quick();
        layers.write("a", "one.txt", "after the crash");
        layers.build(&["a", "slow"], options);
        assert!(!layers.workers().contains(&worker));
        layers.check(&["a", "b", "c", "slow"]);
    }
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn another_tool_is_another_worker() {
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("pylayer");
    fs::copy(worker(), &tool).unwrap();
    let layers = Layers::new("tool").with_worker(&tool);
    layers.build(&["a", "b"], &[]);
    let [first] = layers.workers()[..] else { panic!("{:?}", layers.workers()) };
    layers.write("a", "one.txt", "other");
    layers.build(&["a", "b"], &[]);
    assert_eq!(layers.workers(), [first], "one worker for all builds");

    // It does the same, and Bazel cannot know.
    let other = folder.path().join("other");
    fs::copy(&tool, &other).unwrap();
    fs::OpenOptions::new().append(true).open(&other).unwrap().write_all(b"other").unwrap();
    fs::rename(&other, &tool).unwrap();
    layers.build(&["a", "b"], &[]);
    let [second] = layers.workers()[..] else { panic!("{:?}", layers.workers()) };
    assert_ne!(first, second);
    layers.check(&["a", "b"]);
}
