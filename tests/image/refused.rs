//! What `pylayer image` refuses: it says why and what to do, and leaves nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::{attempt, image, layers};
use crate::support::{Folder, Run};

/// The image must be refused with this exit code and these words, and nothing may be written.
fn refused(folder: &Folder, arguments: &[&str], code: i32, words: &[&str]) {
    let before = folder.names();
    let run = attempt(folder, "refused", arguments);
    assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "{arguments:?}: {word}: {}", run.stderr);
    }
    assert!(run.stderr.contains("hint: "), "{arguments:?}: {}", run.stderr);
    assert_eq!(folder.names(), before);
}

#[test]
fn layers_that_are_not_what_they_should_be() {
    let folder = layers();
    folder.file("text", &b"no archive\n".repeat(100));
    folder.file("short", b"no archive");
    folder.file("xz", b"\xfd7zXZ\0\0\x04");
    folder.file("trailing", &[folder.read("a"), vec![0; 512]].concat());
    folder.file("cut", &folder.read("a")[..60]);
    folder.file("skippable", &[&b"\x50\x2a\x4d\x18\0\0\0\0"[..], &folder.read("b")].concat());
    folder.file("not.json", b"[]");
    let zipped = Run::of(Command::new("gzip").args(["-k", "text"]).current_dir(folder.path()));
    assert_eq!(zipped.code, 0);
    let metadata = String::from_utf8(folder.read("a.json")).unwrap();
    folder.file("docker.json", metadata.replace("vnd.oci.image.layer.v1", "x").as_bytes());
    for (arguments, words) in [
        (&["--layer=text"][..], &["`text`", "tar archive"][..]),
        (&["--layer=short"], &["`short`", "not a layer"]),
        (&["--layer=text.gz"], &["`text.gz`", "not a layer"]),
        (&["--layer=xz"], &["`xz`", "gzip or zstd"]),
        (&["--layer=trailing"], &["`trailing`", "no gzip data"]),
        (&["--layer=skippable"], &["`skippable`", "skopeo and podman"]),
        (&["--layer=b", "--metadata=a.json"], &["another layer's", "`b`", "a.json"]),
        (&["--layer=a", "--metadata=not.json"], &["not.json", "pylayer layer --metadata"]),
        (&["--layer=a", "--metadata=docker.json"], &["docker.json", "media type"]),
    ] {
        refused(&folder, arguments, 1, words);
    }
    let run = attempt(&folder, "refused", &["--layer=cut"]);
    assert_eq!((run.code, run.stderr.contains("damaged gzip data")), (1, true), "{}", run.stderr);
    let run = attempt(&folder, "refused", &["--layer=missing"]);
    assert_eq!((run.code, run.stderr.contains("`missing`")), (1, true), "{}", run.stderr);
}

#[test]
fn outputs_that_would_destroy_something() {
    let folder = layers();
    folder.file("file", b"kept");
    symlink("nowhere", folder.path().join("link")).unwrap();
    image(&folder, "layout", &["--layer=a"]);
    let before = folder.read("layout/index.json");
    for (output, arguments, code) in [
        ("file", &["--layer=a"][..], 1),
        ("link", &["--layer=a"], 1),
        ("t", &["--layer=a"], 1),
        ("no/such/folder", &["--layer=a"], 1),
        (".", &["--layer=a"], 1),
        ("-", &["--layer=a"], 2),
        ("layout", &["--base=layout", "--layer=b"], 1),
    ] {
        let run = attempt(&folder, output, arguments);
        assert_eq!(run.code, code, "{output}: {}", run.stderr);
        assert!(run.stderr.contains("hint: "), "{output}: {}", run.stderr);
    }
    assert_eq!((folder.read("file"), folder.read("layout/index.json")), (b"kept".into(), before));
}

