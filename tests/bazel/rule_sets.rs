//! Rule sets that the environment names, newer than those of this machine.
//!
//! `PYLAYER_RULES_PYTHON=FOLDER` is a checkout of `rules_python` 2.3 or later. What it depends on comes
//! from the registry, or from the folder of modules that `PYLAYER_MODULES` names, one a subfolder.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rules_python::check_image;
use crate::scene::{Scene, root};
use crate::support::Run;

/// How a binary of `rules_python` starts. Each writes other files into its runfiles.
const BOOTSTRAPS: [&[&str]; 3] = [
    &["--@rules_python//python/config_settings:bootstrap_impl=system_python"],
    &["--@rules_python//python/config_settings:bootstrap_impl=script"],
    &[
        "--@rules_python//python/config_settings:bootstrap_impl=script",
        "--@rules_python//python/config_settings:venvs_site_packages=yes",
    ],
];

#[expect(clippy::disallowed_methods, reason = "the environment says what to test with")]
fn folder(variable: &str) -> Option<PathBuf> {
    let folder = env::var_os(variable).map(PathBuf::from)?;
    Some(
        fs::canonicalize(&folder)
            .unwrap_or_else(|why| panic!("{variable}: {}: {why}", folder.display())),
    )
}

/// Options that have Bazel take modules from folders.
fn overrides(rule_set: &str, checkout: &Path) -> Vec<String> {
    let mut modules = vec![(rule_set.to_owned(), checkout.to_owned())];
    for entry in folder("PYLAYER_MODULES").into_iter().flat_map(|all| fs::read_dir(all).unwrap()) {
        let entry = entry.unwrap();
        let path = fs::canonicalize(entry.path()).unwrap();
        modules.push((entry.file_name().into_string().unwrap(), path));
    }
    let option =
        |(name, path): (_, PathBuf)| format!("--override_module={name}={}", path.display());
    modules.into_iter().map(option).collect()
}

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
    let text = include_str!("rule_sets/rules_python.MODULE.bazel");
    let text = text.replace("PYTHON_VERSION", version.trim());
    let text = text.replace("PYLAYER", root().to_str().unwrap());
    fs::write(scene.workspace.join("MODULE.bazel"), text).unwrap();
    for bootstrap in BOOTSTRAPS {
        let mut options = overrides("rules_python", &checkout);
        options.extend(bootstrap.iter().map(ToString::to_string));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        check_image(&scene.build(&options));
    }
}
