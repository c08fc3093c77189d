//! The worker as the host's cargo builds it, in a repository rule.

use std::fs;
use std::path::Path;

use crate::image::succeed;
use crate::scene::{MNEMONICS, Scene};

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn cargo_builds_the_worker_that_makes_the_layers() {
    let scene = Scene::copy("tests/bazel/odd", "cargo");
    // Not the tests' own, where it would take the place of the worker that they have.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host_cargo");
    let build = |environment: &[(&str, &str)]| {
        let mut command = scene.bazel.building("build");
        command.args(MNEMONICS.map(|mnemonic| format!("--strategy={mnemonic}=worker")));
        command.arg("//:image").env_remove("PYLAYER_BINARY").env_remove("CARGO");
        command.env("CARGO_TARGET_DIR", &target);
        command.envs(environment.iter().copied());
        command
    };
    scene.forget();
    succeed(&mut build(&[]));
    let repository = scene.repository("pylayer_host_cargo");
    let worker = repository.join("bin/pylayer");
    // A copy: the next `cargo build` writes its own while the worker runs.
    assert!(fs::symlink_metadata(&worker).unwrap().is_file());
    // It has run where Bazel does, whose C library may be newer than that of this machine.
    let logs = scene.worker_logs();
    assert_eq!(logs.len(), 1, "{logs:?}");

    // Without a worker it says what it has looked for, and what else there is.
    for (change, words) in [
        (&[("CARGO", "/nowhere/cargo")][..], ["/nowhere/cargo", "PYLAYER_BINARY"]),
        (&[("PYLAYER_BINARY", "target/pylayer")], ["target/pylayer", "absolute path"]),
        (&[("PYLAYER_BINARY", "/nowhere/pylayer")], ["/nowhere/pylayer", "unset it"]),
    ] {
        let output = build(change).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{change:?}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{change:?}: {said}");
    }
}
