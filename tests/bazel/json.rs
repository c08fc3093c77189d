//! The JSON protocol as Bazel speaks it: `worker_protocol/examples/inputs.rs` in its hands.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::scene::{Scene, root};
use crate::support::{Run, sha256sum};

/// The targets; of the last two several may be asked of one process at once.
const TARGETS: [&str; 4] = ["one", "two", "three", "four"];

/// Builds the example.
fn example() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--locked", "--package=worker_protocol"]);
    cargo.args(["--features=json", "--example=inputs", "--message-format=json"]);
    let run = Run::of(&mut cargo);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let messages = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut built = messages.filter(|message| message["target"]["name"] == "inputs");
    let executable = built.find_map(|message| Some(message["executable"].as_str()?.into()));
    executable.expect("cargo says where the example is")
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn a_worker_that_speaks_json_is_understood_by_bazel() {
    let scene = Scene::copy("tests/bazel/json", "json");
    scene.bazel.clean().unwrap();
    // Logs of earlier runs would be counted, too.
    let base = scene.bazel.output_base().unwrap();
    drop(fs::remove_dir_all(base.join("bazel-workers")));
    fs::create_dir(scene.workspace.join("bin")).unwrap();
    fs::copy(example(), scene.workspace.join("bin/inputs")).unwrap();

    // The worker of the first round answers a second request.
    for round in 0..2 {
        let mut expected = Vec::new();
        for target in TARGETS {
            let mut lines = Vec::new();
            for name in ["a", "with space"] {
                let content = format!("{target} {name} {round} \"\\{{}}\"");
                let path = format!("{target}.d/{name}");
                fs::create_dir_all(scene.workspace.join(format!("{target}.d"))).unwrap();
                fs::write(scene.workspace.join(&path), &content).unwrap();
                let digest = sha256sum(content.as_bytes());
                lines.push(format!("{} {path}", digest.trim_start_matches("sha256:")));
            }
            expected.push(lines);
        }
        let options = ["--strategy=Inputs=worker", "--worker_max_instances=1"];
        let build = scene.bazel.build("//:all", &options).unwrap();
        assert!(build.success, "{}", build.said);
        let ran: Vec<_> =
            build.actions.iter().map(|action| (&*action.mnemonic, &*action.runner)).collect();
        assert_eq!(ran, [("Inputs", "worker"); TARGETS.len()]);
        for (target, lines) in TARGETS.iter().zip(expected) {
            let name = format!("{target}.inputs");
            let mut outputs = build.actions.iter().flat_map(|action| &action.outputs);
            let output = outputs.find(|output| output.ends_with(&name)).unwrap();
            let text = fs::read_to_string(base.join("execroot/_main").join(output)).unwrap();
            let found: Vec<&str> = text.lines().filter(|line| line.contains(".d/")).collect();
            assert_eq!(found, lines, "{target} in\n{text}");
        }
    }
    let logs = scene.worker_logs();
    assert_eq!(logs.len(), 2, "one process for each kind, in both rounds: {logs:?}");
}
