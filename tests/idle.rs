//! A worker with nothing to do: it sleeps, and gives back its memory.

use std::fs::{self, File};
use std::thread::sleep;
use std::time::Duration;

use crate::support::Folder;
use crate::support::worker::Worker;

/// Whatever has not come to rest by now will not.
const TRIES: usize = 40;

/// How often threads of the process went to sleep, or were made to, so far.
fn switches(worker: &Worker) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", worker.child.id())).unwrap();
    let of_task = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        counts.map(|line| line.rsplit('\t').next().unwrap().parse::<u64>().unwrap()).sum::<u64>()
    };
    tasks.map(|task| of_task(task.unwrap())).sum()
}

fn layer(worker: &mut Worker, id: i32, compression: &str) {
    let compression = format!("--compression={compression}");
    worker.request(id, &["layer", "--output=o", &compression, "--file=f", "--to=f"]);
    let response = worker.response();
    assert_eq!((response.exit_code, &*response.output), (0, ""));
}

#[test]
fn an_idle_worker_does_not_wake_up() {
    let folder = Folder::new().with(&[("f", "content")]);
    let mut worker = Worker::start(folder.path(), &["--jobs=64", "--cache-dir=cache"]);
    layer(&mut worker, 1, "gzip:6");
    // Whoever polls does so more often than every three seconds. What still comes to rest after
    // the answer may take one of them.
    let quiet = (0..TRIES).any(|_| {
        let before = switches(&worker);
        assert!(before > 0, "nothing to count");
        sleep(Duration::from_secs(3));
        switches(&worker) == before
    });
    assert!(quiet, "something wakes up all the time");
    layer(&mut worker, 2, "gzip:6");
    assert!(worker.end().success());
}

#[test]
#[ignore = "takes a minute: `cargo xtask soak`"]
fn memory_is_given_back_after_a_large_layer() {
    let folder = Folder::new();
    let mut worker = Worker::start(folder.path(), &["--jobs=16", "--cache-dir=none"]);
    File::create(folder.path().join("f")).unwrap();
    layer(&mut worker, 1, "gzip:1");
    let before = worker.memory();
    File::create(folder.path().join("f")).unwrap().set_len(3 << 30).unwrap();
    layer(&mut worker, 2, "gzip:1");
    let mut after = worker.memory();
    for _ in 0..TRIES {
        after = worker.memory();
        if after < before + (24 << 20) {
            break;
        }
        sleep(Duration::from_secs(3));
    }
    assert!(after < before + (24 << 20), "{before} bytes before, {after} after");
    assert!(worker.end().success());
}
