//! Names and links that are easily got wrong, and layers that cannot be made.

use std::fs;

use crate::scene::{MNEMONICS, Scene, assert_same, bytes, remove, runners};
use crate::support::{decompress, entries};

/// Sources whose names Bazel takes for labels.
const SOURCES: [&str; 6] =
    ["a space.txt", "equals=.txt", "quo\"te.txt", "dollar$(x).txt", "ú.txt", "@at.txt"];

/// The modules that `make_tree.sh` makes, once in the package and once in a folder of it.
const MODULES: [&str; 7] = [
    "a space.py",
    "back\\slash.py",
    "equals=.py",
    "quo\"te.py",
    "dollar$(x).py",
    "é.py",
    "日本.py",
];

fn scene(name: &str) -> Scene {
    let scene = Scene::copy("tests/bazel/odd", name);
    fs::create_dir(scene.workspace.join("data")).unwrap();
    for source in SOURCES {
        fs::write(scene.workspace.join("data").join(source), source).unwrap();
    }
    scene.forget();
    scene
}

/// The layers' files and links: what is after the last known folder, and the content.
fn contents(blob: &[u8], folder: &str) -> Vec<(String, String)> {
    let entries = entries(&decompress(blob));
    let leaves = entries.iter().filter(|entry| entry.kind != "d");
    let below = leaves.filter_map(|entry| {
        let (_, path) = entry.path.split_once(folder)?;
        let content = match entry.kind.strip_prefix("l ") {
            Some(target) => format!("-> {target}"),
            None => String::from_utf8(entry.content.clone()).unwrap(),
        };
        Some((path.to_owned(), content))
    });
    let mut below: Vec<_> = below.collect();
    below.sort();
    below
}

fn strings<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let pairs = pairs.into_iter().map(|(path, content)| (path.to_owned(), content.to_owned()));
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    pairs
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn odd_names_and_links_are_right_in_a_worker_and_in_a_sandbox() {
    let scene = scene("odd");
    let worker = MNEMONICS.map(|mnemonic| format!("--strategy={mnemonic}=worker"));
    let sandboxed = MNEMONICS.map(|mnemonic| format!("--strategy={mnemonic}=sandboxed"));
    let by_worker = scene.build(&worker.each_ref().map(String::as_str));
    assert_eq!(runners(&by_worker), ["worker"; 2]);
    let expected = bytes(&by_worker.layers);

    let wheel = fs::read(&by_worker.layers[0].blob).unwrap();
    let mut package = strings([
        ("link.py", "-> a space.py"),
        ("link é.py", "-> real/é.py"),
        ("linked", "-> real"),
        ("real/up.py", "-> ../日本.py"),
    ]);
    for module in MODULES {
        package.push((module.to_owned(), format!("NAME = {module}\n")));
        package.push((format!("real/{module}"), format!("INNER = {module}\n")));
    }
    package.sort();
    assert_eq!(contents(&wheel, "site-packages/odd/"), package);
    let default = fs::read(&by_worker.layers[1].blob).unwrap();
    let sources = strings(SOURCES.map(|source| (source, source)));
    assert_eq!(contents(&default, "/data/"), sources);

    let sandboxed_worker = worker.iter().cloned().chain(["--worker_sandboxing".to_owned()]);
    for options in [sandboxed.to_vec(), sandboxed_worker.collect()] {
        remove(&by_worker.layers);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let again = scene.build(&options);
        assert_eq!(runners(&again).len(), 2);
        assert_same(&bytes(&again.layers), &expected, &format!("{options:?}"));
    }
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn a_layer_that_fails_says_why_and_can_be_mended() {
    let scene = scene("failing");
    let worker = MNEMONICS.map(|mnemonic| format!("--strategy={mnemonic}=worker"));
    let options = worker.each_ref().map(String::as_str);
    let server = || {
        let pid = scene.bazel.output_base().unwrap().join("server/server.pid.txt");
        fs::read_to_string(pid).unwrap()
    };
    let good = bytes(&scene.build(&options).layers);
    let first_server = server();

    let script = scene.workspace.join("make_tree.sh");
    let mended = fs::read_to_string(&script).unwrap();
    // In an image this name would delete a file of the layers below. (A link that leads nowhere
    // is Bazel's to refuse: the tree's action fails.)
    fs::write(&script, format!("{mended}touch .wh.gone.py\n")).unwrap();
    let failed = scene.bazel.build("//:image", &options).unwrap();
    assert!(!failed.success);
    for said in ["pylayer: ", "site-packages/odd/.wh.gone.py", "//:wheel failed"] {
        assert!(failed.said.contains(said), "{said}: {}", failed.said);
    }

    fs::write(&script, mended).unwrap();
    let again = scene.build(&options);
    // The package's segment is made, and is the one that the layer was made of.
    let made = again.actions.iter().filter(|action| action.is_segment());
    assert_eq!(made.map(|action| &*action.runner).collect::<Vec<_>>(), ["worker"]);
    assert_eq!(runners(&again), Vec::<&str>::new());
    assert_same(&bytes(&again.layers), &good, "after the fix");
    assert_eq!(server(), first_server);
    // One log: the worker that refused is the one that goes on.
    assert_eq!(scene.worker_logs().len(), 1);
}
