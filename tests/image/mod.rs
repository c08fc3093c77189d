//! `pylayer image`: what is in the layout, and what is refused.

mod base;
mod consumers;
mod load;
mod refused;
mod registry;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::worker::Worker;
use crate::support::{Folder, Run, sha256sum};

/// The index, the manifest, and the config of a layout with one image.
pub(crate) struct Parts {
    pub(crate) index: Value,
    pub(crate) manifest: Value,
    pub(crate) config: Value,
}

pub(crate) fn parts(layout: &Path) -> Parts {
    let parse = |path: &str| -> Value {
        serde_json::from_slice(&fs::read(layout.join(path)).unwrap()).unwrap()
    };
    let blob = |descriptor: &Value| {
        let name = descriptor["digest"].as_str().unwrap().replace(':', "/");
        let bytes = fs::read(layout.join("blobs").join(&name)).unwrap();
        assert_eq!(bytes.len() as u64, descriptor["size"].as_u64().unwrap());
        assert_eq!(sha256sum(&bytes), descriptor["digest"].as_str().unwrap());
        parse(&format!("blobs/{name}"))
    };
    let index = parse("index.json");
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    let manifest = blob(&index["manifests"][0]);
    let config = blob(&manifest["config"]);
    for layer in manifest["layers"].as_array().unwrap() {
        let name = layer["digest"].as_str().unwrap().replace(':', "/");
        let bytes = fs::read(layout.join("blobs").join(name)).unwrap();
        assert_eq!(sha256sum(&bytes), layer["digest"].as_str().unwrap());
    }
    Parts { index, manifest, config }
}

/// A folder with layers `a` and `b`, which have metadata, and `plain`, which has none.
pub(crate) fn layers() -> Folder {
    let folder = Folder::new().with(&[("t/a.py", "a"), ("t/b.py", "b"), ("t/c.py", "c")]);
    for (name, file, flags) in [
        ("a", "a.py", &["--compression=gzip", "--metadata=a.json"][..]),
        ("b", "b.py", &["--compression=zstd", "--metadata=b.json"]),
        ("plain", "c.py", &["--compression=none"]),
    ] {
        let (output, file) = (format!("--output={name}"), format!("--file=t/{file}"));
        let to = format!("--to=app/{name}.py");
        let run = folder.run(&[&["layer", &*output, &*file, &*to], flags].concat());
        assert_eq!((run.code, &*run.stderr), (0, ""));
    }
    folder
}

/// Makes an image, which must go well.
pub(crate) fn image(folder: &Folder, output: &str, arguments: &[&str]) -> Parts {
    let run = attempt(folder, output, arguments);
    assert_eq!((run.code, &*run.stdout), (0, ""), "{arguments:?}: {}", run.stderr);
    assert_eq!(run.stderr, "", "{arguments:?}");
    parts(&folder.path().join(output))
}

pub(crate) fn attempt(folder: &Folder, output: &str, arguments: &[&str]) -> Run {
    let output = format!("--output={output}");
    folder.run(&[&["image", &*output], arguments].concat())
}

pub(crate) const ALL: [&str; 5] =
    ["--layer=a", "--metadata=a.json", "--layer=b", "--metadata=b.json", "--layer=plain"];

#[test]
fn a_layout_has_all_that_is_asked_for() {
    let folder = layers();
    let flags = [
        "--entrypoint=/usr/bin/python3",
        "--entrypoint=-c",
        "--cmd=print(1)",
        "--env=A=1",
        "--env=PATH=/bin",
        "--env=A=2=3",
        "--user=1000:1000",
        "--workdir=/app",
        "--label=k=v",
        "--label=a.b=",
        "--exposed-port=8080",
        "--exposed-port=53/udp",
        "--volume=/data",
        "--stop-signal=SIGINT",
        "--platform=linux/arm64/v8",
        "--created=1700000000",
        "--tag=v1",
    ];
    let Parts { index, manifest, config } = image(&folder, "out", &[&ALL[..], &flags].concat());
    let expected = serde_json::json!({
        "Entrypoint": ["/usr/bin/python3", "-c"],
        "Cmd": ["print(1)"],
        "Env": ["A=2=3", "PATH=/bin"],
        "User": "1000:1000",
        "WorkingDir": "/app",
        "Labels": {"k": "v", "a.b": ""},
        "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "StopSignal": "SIGINT",
    });
    assert_eq!(config["config"], expected);
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");
    for (key, value) in [("os", "linux"), ("architecture", "arm64"), ("variant", "v8")] {
        assert_eq!(config[key], value);
        assert_eq!(index["manifests"][0]["platform"][key], value);
    }
    let name = &index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"];
    assert_eq!(name, "v1");

    let layers = manifest["layers"].as_array().unwrap();
    let suffixes = ["tar+gzip", "tar+zstd", "tar"];
    for (index, (name, suffix)) in ["a", "b", "plain"].iter().zip(suffixes).enumerate() {
        let blob = folder.read(name);
        assert_eq!(layers[index]["digest"], sha256sum(&blob));
        assert!(layers[index]["mediaType"].as_str().unwrap().ends_with(&format!("v1.{suffix}")));
        let diff_id = sha256sum(&crate::support::decompress(&blob));
        assert_eq!(config["rootfs"]["diff_ids"][index], diff_id);
        assert!(config["history"][index]["created_by"].as_str().unwrap().ends_with(name));
    }
    assert_eq!(folder.read("out/oci-layout"), b"{\"imageLayoutVersion\":\"1.0.0\"}");
}

