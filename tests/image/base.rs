//! An image on a base: what it keeps, what is added, and which of several bases is meant.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{ALL, attempt, image, layers, parts};
use crate::support::{Folder, sha256sum};

/// Writes a blob; gives its descriptor.
fn put(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = sha256sum(bytes);
    let path = layout.join("blobs").join(digest.replace(':', "/"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
}

/// Docker's media types.
const DOCKER: [&str; 3] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];
/// OCI's.
const OCI: [&str; 3] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
];

/// An image of one layer, with all that Docker's configs have, by other hands.
fn foreign(folder: &Folder, layout: &str, types: [&str; 3], platform: (&str, &str)) -> Value {
    let layout = folder.path().join(layout);
    let blob = folder.read("a");
    let (architecture, variant) = platform;
    let config = json!({
        "architecture": architecture,
        "variant": variant,
        "os": "linux",
        "os.version": "6.1",
        "created": "2020-01-01T00:00:00Z",
        "container_config": {"Cmd": null},
        "config": {
            "Env": ["PATH=/usr/bin", "LANG=C"],
            "Cmd": ["bash"],
            "Entrypoint": ["/init"],
            "Labels": {"base": "1", "kept": "yes"},
            "Volumes": null,
            "ExposedPorts": {"80/tcp": {}},
            "User": "nobody",
            "WorkingDir": "/srv",
            "Healthcheck": {"Test": ["CMD", "true"]},
            "OnBuild": null,
        },
        "history": [{"created_by": "ADD rootfs", "created": "2020-01-01T00:00:00Z"},
                    {"created_by": "CMD bash", "empty_layer": true}],
        "rootfs": {"type": "layers", "diff_ids": [sha256sum(&crate::support::decompress(&blob))]},
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": types[0],
        "config": put(&layout, types[1], config.to_string().as_bytes()),
        "layers": [put(&layout, types[2], &blob)],
    });
    let mut descriptor = put(&layout, types[0], manifest.to_string().as_bytes());
    if !architecture.is_empty() {
        descriptor["platform"] =
            json!({"os": "linux", "architecture": architecture, "variant": variant});
    }
    descriptor
}

/// Writes the top of a layout.
fn index(folder: &Folder, layout: &str, manifests: &[Value]) {
    folder.file(&format!("{layout}/oci-layout"), b"{\"imageLayoutVersion\":\"1.0.0\"}");
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    folder.file(&format!("{layout}/index.json"), index.to_string().as_bytes());
}

