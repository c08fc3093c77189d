//! `rules_py`: `py_unpacked_wheel`, and `py_binary` with its environment of links.

use std::fs;

use super::{folder, use_folders};
use crate::image::check_layers_run;
use crate::rules_python::check_packages;
use crate::scene::{Scene, root};

/// What is in the layers of the tier's groups. The first layer is the interpreter's, the last two are
/// the squashed one and the application's.
const PACKAGES: [&[&str]; 7] = [
    &[],
    &["numpy", "numpy.libs"],
    &["numpy"],
    &["pandas"],
    &["blinker", "click", "flask", "itsdangerous", "jinja2", "markupsafe", "werkzeug"],
    &[],
    &[],
];

/// Has the example's targets be those of `rules_py`.
fn use_rules_py(scene: &Scene) {
    let place = |path: &str| scene.workspace.join(path);
    let folder = root().join("tests/bazel/rule_sets/rules_py");
    fs::rename(place("rules/hub.py"), place("rules/example_hub.py")).unwrap();
    for name in ["hub.py", "host_python.bzl"] {
        fs::copy(folder.join(name), place("rules").join(name)).unwrap();
    }
    let module = place("MODULE.bazel");
    let text = fs::read_to_string(&module).unwrap();
    fs::write(module, text + &fs::read_to_string(folder.join("MODULE.bazel")).unwrap()).unwrap();
    for package in ["app", "batch", "stats"] {
        let file = place(package).join("BUILD.bazel");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("@rules_python//python:defs.bzl"), "{text}");
        let text = text.replace("@rules_python//python:defs.bzl", "@aspect_rules_py//py:defs.bzl");
        fs::write(file, text).unwrap();
    }
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn rules_py_of_the_environment_makes_images_that_run() {
    let Some(checkout) = folder("PYLAYER_RULES_PY") else {
        eprintln!("skipped: PYLAYER_RULES_PY names no checkout of rules_py");
        return;
    };
    let scene = Scene::copy("examples/webapi", "rule_sets_rules_py");
    use_rules_py(&scene);
    let mut checkouts = vec![("aspect_rules_py", checkout)];
    checkouts.extend(folder("PYLAYER_RULES_PYTHON").map(|folder| ("rules_python", folder)));
    use_folders(&scene, &checkouts);
    let build_file = scene.workspace.join("app/BUILD.bazel");
    let plain = fs::read_to_string(&build_file).unwrap();
    // An environment that is a target of its own is of another kind, and has a launcher.
    for exposed in ["", "    expose_venv = True,\n", "    expose_venv_link = True,\n"] {
        let main = "    main = \"main.py\",\n";
        fs::write(&build_file, plain.replace(main, &format!("{exposed}{main}"))).unwrap();
        let build = scene.build(&[]);
        check_packages(&build.layers, &PACKAGES);
        check_layers_run(&build);
    }
    // The interpreter is among all else then.
    let build = scene.bazel.build("//:image_without_tier", &[]).unwrap();
    assert!(build.success, "{}", build.said);
    check_layers_run(&build);
}