#[test]
fn metadata_and_reading_tell_the_same() {
    let folder = layers();
    image(&folder, "told", &ALL);
    image(&folder, "read", &["--layer=a", "--layer=b", "--layer=plain"]);
    let by_order = ["--metadata=a.json", "--metadata=b.json", "--layer=a", "--layer=b", "--link"];
    image(&folder, "linked", &by_order);
    image(&folder, "two", &["--layer=a", "--layer=b"]);
    assert_eq!(folder.read("told/index.json"), folder.read("read/index.json"));
    assert_eq!(folder.read("linked/index.json"), folder.read("two/index.json"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = layers();
    let labels: Vec<String> = (0..40).map(|number| format!("--label=l{number}=v")).collect();
    let labels: Vec<&str> = labels.iter().map(|label| &**label).collect();
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..5 {
        let output = format!("out{round}");
        image(&folder, &output, &[&ALL[..], &labels].concat());
        seen.insert(folder.read(&format!("{output}/index.json")));
    }
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_layer_with_metadata_is_not_read() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = layers();
    // Its size alone tells that it is the metadata's: another content would be seen by reading.
    let other = vec![b'x'; folder.read("a").len()];
    folder.file("other", &other);
    let run = attempt(&folder, "out", &["--layer=other", "--metadata=a.json", "--link"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let name = sha256sum(&folder.read("a")).replace(':', "/");
    let blob = folder.path().join("out/blobs").join(name);
    assert_eq!(fs::read(&blob).unwrap(), other);
    let [blob, layer] = [blob, folder.path().join("other")].map(|it| fs::metadata(it).unwrap());
    // Where blocks can be shared, they are, and it is a file of its own.
    assert!(blob.ino() == layer.ino() || layer.nlink() == 1);
}

#[test]
fn what_is_there_gives_way_only_if_it_is_empty_or_a_layout() {
    let folder = layers();
    fs::create_dir(folder.path().join("out")).unwrap();
    image(&folder, "out", &["--layer=a"]);
    let old = folder.read("out/index.json");
    image(&folder, "out", &["--layer=b"]);
    assert_ne!(folder.read("out/index.json"), old);
    let names = folder.names();
    assert_eq!(names, ["a", "a.json", "b", "b.json", "out", "plain", "t"]);

    folder.file("out/mine", b"kept");
    let before = folder.read("out/index.json");
    let run = attempt(&folder, "out", &["--layer=a"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("other files"), "{}", run.stderr);
    assert_eq!((folder.read("out/mine"), folder.read("out/index.json")), (b"kept".into(), before));
    assert_eq!(folder.names(), names);
}

#[test]
fn empty_layers_and_layers_given_twice_are_left_out() {
    let folder = layers();
    for (name, flags) in [("none", &["--metadata=none.json"][..]), ("zeros", &[])] {
        let output = format!("--output={name}");
        assert_eq!(folder.run(&[&["layer", &*output], flags].concat()).code, 0);
    }
    let arguments = [
        "--layer=a",
        "--layer=none",
        "--metadata=none.json",
        "--layer=zeros",
        "--layer=a",
        "--layer=b",
    ];
    let run = attempt(&folder, "out", &arguments);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for said in [
        "without entries is left out of the image: `none`, `zeros`",
        "is left out, because the image has it already: `a`",
    ] {
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    let Parts { manifest, config, .. } = parts(&folder.path().join("out"));
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
    let empty: Vec<bool> = config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["empty_layer"].as_bool().unwrap_or_default())
        .collect();
    assert_eq!(empty, [false, true, true, true, false]);
}

#[test]
fn a_worker_makes_images_in_its_sandbox_and_can_be_told_to_stop() {
    let folder = layers();
    let sandbox = folder.path().join("sandbox");
    fs::create_dir_all(sandbox.join("bin/out")).unwrap();
    for name in ["a", "a.json", "plain"] {
        folder.link(&format!("sandbox/{name}"), folder.path().join(name));
    }
    image(&folder, "expected", &["--layer=a", "--metadata=a.json", "--layer=plain"]);
    let mut worker = Worker::start(folder.path(), &[]);
    let arguments = ["image", "--output=bin/out", "--layer=a", "--layer=plain"];
    let mut request = crate::support::worker::request(1, &arguments);
    request.sandbox_dir = "sandbox".to_owned();
    worker.send(&request);
    let response = worker.response();
    assert_eq!((response.exit_code, &*response.output), (0, ""));
    assert_eq!(folder.read("sandbox/bin/out/index.json"), folder.read("expected/index.json"));

    // A pipe's worth of nothing that is a tar archive for ever.
    let endless = fs::File::create(folder.path().join("endless")).unwrap();
    endless.set_len(1 << 40).unwrap();
    worker.request(2, &["image", "--output=never", "--layer=endless"]);
    worker.cancel(2);
    assert!(worker.response().was_cancelled);
    worker.request(3, &["image", "--output=never", "--layer=endless"]);
    worker.request(4, &["image", "--output=./never", "--layer=a"]);
    let mut responses = [worker.response(), worker.response()];
    responses.sort_by_key(|response| response.request_id);
    assert_ne!(responses[0].exit_code, 0, "given up for the newer one");
    assert_eq!(responses[1].exit_code, 0, "{}", responses[1].output);
    assert!(worker.end().success());
    let left = folder.names();
    assert!(!left.iter().any(|name| name.starts_with('.')), "{left:?}");
}