#[test]
fn a_base_is_kept_and_added_to() {
    for types in [DOCKER, OCI] {
        let folder = layers();
        let descriptor = foreign(&folder, "base", types, ("arm64", "v8"));
        index(&folder, "base", std::slice::from_ref(&descriptor));
        let flags =
            ["--base=base", "--layer=b", "--env=LANG=C.UTF-8", "--env=X=", "--label=base=2"];
        let on_base = image(&folder, "out", &flags);
        let config = &on_base.config["config"];
        assert_eq!(config["Env"], json!(["PATH=/usr/bin", "LANG=C.UTF-8", "X="]));
        assert_eq!(config["Labels"], json!({"base": "2", "kept": "yes"}));
        for (key, value) in [
            ("Cmd", json!(["bash"])),
            ("Entrypoint", json!(["/init"])),
            ("ExposedPorts", json!({"80/tcp": {}})),
            ("User", json!("nobody")),
            ("WorkingDir", json!("/srv")),
            ("Healthcheck", json!({"Test": ["CMD", "true"]})),
        ] {
            assert_eq!(config[key], value, "{key}");
        }
        assert_eq!(on_base.config["created"], "2023-01-01T08:00:00Z");
        assert_eq!(on_base.config["os.version"], "6.1");
        let platform = json!({"os": "linux", "architecture": "arm64", "variant": "v8",
                              "os.version": "6.1"});
        assert_eq!(on_base.index["manifests"][0]["platform"], platform);
        let base = &on_base.manifest["annotations"]["org.opencontainers.image.base.digest"];
        assert_eq!(*base, descriptor["digest"]);
        let types: Vec<&str> = on_base.manifest["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| layer["mediaType"].as_str().unwrap())
            .collect();
        assert_eq!(types, [OCI[2], "application/vnd.oci.image.layer.v1.tar+zstd"]);
        assert_eq!(on_base.manifest["config"]["mediaType"], OCI[1]);
        let told: Vec<&str> = on_base.config["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["created_by"].as_str().unwrap())
            .collect();
        assert_eq!(told, ["ADD rootfs", "CMD bash", "pylayer image: b"]);

        let entry = image(&folder, "entry", &["--base=base", "--entrypoint=/app", "--user=1"]);
        assert_eq!(entry.config["config"]["Entrypoint"], json!(["/app"]));
        assert_eq!(entry.config["config"]["Cmd"], Value::Null, "the base's is for its own program");
        let both = image(&folder, "both", &["--base=base", "--entrypoint=/app", "--cmd=x"]);
        assert_eq!(both.config["config"]["Cmd"], json!(["x"]));
        let none = image(&folder, "none", &["--base=base", "--entrypoint="]);
        assert_eq!(none.config["config"]["Entrypoint"], Value::Null);
    }
}

#[test]
fn images_of_ours_are_bases() {
    let folder = layers();
    image(&folder, "whole", &[&ALL[..], &["--env=A=1", "--env=B=2"]].concat());
    image(&folder, "base", &["--layer=a", "--env=A=1"]);
    let on_base = ["--base=base", "--layer=b", "--layer=plain", "--env=B=2"];
    let on_base = image(&folder, "on_base", &on_base);
    assert_eq!(on_base.config, parts(&folder.path().join("whole")).config);
    let run = attempt(&folder, "again", &["--base=base", "--layer=a", "--layer=b"]);
    assert!(
        run.stderr.contains("is left out, because the image has it already: `a`"),
        "{}",
        run.stderr
    );
    assert_eq!(parts(&folder.path().join("again")).manifest["layers"].as_array().unwrap().len(), 2);
}

#[test]
fn one_of_several_bases_is_chosen_by_platform() {
    let folder = layers();
    let amd64 = foreign(&folder, "base", DOCKER, ("amd64", ""));
    let v6 = foreign(&folder, "base", OCI, ("arm", "v6"));
    let v7 = foreign(&folder, "base", OCI, ("arm", "v7"));
    let mut attestation = put(&folder.path().join("base"), OCI[0], b"not even read");
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    // As a registry has them: an index within the index.
    let nested = json!({"schemaVersion": 2, "manifests": [amd64, v6, v7, attestation]});
    let list = "application/vnd.docker.distribution.manifest.list.v2+json";
    let mut nested = put(&folder.path().join("base"), list, nested.to_string().as_bytes());
    nested["annotations"] = json!({"org.opencontainers.image.ref.name": "3.11"});
    index(&folder, "base", &[nested]);
    for (platform, found) in
        [("linux/amd64", amd64), ("linux/arm/v6", v6.clone()), ("linux/arm/v7", v7)]
    {
        let out = image(&folder, "out", &["--base=base", &format!("--platform={platform}")]);
        let base = &out.manifest["annotations"]["org.opencontainers.image.base.digest"];
        assert_eq!(*base, found["digest"], "{platform}");
    }
    let all = ["linux/amd64 (3.11)", "linux/arm/v6 (3.11)", "linux/arm/v7 (3.11)", "--platform"];
    for (flags, said) in [
        (&["--base=base"][..], "3 images in"),
        (&["--base=base", "--platform=linux/arm"], "2 images for linux/arm in"),
        (&["--base=base", "--platform=linux/s390x"], "no image for linux/s390x in"),
    ] {
        let run = attempt(&folder, "refused", flags);
        assert_eq!(run.code, 1);
        for said in all.into_iter().chain([said]) {
            assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
        }
    }
    // What was not asked for need not be there.
    let gone = v6["digest"].as_str().unwrap().replace(':', "/");
    fs::remove_file(folder.path().join("base/blobs").join(gone)).unwrap();
    image(&folder, "sparse", &["--base=base", "--platform=linux/amd64"]);
}
