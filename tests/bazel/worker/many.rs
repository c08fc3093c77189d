//! Many requests at once.

use std::fs;

use super::Layers;

/// More than the worker has slots, and far more than the machine has cores.
const MANY: usize = 24;

fn many(layers: &Layers) -> Vec<String> {
    let names: Vec<String> = (0..MANY).map(|number| format!("many{number}")).collect();
    let build = layers.scene.workspace.join("BUILD.bazel");
    let mut text = fs::read_to_string(&build).unwrap();
    for name in &names {
        text += &["layer(name = \"", name, "\", srcs = glob([\"", name, ".d/**\"]))\n"].concat();
    }
    fs::write(build, text).unwrap();
    names
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn more_requests_than_cores_and_slots_are_all_answered() {
    let layers = Layers::new("many");
    let names = many(&layers);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let targets = [&names[..], &["a"]].concat();
    let instances = [
        // One process, whose requests wait for each other.
        (1, &["--worker_max_multiplex_instances=24"][..]),
        // Several, with one cache.
        (3, &["--noworker_multiplex", "--worker_max_instances=3"]),
        // One again, in which each request has a directory of its own.
        (1, &["--experimental_worker_multiplex_sandboxing", "--worker_max_multiplex_instances=24"]),
    ];
    for (processes, options) in instances {
        for name in &names {
            // A size that no other row has, so that all are made anew.
            let lines = format!("{name} {options:?}\n").repeat(20_000);
            layers.write(name, "one.txt", lines);
        }
        // Workers of the rows before would be counted, too.
        layers.scene.bazel.shut_down().unwrap();
        let options = [&["--jobs=24", "--local_resources=cpu=24"], options].concat();
        layers.build(&targets, &options);
        let workers = layers.workers();
        assert!((1..=processes).contains(&workers.len()), "{options:?}: {workers:?}");
        layers.check(&targets);
    }
}
