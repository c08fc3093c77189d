//! `rules_python` itself: `pip.parse`, `py_binary`, and an image of them that runs.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::image::{succeed, unpack};
use crate::scene::{MNEMONICS, Scene, runners};
use crate::support::{Folder, decompress, entries};

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn packages_of_pip_parse_are_layers_of_an_image_that_runs() {
    let scene = Scene::copy("tests/bazel/rules_python", "rules_python");
    let worker = MNEMONICS.map(|mnemonic| format!("--strategy={mnemonic}=worker"));
    let build = scene.build(&worker.each_ref().map(String::as_str));
    assert!(runners(&build).iter().all(|runner| *runner == "worker"), "{:?}", build.actions);

    let names: Vec<_> = build.layers.iter().map(|layer| layer.blob.file_name().unwrap()).collect();
    assert_eq!(
        names,
        [
            "pkg_pip_layer.tar.gz",
            "app_merged_pip_layer_templates.tar.gz",
            "image_squashed.tar.gz",
            "image_default.tar.gz",
        ]
    );
    // Each package is in the layer of its group, and its files are there once.
    let packages = [
        &["werkzeug"][..],
        &["jinja2", "markupsafe"],
        &["blinker", "click", "flask", "itsdangerous"],
        &[],
    ];
    let mut places = BTreeSet::new();
    for (layer, packages) in build.layers.iter().zip(packages) {
        let mut found = BTreeSet::new();
        for entry in entries(&decompress(&fs::read(&layer.blob).unwrap())) {
            if entry.kind == "d" {
                continue;
            }
            if let Some((_, path)) = entry.path.split_once("/site-packages/") {
                found.extend(path.split('/').next().map(str::to_owned));
            }
            assert!(places.insert(entry.path.clone()), "{} is in two layers", entry.path);
        }
        // rules_python itself writes the one that is in no package.
        found.retain(|name| !name.ends_with(".dist-info") && name != "__init__.py");
        assert_eq!(found, packages.iter().map(ToString::to_string).collect(), "{layer:?}");
    }

    let folder = Folder::new();
    let root = folder.path().join("root");
    unpack(&build.layers, &root);
    let run = succeed(Command::new(root.join("app")).current_dir("/").env_remove("PYTHONPATH"));
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["page"], "<p>1, 4, 9</p>");
    assert_eq!(answer["versions"]["werkzeug"], "3.1.9", "{answer}");
}
