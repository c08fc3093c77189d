//! The example's layers, put together: an image that runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use xtask::bazel::{Build, Layer, repository};

use crate::scene::Scene;
use crate::support::{Folder, Run, decompress, entries, sha256sum, tree};

pub(crate) fn succeed(command: &mut Command) -> Run {
    let run = Run::of(command);
    assert_eq!(run.code, 0, "{command:?}: {}{}", run.stdout, run.stderr);
    run
}

/// Whether files can be owned by somebody else, and chroot be called.
pub(crate) fn is_root() -> bool {
    succeed(Command::new("id").arg("-u")).stdout.trim() == "0"
}

/// GNU tar, layer after layer, as a container engine does.
pub(crate) fn unpack(layers: &[Layer], root: &Path) {
    fs::create_dir(root).unwrap();
    for layer in layers {
        let mut tar = Command::new("sh");
        tar.args(["-c", "umask 022; tar --extract --preserve-permissions --file=\"$0\""]);
        succeed(tar.arg(&layer.blob).current_dir(root));
    }
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn the_layers_run() {
    check_layers_run(&Scene::example().build(&[]));
}

/// No file of the example is in two layers, no link leads nowhere, and the application runs.
pub(crate) fn check_layers_run(build: &Build) {
    let mut destinations = BTreeSet::new();
    for layer in &build.layers {
        for entry in entries(&decompress(&fs::read(&layer.blob).unwrap())) {
            let first = entry.kind == "d" || destinations.insert(entry.path.clone());
            assert!(first, "{} is in two layers", entry.path);
        }
    }

    let folder = Folder::new();
    let root = folder.path().join("root");
    unpack(&build.layers, &root);
    let dangling = succeed(Command::new("find").arg(&root).args(["-xtype", "l"])).stdout;
    assert_eq!(dangling, "");
    let python = repository(&root.join("app.runfiles"), "python").unwrap();
    let run = succeed(
        Command::new(root.join("app"))
            .arg("--self-check")
            .current_dir("/")
            .env_clear()
            // The image's own interpreter, on the machine's libraries.
            .env("LD_LIBRARY_PATH", python.join("lib"))
            .env("PATH", format!("{}:/usr/bin:/bin", python.join("bin").display())),
    );
    let answer: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(answer["answer"]["mean"], 2.5, "{answer}");
}

/// An OCI image layout of layers, from their metadata.
pub(crate) fn layout(layers: &[Layer], folder: &Path) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |value: &Value, kind: &str| {
        let bytes = value.to_string().into_bytes();
        let digest = sha256sum(&bytes);
        fs::write(blobs.join(digest.trim_start_matches("sha256:")), &bytes).unwrap();
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}.v1+json"),
            "digest": digest,
            "size": bytes.len(),
        })
    };
    let mut descriptors = Vec::new();
    let mut diff_ids = Vec::new();
    for layer in layers {
        let metadata: Value = serde_json::from_slice(&fs::read(&layer.metadata).unwrap()).unwrap();
        let digest = metadata["digest"].as_str().unwrap();
        fs::copy(&layer.blob, blobs.join(digest.trim_start_matches("sha256:"))).unwrap();
        diff_ids.push(metadata["diff_id"].clone());
        descriptors.push(json!({
            "mediaType": metadata["mediaType"],
            "digest": digest,
            "size": metadata["size"],
        }));
    }
    let config = put(
        &json!({
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }),
        "config",
    );
    let mut manifest = put(
        &json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": descriptors,
        }),
        "manifest",
    );
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "test"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// skopeo and umoci make a root of the image `layout:test`: `bundle/rootfs`.
pub(crate) fn umoci(folder: &Path, options: &[&str]) {
    unpack_image(folder, "oci:layout:test", options);
}

/// skopeo and umoci make a root of an image: `bundle/rootfs` in `folder`. Debian 12's umoci knows no
/// zstd; skopeo makes gzip of it, and so must have read it. Both compare what they read with the
/// digests.
pub(crate) fn unpack_image(folder: &Path, image: &str, options: &[&str]) {
    succeed(Command::new("skopeo").current_dir(folder).args([
        "--insecure-policy",
        "copy",
        "--quiet",
        "--dest-compress",
        "--dest-compress-format=gzip",
        image,
        "oci:copy:test",
    ]));
    let mut umoci = Command::new("umoci");
    umoci.current_dir(folder).arg("unpack").args(options);
    succeed(umoci.args(["--image=copy:test", "bundle"]));
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn readers() {
    let build = Scene::example().build(&[]);
    let folder = Folder::new();
    let expected = folder.path().join("tar");
    unpack(&build.layers, &expected);

    layout(&build.layers, &folder.path().join("layout"));
    umoci(folder.path(), &["--rootless"]);
    let found = tree(&folder.path().join("bundle/rootfs"));
    let expected = tree(&expected);
    assert!(expected.len() > 3000, "{}", expected.len());
    let differ = found.iter().zip(&expected).find(|(found, expected)| found != expected);
    assert_eq!((differ, found.len()), (None, expected.len()));
}