#[test]
fn too_many_layers() {
    let folder = Folder::new();
    let mut arguments = Vec::new();
    for number in 0..128 {
        folder.file(&format!("f{number}"), number.to_string().as_bytes());
        let line =
            [format!("--output=l{number}"), format!("--file=f{number}"), "--to=f".to_owned()];
        let line: Vec<&str> = line.iter().map(|word| &**word).collect();
        assert_eq!(folder.run(&[&["layer", "--compression=none"], &*line].concat()).code, 0);
        arguments.push(format!("--layer=l{number}"));
    }
    let arguments: Vec<&str> = arguments.iter().map(|word| &**word).collect();
    refused(&folder, &arguments, 1, &["128 layers", "127", "py_layer_tier"]);
    image(&folder, "most", &arguments[1..]);
    let run = attempt(&folder, "more", &["--base=most", "--layer=l0"]);
    assert_eq!(run.code, 1, "the base's layers count");
}

#[test]
fn bases_that_are_no_image() {
    let folder = layers();
    image(&folder, "base", &["--layer=a"]);
    refused(&folder, &["--base=t"], 1, &["`t`", "skopeo copy"]);
    refused(&folder, &["--base=missing"], 1, &["there is no image layout `missing`"]);
    refused(&folder, &["--base=base", "--platform=linux/arm64"], 1, &["linux/amd64 (latest)"]);

    let blob = |name: &str| {
        let parts = super::parts(&folder.path().join("base"));
        let digest = match name {
            "layer" => parts.manifest["layers"][0]["digest"].clone(),
            "config" => parts.manifest["config"]["digest"].clone(),
            _ => parts.index["manifests"][0]["digest"].clone(),
        };
        format!("base/blobs/{}", digest.as_str().unwrap().replace(':', "/"))
    };
    for name in ["layer", "config", "manifest"] {
        let path = blob(name);
        let bytes = folder.read(&path);
        fs::remove_file(folder.path().join(&path)).unwrap();
        refused(&folder, &["--base=base"], 1, &["a blob is missing", &path]);
        folder.file(&path, &bytes[1..]);
        refused(&folder, &["--base=base"], 1, &["its descriptor says", &path]);
        if name != "layer" {
            let mut wrong = bytes.clone();
            wrong[0] = b' ';
            folder.file(&path, &wrong);
            refused(&folder, &["--base=base"], 1, &["damaged", &path]);
        }
        folder.file(&path, &bytes);
    }
    folder.file("base/index.json", b"{\"schemaVersion\":2,\"manifests\":[]}");
    let run = attempt(&folder, "refused", &["--base=base"]);
    assert_eq!((run.code, run.stderr.contains("no image in")), (1, true), "{}", run.stderr);
    folder.file("base/oci-layout", b"{\"imageLayoutVersion\":\"2.0.0\"}");
    let run = attempt(&folder, "refused", &["--base=base"]);
    assert_eq!((run.code, run.stderr.contains("2.0.0")), (1, true), "{}", run.stderr);
}

#[test]
fn an_image_that_is_interrupted_leaves_nothing() {
    use std::os::unix::process::ExitStatusExt as _;
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let folder = Folder::new();
        // Its blob is copied for as long as it takes to end the process.
        let blob = fs::File::create(folder.path().join("layer")).unwrap();
        blob.set_len(16 << 30).unwrap();
        let digest = format!("sha256:{}", "0".repeat(64));
        let metadata = serde_json::json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": digest, "size": 16_u64 << 30, "diff_id": digest,
        });
        folder.file("layer.json", metadata.to_string().as_bytes());
        let arguments = ["image", "--output=out", "--layer=layer", "--metadata=layer.json"];
        let mut child = folder.command(&arguments).spawn().unwrap();
        while folder.names().len() == 2 {
            std::thread::yield_now();
        }
        let child_id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(child_id, signal).unwrap();
        let status = child.wait().unwrap();
        // Where blocks are shared it may be done before the signal.
        assert!(status.success() || status.signal() == Some(signal.as_raw()), "{status}");
        let left = folder.names().into_iter().filter(|name| name.starts_with(".pylayer-"));
        assert_eq!(left.collect::<Vec<_>>(), [""; 0]);
    }
}
