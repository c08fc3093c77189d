//! `rules_python` itself: `pip.parse`, `py_binary`, and an image of them that runs.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;
use xtask::bazel::{Build, Layer};

use crate::image::{succeed, unpack};
use crate::scene::{MNEMONICS, Scene, root, runners};
use crate::support::{Folder, decompress, entries};

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn packages_of_pip_parse_are_layers_of_an_image_that_runs() {
    let scene = Scene::copy("tests/bazel/rules_python", "rules_python");
    let worker = MNEMONICS.map(|mnemonic| format!("--strategy={mnemonic}=worker"));
    let build = scene.build(&worker.each_ref().map(String::as_str));
    assert!(runners(&build).iter().all(|runner| *runner == "worker"), "{:?}", build.actions);
    check_image(&build);
}

/// All of the example but its module file, which asks the network for a newer `rules_python` and
/// an interpreter.
#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn the_example_of_rules_python_is_an_image_that_runs() {
    let scene = Scene::copy("examples/rules_python", "example_rules_python");
    let module = include_str!("rules_python/MODULE.bazel");
    let module = module.replace("../../..", root().to_str().unwrap());
    fs::write(scene.workspace.join("MODULE.bazel"), module).unwrap();
    let build = scene.bazel.build("//:layers", &[]).unwrap();
    assert!(build.success, "{}", build.said);
    let folder = Folder::new();
    let root = folder.path().join("root");
    unpack(&build.layers, &root);
    let mut command = Command::new(root.join("app"));
    let run = succeed(command.arg("--print").current_dir("/").env_remove("PYTHONPATH"));
    let numbers = [0, 1, 4, 9, 16].map(|number| format!("<li>{number}</li>")).concat();
    assert_eq!(run.stdout.trim(), format!("<ul>{numbers}</ul>"));
}

/// Each package is in the layer of its group, and the application runs.
pub(crate) fn check_image(build: &Build) {
    let names = build.layers.iter().map(|layer| layer.blob.file_name().unwrap().to_str().unwrap());
    // A package is what the hub's alias leads to: `pkg`, or `srcs` in newer versions.
    let names: Vec<_> =
        names.map(|name| name.trim_start_matches("pkg").trim_start_matches("srcs")).collect();
    assert_eq!(
        names,
        [
            "_pip_layer.tar.gz",
            "app_merged_pip_layer_templates.tar.gz",
            "image_squashed.tar.gz",
            "image_default.tar.gz",
        ]
    );
    let packages = [
        &["werkzeug"][..],
        &["jinja2", "markupsafe"],
        &["blinker", "click", "flask", "itsdangerous"],
        &[],
    ];
    check_packages(&build.layers, &packages);

    let folder = Folder::new();
    let root = folder.path().join("root");
    unpack(&build.layers, &root);
    let run = succeed(Command::new(root.join("app")).current_dir("/").env_remove("PYTHONPATH"));
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["page"], "<p>1, 4, 9</p>");
    assert_eq!(answer["versions"]["werkzeug"], "3.1.9", "{answer}");
}

/// Each layer has these packages and none of the others' in it, and no file is in two layers.
pub(crate) fn check_packages(layers: &[Layer], packages: &[&[&str]]) {
    assert_eq!(layers.len(), packages.len(), "{layers:?}");
    let packages_of_all = packages.concat();
    let mut places = BTreeSet::new();
    for (layer, packages) in layers.iter().zip(packages) {
        let mut found = BTreeSet::new();
        for entry in entries(&decompress(&fs::read(&layer.blob).unwrap())) {
            if entry.kind == "d" {
                continue;
            }
            // Empty `__init__.py`s are where the files of their repositories are.
            assert!(!entry.path.contains("/_main/external/"), "{}", entry.path);
            // A virtual environment has links to packages. Bazel's own empty files are in layers without
            // packages.
            if let Some((_, path)) = entry.path.split_once("/site-packages/")
                && entry.kind == "f"
                && !(packages.is_empty()
                    && path.ends_with("/__init__.py")
                    && entry.content.is_empty())
            {
                found.extend(path.split('/').next().map(str::to_owned));
            }
            assert!(places.insert(entry.path.clone()), "{} is in two layers", entry.path);
        }
        // The rest is metadata, packages without a group, and what rules_python itself writes.
        found.retain(|name| packages_of_all.contains(&&**name));
        assert_eq!(found, packages.iter().map(ToString::to_string).collect(), "{layer:?}");
    }
}
