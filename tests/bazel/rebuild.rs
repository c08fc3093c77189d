//! What is made again after a change.

use std::fs;

use crate::scene::{Scene, bytes};

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn one_changed_source_runs_one_action() {
    let scene = Scene::copy("examples/webapi", "changed");
    scene.forget();
    let first = scene.build(&[]);
    let before = bytes(&first.layers);
    let unchanged = scene.build(&[]);
    let ran: Vec<_> = unchanged.actions.iter().map(|action| &action.outputs).collect();
    assert!(ran.is_empty(), "nothing has changed: {ran:?}");

    let source = scene.workspace.join("stats/summary.py");
    let text = fs::read_to_string(&source).unwrap();
    let changed = text.replacen("\"\"\"Statistics of a list", "\"\"\"The statistics of a list", 1);
    assert_ne!(text, changed);
    fs::write(&source, changed).unwrap();
    let second = scene.build(&[]);
    let ran: Vec<_> = second.actions.iter().map(|action| &*action.mnemonic).collect();
    assert_eq!(ran, ["PyImageLayer"]);
    let default = second.layers.last().unwrap();
    assert!(second.actions[0].made(&default.blob), "{:?}", second.actions);

    let after = bytes(&second.layers);
    let (wheels, sources) = before.split_at(before.len() - 2);
    assert!(wheels == &after[..wheels.len()], "a layer of wheels has changed");
    assert!(sources != &after[wheels.len()..], "the default layer has not changed");
}
