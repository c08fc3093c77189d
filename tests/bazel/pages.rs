//! The Bazel commands of README, tutorials, and how-to guides, run in the workspace of the tutorial.
//!
//! Modules of the registry cannot be fetched everywhere, so `MODULE.bazel` is that of
//! `tests/bazel/rules_python`, and the base image is one that the test makes. All else is as the
//! page has it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::scene::{Scene, worker};
use crate::support::pages::{Block, base, blocks, is_for_bazel, pages, read, shell};
use crate::support::{Folder, Run};

/// Adds the base image that the pages call `@python_base`.
const BASE: &str = r#"
new_local_repository = use_repo_rule("@bazel_tools//tools/build_defs/repo:local.bzl", "new_local_repository")

new_local_repository(
    name = "python_base",
    build_file_content = "filegroup(name = 'python_base', srcs = glob(['**']), visibility = ['//visibility:public'])",
    path = "@PATH@",
)
"#;

/// The `py_binary` that README takes for granted.
const BINARY: &str = r#"
load("@rules_python//python:defs.bzl", "py_binary")

py_binary(
    name = "app",
    srcs = ["app.py"],
    deps = ["@pip//flask"],
)
"#;

fn of_language(page: &str, language: &str) -> Vec<Block> {
    blocks(&read(page)).into_iter().filter(|block| block.language == language).collect()
}

/// The BUILD file that a page puts together, without what is for `MODULE.bazel`.
fn build_file(page: &str) -> String {
    let of_build = |block: &Block| {
        let first = block.text.lines().next().unwrap_or_default();
        first.starts_with("load(\"@pylayer//py:defs.bzl\"") && !block.text.contains("oci_image")
    };
    let texts = of_language(page, "starlark").into_iter().filter(of_build).map(|block| block.text);
    texts.collect::<Vec<_>>().join("\n")
}

/// Runs those shell blocks of a page in which Bazel is called; gives what each printed.
fn run(page: &str, scene: &Scene, state: &Path) -> Vec<String> {
    let of_bazel = of_language(page, "sh").into_iter().filter(is_for_bazel);
    let said = of_bazel.map(|block| {
        // In its root Bazel looks for itself on PATH, and must not find the script.
        let script = format!("bazel() {{ {} \"$@\"; }}\n{}", script(state), block.text);
        let mut command = shell(&script, &scene.workspace, state, &worker());
        let Run { code, stdout, stderr } = Run::of(&mut command);
        assert_eq!(code, 0, "{page}:\n{}\n{stdout}{stderr}", block.text);
        stdout
    });
    said.collect()
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn the_commands_of_pages_run() {
    let scene = Scene::copy("tests/bazel/rules_python", "pages");
    let state = Folder::new();
    let layout = scene.workspace.join("../pages-base");
    drop(fs::remove_dir_all(&layout));
    base(&layout);
    let module = scene.workspace.join("MODULE.bazel");
    let path = fs::canonicalize(&layout).unwrap().display().to_string();
    let text = fs::read_to_string(&module).unwrap() + &BASE.replace("@PATH@", &path);
    fs::write(&module, text).unwrap();
    bazel(&script(state.path()), &scene);

    let tutorial = "docs/tutorial/bazel.md";
    let [application] = &of_language(tutorial, "python")[..] else { panic!("one application") };
    fs::write(scene.workspace.join("app.py"), &application.text).unwrap();
    fs::write(scene.workspace.join("BUILD.bazel"), build_file(tutorial)).unwrap();
    let said = run(tutorial, &scene, state.path());
    assert_eq!(said.len(), 4, "{said:?}");
    assert_eq!(said[2].lines().last(), Some("<p>Hello, world!</p>"), "{said:?}");

    for page in pages("docs/how-to") {
        run(&page, &scene, state.path());
    }

    // README says that there is a binary.
    let text = format!("{BINARY}\n{}", build_file("README.md"));
    fs::write(scene.workspace.join("BUILD.bazel"), text).unwrap();
    fs::write(scene.workspace.join("app.py"), "print('ready')\n").unwrap();
    let said = run("README.md", &scene, state.path());
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].lines().last(), Some("ready"), "{said:?}");
}

fn script(state: &Path) -> String {
    state.join("bazel").display().to_string()
}

/// A script that runs the Bazel of the scene with the options that all tests have.
fn bazel(path: &str, scene: &Scene) {
    let line = xtask::shell::display(&scene.bazel.building("@COMMAND@"));
    let line = line.replace("@COMMAND@", "\"$1\"");
    fs::write(path, format!("#!/bin/bash\nexec env {line} \"${{@:2}}\"\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
