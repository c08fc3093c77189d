//! `py_image`: the example's image on a base, handed to podman, and run from its layout.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::chroot::{base, python};
use crate::image::{is_root, layout, succeed, unpack, unpack_image};
use crate::scene::Scene;
use crate::support::{Folder, Run};

/// What an image's layout says: its manifest, and its config.
pub(crate) fn read(image: &Path) -> (Value, Value) {
    let parse =
        |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
        parse(&image.join("blobs").join(digest))
    };
    let manifest = blob(&parse(&image.join("index.json"))["manifests"][0]);
    let config = blob(&manifest["config"]);
    (manifest, config)
}

/// A base image as files, in a package of its own, and an image on it: `//:on_base`.
pub(crate) fn add_base(scene: &Scene, folder: &Folder) {
    let build = scene.build(&[]);
    let unpacked = folder.path().join("unpacked");
    unpack(&build.layers, &unpacked);
    let (layer, libraries) = base(folder.path(), &unpacked);
    let place = scene.workspace.join("base");
    layout(&[layer], &place.join("layout"));
    let python = python(&unpacked);
    let python = format!("/{}", python.strip_prefix(&unpacked).unwrap().display());
    let mut folders = BTreeSet::from([format!("{python}/lib")]);
    folders.extend(libraries.iter().map(|folder| folder.display().to_string()));
    let folders = folders.into_iter().collect::<Vec<_>>().join(":");
    let rules = format!(
        r#"
ENVIRONMENT = {{
    "LD_LIBRARY_PATH": "{folders}",
    "PATH": "{python}/bin:/usr/bin",
}}

py_image(
    name = "on_base",
    base = "//base",
    cmd = ["--self-check"],
    env = ENVIRONMENT,
    layers = [":image"],
    repo_tags = ["pylayer.test/webapi:v1"],
    user = "1000",
)
"#
    );
    let files = "filegroup(name = \"base\", srcs = glob([\"layout/**\"]), \
                 visibility = [\"//visibility:public\"])\n";
    fs::write(place.join("BUILD.bazel"), files).unwrap();
    let own = scene.workspace.join("BUILD.bazel");
    fs::write(&own, fs::read_to_string(&own).unwrap() + &rules).unwrap();
}

/// Runs what an unpacked image says, in its root, as a user.
pub(crate) fn run(root: &Path, config: &Value, user: &str) {
    let texts = |value: &Value| -> Vec<String> {
        let list = value.as_array().unwrap().iter();
        list.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut chroot = Command::new("/usr/sbin/chroot");
    chroot.arg(format!("--userspec={user}:{user}")).arg("--groups=").arg(root).env_clear();
    chroot.envs(texts(&config["Env"]).iter().map(|line| line.split_once('=').unwrap()));
    chroot.args(texts(&config["Entrypoint"])).args(texts(&config["Cmd"]));
    let answer: Value = serde_json::from_str(&succeed(&mut chroot).stdout).unwrap();
    assert_eq!(answer["ok"], true, "as {user}: {answer}");
    assert_eq!(answer["answer"]["mean"], 2.5, "as {user}: {answer}");
}

fn script(folder: &Folder, name: &str, text: &str) -> String {
    let path = folder.file(name, format!("#!/bin/sh\n{text}\n").as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn an_image_is_built_loaded_and_run() {
    if !is_root() {
        println!("skipped: only root can own files as somebody else does, and call chroot");
        return;
    }
    let scene = Scene::copy("examples/webapi", "py_image");
    let folder = Folder::new();
    add_base(&scene, &folder);
    let mut build = scene.bazel.building("build");
    build.args(["//:on_base", "//:on_base.load"]);
    succeed(build.arg("--output_groups=+report"));
    let bin = scene.bazel.bin().unwrap();
    let image = bin.join("on_base");

    // The base's layer and the image's, by their metadata, in their order.
    let (manifest, config) = read(&image);
    let layers = scene.build(&[]).layers;
    let expected: Vec<Value> = layers
        .iter()
        .map(|layer| serde_json::from_slice(&fs::read(&layer.metadata).unwrap()).unwrap())
        .collect();
    let found = manifest["layers"].as_array().unwrap();
    assert_eq!(found.len(), 1 + expected.len());
    for (found, expected) in found[1..].iter().zip(&expected) {
        for key in ["digest", "size", "mediaType"] {
            assert_eq!(found[key], expected[key], "{key}");
        }
    }
    assert_eq!(config["config"]["Entrypoint"], json!(["/app"]));
    assert_eq!(config["config"]["User"], "1000");
    assert_eq!((&config["os"], &config["architecture"]), (&json!("linux"), &json!("amd64")));
    let page = fs::read_to_string(bin.join("on_base.html")).unwrap();
    assert!(page.contains("on_base") && page.contains("numpy"), "{} bytes", page.len());

    // The same image however it is made.
    let index = fs::read(image.join("index.json")).unwrap();
    for option in [
        "--strategy=PyImage=sandboxed",
        "--strategy=PyImage=local",
        "--experimental_worker_multiplex_sandboxing",
    ] {
        fs::remove_dir_all(&image).unwrap();
        succeed(scene.bazel.building("build").args(["//:on_base", option]));
        assert!(fs::read(image.join("index.json")).unwrap() == index, "{option}");
    }

    unpack_image(folder.path(), &format!("oci:{}:latest", image.display()), &[]);
    for user in ["0", "1000"] {
        run(&folder.path().join("bundle/rootfs"), &config["config"], user);
    }

    // podman loads it: what it then has in its own store runs, too.
    let store = Folder::new();
    let at = store.path().display();
    let podman = format!("podman --root={at}/root --runroot={at}/run --storage-driver=vfs");
    let program = script(&store, "podman", &format!("exec {podman} \"$@\""));
    let load = bin.join("on_base.load");
    let said = succeed(Command::new(&load).arg(format!("--program={program}")).current_dir("/"));
    assert!(said.stdout.contains("pylayer.test/webapi:v1"), "{said:?}");
    let mount = format!("{podman} image mount pylayer.test/webapi:v1");
    let mounted = succeed(Command::new("sh").args(["-c", &mount])).stdout;
    run(Path::new(mounted.trim()), &config["config"], "1000");

    // By `bazel run`, which finds neither docker nor podman in the root that it may be in.
    let keep = format!("cat >{at}/archive.tar && echo \"handed over: $*\"");
    let program = script(&store, "keep", &keep);
    let mut command = scene.bazel.building("run");
    command.args(["//:on_base.load", "--", &format!("--program={program}")]);
    assert!(succeed(&mut command).stdout.contains("handed over: load"));
    let listed = succeed(Command::new("tar").args(["-tf", &format!("{at}/archive.tar")])).stdout;
    assert_eq!(listed.lines().count(), 2 + found.len(), "{listed}");
    let mut command = scene.bazel.building("run");
    let refused = Run::of(command.args(["//:on_base.load", "--", "--program=/nowhere/docker"]));
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("`/nowhere/docker` cannot be found"), "{}", refused.stderr);
}
