//! Rule sets that the environment names, newer than those of this machine.
//!
//! `PYLAYER_RULES_PYTHON=FOLDER` is a checkout of `rules_python` 2.3 or later, `PYLAYER_RULES_PY` one of
//! `rules_py` 2.0, and `PYLAYER_RULES_OCI` one of `rules_oci` 2.3. What they depend on comes from the
//! registry, or from the folder of modules that `PYLAYER_MODULES` names, one a subfolder.
//! `docs/reference/compatibility.md` says which checkouts and modules were run.

mod rules_oci;
mod rules_py;
mod rules_python;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::scene::Scene;

/// The folder that a variable names.
#[expect(clippy::disallowed_methods, reason = "the environment says what to test with")]
fn folder(variable: &str) -> Option<PathBuf> {
    let folder = env::var_os(variable).map(PathBuf::from)?;
    Some(
        fs::canonicalize(&folder)
            .unwrap_or_else(|why| panic!("{variable}: {}: {why}", folder.display())),
    )
}

/// Has Bazel take rule sets from their checkouts, and modules from folders.
fn use_folders(scene: &Scene, checkouts: &[(&str, PathBuf)]) {
    let mut modules: Vec<(String, PathBuf)> =
        checkouts.iter().map(|(name, path)| ((*name).to_owned(), path.clone())).collect();
    for entry in folder("PYLAYER_MODULES").into_iter().flat_map(|all| fs::read_dir(all).unwrap()) {
        let entry = entry.unwrap();
        let path = fs::canonicalize(entry.path()).unwrap();
        modules.push((entry.file_name().into_string().unwrap(), path));
    }
    let file = scene.workspace.join("MODULE.bazel");
    let mut text = fs::read_to_string(&file).unwrap();
    let mut options = String::new();
    for (name, path) in modules {
        writeln!(options, "common --override_module={name}={}", path.display()).unwrap();
        // It is an error to override a module that nothing depends on.
        let dependency = format!("bazel_dep(name = \"{name}\"");
        if !text.contains(&dependency) {
            writeln!(text, "{dependency})").unwrap();
        }
    }
    fs::write(file, text).unwrap();
    fs::write(scene.workspace.join(".bazelrc"), options).unwrap();
}
