//! However an action runs, its layer has the same bytes.

use std::fs;

use crate::scene::{MNEMONICS, Scene, assert_same, bazel, build, bytes, remove, runners};

/// Flags that have all layers made in one way.
fn strategy(name: &str) -> Vec<String> {
    MNEMONICS.iter().map(|mnemonic| format!("--strategy={mnemonic}={name}")).collect()
}

/// The command lines of this machine's processes that have this word in them.
fn command_lines(word: &str) -> Vec<Vec<String>> {
    let processes = fs::read_dir("/proc").unwrap();
    let lines = processes.filter_map(|process| {
        let line = fs::read(process.unwrap().path().join("cmdline")).ok()?;
        let line: Vec<String> = line
            .split(|byte| *byte == 0)
            .map(|word| String::from_utf8_lossy(word).into())
            .collect();
        line.iter().any(|found| found == word).then_some(line)
    });
    lines.collect()
}

/// The layers of the example.
const LAYERS: usize = 7;

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn worker_sandboxed_and_local_layers_are_byte_identical() {
    let scene = Scene::example();
    scene.forget();
    let by_worker = scene.build(&[]);
    assert_eq!(runners(&by_worker), ["worker"; LAYERS], "{}", by_worker.said);
    let logs = scene.worker_logs();
    // One process for all mnemonics.
    assert_eq!(logs.len(), 1, "{logs:?}");
    assert!(logs[0].starts_with("multiplex-worker-"), "{logs:?}");
    let expected = bytes(&by_worker.layers);
    assert_eq!(expected.len(), 2 * LAYERS, "a blob and its metadata each");

    let [sandboxed, local, sandboxed_worker] =
        [strategy("sandboxed"), strategy("local"), vec!["--worker_sandboxing".to_owned()]];
    for (options, runner) in
        [(sandboxed, "sandbox"), (local, "local"), (sandboxed_worker, "worker")]
    {
        remove(&by_worker.layers);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let again = scene.build(&options);
        let found = runners(&again);
        assert_eq!(found.len(), LAYERS, "{options:?}: {found:?}");
        assert!(found.iter().all(|found| found.ends_with(runner)), "{options:?}: {found:?}");
        assert_same(&bytes(&again.layers), &expected, &format!("{options:?}"));
    }
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn two_output_bases_with_other_jobs_give_the_same_bytes() {
    let scene = Scene::example();
    let built = ["--jobs=1", "--jobs=2"].map(|jobs| {
        let bazel = bazel(&scene.workspace).with_output_base(&format!("base{jobs}"));
        let output_base = bazel.output_base().unwrap();
        bazel.clean().unwrap();
        drop(fs::remove_dir_all(output_base.join("pylayer")));
        // Bazel looks for the action's mnemonic here, not for the worker's: all of them need the
        // flag, or there are two processes.
        let mnemonics = MNEMONICS.iter().chain(&["PyImageLayerValidate"]);
        let flags: Vec<String> =
            mnemonics.map(|mnemonic| format!("--worker_extra_flag={mnemonic}={jobs}")).collect();
        let options: Vec<&str> = flags.iter().map(String::as_str).collect();
        let build = build(&bazel, &options);
        assert_eq!(runners(&build), ["worker"; LAYERS]);
        let prefix = output_base.to_str().unwrap();
        let mut workers = command_lines("--persistent_worker");
        workers.retain(|line| line[0].starts_with(prefix));
        assert_eq!(workers.len(), 1, "{workers:?}");
        assert!(workers[0].iter().any(|word| word == jobs), "{workers:?}");
        bytes(&build.layers)
    });
    assert_same(&built[0], &built[1], "--jobs=1 and --jobs=2");
}
