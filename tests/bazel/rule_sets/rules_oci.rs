//! `rules_oci`: images of pylayer's layers, on pylayer's images and under them, pushed to a registry.

use std::fs;
use std::process::Command;

use serde_json::Value;
use xtask::bazel::Layer;

use super::{folder, use_folders};
use crate::image::{is_root, succeed, unpack_image};
use crate::py_image::{add_base, read, run};
use crate::scene::{Scene, root, worker};
use crate::support::Folder;
use crate::support::registry::Registry;

/// The images that are pushed: by `rules_oci` on one of pylayer, by pylayer, and the other way round.
const PUSHED: [&str; 3] = ["oci_on_base", "on_base", "on_oci"];

/// Adds the files of `rule_sets/rules_oci` to a workspace.
fn add_rules_oci(scene: &Scene) {
    let folder = root().join("tests/bazel/rule_sets/rules_oci");
    for name in ["BUILD.bazel", "MODULE.bazel"] {
        let file = scene.workspace.join(name);
        let [own, more] = [&file, &folder.join(name)].map(|file| fs::read_to_string(file).unwrap());
        fs::write(file, own + &more).unwrap();
    }
    let toolchains = scene.workspace.join("toolchains");
    fs::create_dir(&toolchains).unwrap();
    for entry in fs::read_dir(folder.join("toolchains")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), toolchains.join(entry.file_name())).unwrap();
    }
}

/// The last layers of an image are these, in all that their metadata says.
fn check_layers(manifest: &Value, config: &Value, layers: &[Layer]) {
    let found = manifest["layers"].as_array().unwrap();
    let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap();
    assert_eq!(found.len(), diff_ids.len());
    let below = found.len() - layers.len();
    for (place, layer) in (below..).zip(layers) {
        let metadata: Value = serde_json::from_slice(&fs::read(&layer.metadata).unwrap()).unwrap();
        for key in ["digest", "size", "mediaType"] {
            assert_eq!(found[place][key], metadata[key], "{key} of {layer:?}");
        }
        assert_eq!(diff_ids[place], metadata["diff_id"], "{layer:?}");
    }
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn rules_oci_of_the_environment_takes_layers_and_images() {
    let Some(checkout) = folder("PYLAYER_RULES_OCI") else {
        eprintln!("skipped: PYLAYER_RULES_OCI names no checkout of rules_oci");
        return;
    };
    if !is_root() {
        eprintln!("skipped: only root can own files as somebody else does, and call chroot");
        return;
    }
    xtask::sid::install(&["crane", "jq", "zstd"]).unwrap();
    let scene = Scene::copy("examples/webapi", "rule_sets_rules_oci");
    let own = Folder::new();
    add_base(&scene, &own);
    add_rules_oci(&scene);
    use_folders(&scene, &[("rules_oci", checkout)]);

    // gzip and zstd are among them.
    let layers = scene.build(&[]).layers;
    let mut build = scene.bazel.building("build");
    succeed(build.args(PUSHED.map(|name| format!("//:{name}"))).arg("//:oci_scratch"));
    let bin = scene.bazel.bin().unwrap();
    for (name, below) in [("oci_scratch", 0), ("oci_on_base", 1), ("on_oci", 0)] {
        let (manifest, config) = read(&bin.join(name));
        assert_eq!(manifest["layers"].as_array().unwrap().len(), below + layers.len(), "{name}");
        check_layers(&manifest, &config, &layers);
    }

    let registry = Registry::start(own.path()).expect("docker-registry");
    for name in PUSHED {
        let mut push = scene.bazel.building("run");
        push.args([&format!("//:push_{name}"), "--"]);
        succeed(push.arg(format!("--repository={}/{name}", registry.address)));
        let back = own.path().join(name);
        let mut pull = Command::new("skopeo");
        pull.args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"]);
        pull.args([
            "--src-tls-verify=false",
            &format!("docker://{}/{name}:{name}", registry.address),
        ]);
        succeed(pull.arg(format!("oci:{}:{name}", back.display())));
        let mut diff = Command::new(worker());
        succeed(diff.arg("diff").arg(bin.join(name)).arg(&back));
    }

    // What came back runs as rules_oci's config says, on pylayer's base.
    let image = own.path().join("oci_on_base");
    let (_, config) = read(&image);
    assert_eq!(config["config"]["User"], "1000");
    unpack_image(own.path(), &format!("oci:{}:oci_on_base", image.display()), &[]);
    run(&own.path().join("bundle/rootfs"), &config["config"], "1000");
}
