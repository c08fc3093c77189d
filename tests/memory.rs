//! Memory does not grow with the layer.

use std::fs::File;

use crate::support::worker::Worker;
use crate::support::{Folder, Run};

/// Builds a layer of one sparse file; gives the process's peak memory in bytes.
fn peak(folder: &Folder, jobs: u64, compression: &str, size: u64) -> u64 {
    File::create(folder.path().join("sparse")).unwrap().set_len(size).unwrap();
    let mut worker = Worker::start(folder.path(), &[&format!("--jobs={jobs}")]);
    let compression = format!("--compression={compression}");
    worker.request(1, &["layer", "--output=o", &compression, "--file=sparse", "--to=big"]);
    let response = worker.response();
    assert_eq!((response.exit_code, &*response.output), (0, ""));
    let peak = worker.peak_memory();
    assert!(worker.end().success());
    peak
}

#[test]
fn a_large_file_is_streamed() {
    let folder = Folder::new();
    for compression in ["gzip:1", "zstd:3", "none"] {
        for jobs in [1, 4] {
            let peak = peak(&folder, jobs, compression, 300 << 20);
            let limit = (64 + 16 * jobs) << 20;
            assert!(peak < limit, "{compression}, {jobs} threads: {peak} of {limit} bytes");
        }
    }
}

#[test]
fn a_request_of_nothing_but_empty_inputs_is_refused_unread() {
    let folder = Folder::new().with(&[("f", "content")]);
    let mut worker = Worker::start(folder.path(), &[]);
    // 30 Mi fields 2 of length 0.
    let body = b"\x12\x00".repeat(30 << 20);
    worker.send_frame(b"\x80\x80\x80\x1e");
    worker.send_frame(&body);
    let response = worker.response();
    assert_eq!(response.exit_code, 1);
    assert!(response.output.contains("31457280 arguments and inputs"), "{}", response.output);
    let peak = worker.peak_memory();
    assert!(peak < 4 * body.len() as u64, "{peak} bytes");
    worker.request(1, &["layer", "--output=o", "--file=f", "--to=x"]);
    assert_eq!(worker.response().exit_code, 0);
    assert!(worker.end().success());
}

#[test]
#[ignore = "takes a minute: `cargo xtask soak`"]
fn a_file_of_9_gib_needs_a_pax_size_and_no_more_memory() {
    let folder = Folder::new();
    let peak = peak(&folder, 2, "zstd:1", 9 << 30);
    assert!(peak < 96 << 20, "{peak} bytes");
    let listing = "zstd -dc o | tar -tvf - | awk '{print $3, $6}'";
    let run =
        Run::of(std::process::Command::new("sh").args(["-c", listing]).current_dir(folder.path()));
    assert_eq!(run.stdout, "9663676416 big\n", "{}", run.stderr);
}
