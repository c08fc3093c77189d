//! The committed message types are what the generators make of
//! `proto/worker_protocol.proto`.
//!
//! `UPDATE_GENERATED=1 cargo test -p worker_protocol --test generated` writes them anew.

#![allow(clippy::unwrap_used, reason = "the test fails then, as it should")]

use std::path::{Path, PathBuf};
use std::{env, fs};

fn crate_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn proto_dir() -> PathBuf {
    crate_dir().parent().unwrap().join("proto")
}

fn compare(committed: &Path, generated: &str) {
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(committed, generated).unwrap();
    }
    let found = fs::read_to_string(committed).unwrap_or_default();
    assert!(
        found == generated,
        "{} is not what proto/worker_protocol.proto gives; run this test with UPDATE_GENERATED=1",
        committed.display(),
    );
}

#[test]
fn prost_messages_are_current() {
    let descriptors = protox::compile(["worker_protocol.proto"], [proto_dir()]).unwrap();
    let out = tempfile::tempdir().unwrap();
    prost_build::Config::new().out_dir(out.path()).compile_fds(descriptors).unwrap();
    let generated = fs::read_to_string(out.path().join("blaze.worker.rs")).unwrap();
    compare(&crate_dir().join("src/messages.rs"), &generated);
}

#[test]
fn independent_messages_are_current() {
    let out = tempfile::tempdir().unwrap();
    protobuf_codegen::Codegen::new()
        .pure()
        .include(proto_dir())
        .input(proto_dir().join("worker_protocol.proto"))
        .out_dir(out.path())
        .run()
        .unwrap();
    let generated = fs::read_to_string(out.path().join("worker_protocol.rs")).unwrap();
    compare(&crate_dir().join("tests/independent/messages.rs"), &generated);
}
