//! `pylayer load`: what docker and podman are handed, and what is said where that cannot be.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::{ALL, image, layers, parts};
use crate::support::worker::Worker;
use crate::support::{Folder, Run};

/// A program in the folder `bin` that stands in for docker or podman.
fn program(folder: &Folder, name: &str, script: &str) {
    let path = folder.file(&format!("bin/{name}"), format!("#!/bin/sh\n{script}\n").as_bytes());
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// `pylayer load`, with nothing but those programs and the system's tools on PATH.
fn load(folder: &Folder, arguments: &[&str]) -> Run {
    let mut command = folder.command(&[&["load"], arguments].concat());
    Run::of(command.env("PATH", folder.path().join("bin")))
}

const KEEP: &str = "/bin/cat > got.tar; echo \"$0 $*\"";

#[test]
fn docker_is_handed_an_archive_that_holds_the_image() {
    let folder = layers();
    let made = image(&folder, "My.Image", &["--layer=a", "--layer=plain", "--cmd=/app"]);
    program(&folder, "docker", KEEP);
    program(&folder, "podman", "exit 9");
    let run = load(&folder, &["My.Image"]);
    let docker = folder.path().join("bin/docker");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(run.stdout, format!("{} load\n", docker.display()));

    // Another reader of Docker's archives finds the same image under its name.
    let copy = "docker-archive:got.tar:my.image:latest";
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["--insecure-policy", "copy", "--quiet", copy, "oci:back:x"]);
    let run = Run::of(skopeo.current_dir(folder.path()));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let back = parts(&folder.path().join("back"));
    assert_eq!(back.config["rootfs"], made.config["rootfs"]);
    assert_eq!(back.config["config"], made.config["config"]);
}

#[test]
fn podman_is_asked_where_there_is_no_docker_and_any_program_by_its_name() {
    let folder = layers();
    image(&folder, "out", &[&ALL[..], &["--tag=registry.test/app:v2"]].concat());
    program(&folder, "podman", KEEP);
    let manifest = || {
        let mut tar = Command::new("tar");
        let run =
            Run::of(tar.args(["-xOf", "got.tar", "manifest.json"]).current_dir(folder.path()));
        serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap()
    };
    assert_eq!(load(&folder, &["out"]).code, 0);
    assert_eq!(manifest()[0]["RepoTags"], serde_json::json!(["registry.test/app:v2"]));
    assert_eq!(manifest()[0]["Layers"].as_array().unwrap().len(), 3);
    program(&folder, "nerdctl", KEEP);
    fs::remove_file(folder.path().join("got.tar")).unwrap();
    let run = load(&folder, &["out", "--program=nerdctl", "--tag=a:1", "--tag=h:5000/b"]);
    assert!(run.stdout.ends_with("nerdctl load\n"), "{run:?}");
    assert_eq!(manifest()[0]["RepoTags"], serde_json::json!(["a:1", "h:5000/b:latest"]));
}

#[test]
fn what_keeps_an_image_from_being_loaded_is_said() {
    let folder = layers();
    image(&folder, "out", &ALL);
    fs::create_dir(folder.path().join("bin")).unwrap();
    let run = load(&folder, &["out"]);
    assert_eq!((run.code, run.stdout.as_str()), (3, ""));
    for said in ["`docker` or `podman` cannot be found", "`out`", "skopeo copy oci:out"] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    // It ends without reading, as docker does without its daemon.
    program(&folder, "docker", "echo no daemon >&2; exit 5");
    let run = load(&folder, &["out"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("no daemon"), "{}", run.stderr);
    assert!(run.stderr.contains("`docker load` failed: exit status: 5"), "{}", run.stderr);
    // A blob that is missing is known before anything is started.
    program(&folder, "docker", "echo started");
    let digest = parts(&folder.path().join("out")).manifest["layers"][0]["digest"].clone();
    let blob = format!("out/blobs/{}", digest.as_str().unwrap().replace(':', "/"));
    fs::remove_file(folder.path().join(blob)).unwrap();
    let run = load(&folder, &["out"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("a blob is missing"), "{}", run.stderr);
}

#[test]
fn a_worker_does_not_load_images() {
    let folder = layers();
    image(&folder, "out", &ALL);
    let mut worker = Worker::start(folder.path(), &[]);
    worker.request(1, &["load", "out", "--program=cat"]);
    let response = worker.response();
    assert_eq!(response.exit_code, 2);
    assert!(response.output.contains("for a shell"), "{}", response.output);
    worker.end();
}
