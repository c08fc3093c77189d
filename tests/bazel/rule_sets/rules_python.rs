//! `rules_python`: `pip.parse`, and all bootstraps of `py_binary`.

use std::fs;
use std::process::Command;

use super::{folder, use_folders};
use crate::rules_python::check_image;
use crate::scene::{Scene, root};
use crate::support::Run;

/// How a binary starts. Each writes other files into its runfiles.
const BOOTSTRAPS: [&[&str]; 4] = [
    &["--@rules_python//python/config_settings:bootstrap_impl=system_python"],
    &["--@rules_python//python/config_settings:bootstrap_impl=script"],
    &[
        "--@rules_python//python/config_settings:bootstrap_impl=script",
        "--@rules_python//python/config_settings:venvs_site_packages=yes",
    ],
    &[
        "--@rules_python//python/config_settings:bootstrap_impl=script",
        "--@rules_python//python/config_settings:venvs_use_declare_symlink=no",
    ],
];

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn rules_python_of_the_environment_makes_images_that_run() {
    let Some(checkout) = folder("PYLAYER_RULES_PYTHON") else {
        eprintln!("skipped: PYLAYER_RULES_PYTHON names no checkout of rules_python");
        return;
    };
    // The application of `rules_python.rs`, with another module file.
    let scene = Scene::copy("tests/bazel/rules_python", "rule_sets_rules_python");
    let version = "import sys; print('%d.%d' % sys.version_info[:2])";
    let version = Run::of(Command::new("python3").args(["-c", version])).stdout;
    let text = include_str!("rules_python.MODULE.bazel");
    let text = text.replace("PYTHON_VERSION", version.trim());
    let text = text.replace("PYLAYER", root().to_str().unwrap());
    fs::write(scene.workspace.join("MODULE.bazel"), text).unwrap();
    use_folders(&scene, &[("rules_python", checkout)]);
    for bootstrap in BOOTSTRAPS {
        check_image(&scene.build(bootstrap));
    }
}
