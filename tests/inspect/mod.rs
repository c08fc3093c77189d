//! `pylayer inspect`: layers and images, ours and others'.

use std::process::Command;

use serde_json::{Value, json};

use crate::image::{attempt, image, layers};
use crate::support::worker::Worker;
use crate::support::{Folder, Run, sha256sum};

/// Two packages with their `RECORD`s, and a file of no package.
fn packages() -> Folder {
    let big: Vec<String> = (0..20_000).map(|number| format!("x{number} = {number}\n")).collect();
    let big = big.concat();
    Folder::new().with(&[
        ("site-packages/one/__init__.py", "one"),
        ("site-packages/one/big.py", &big),
        ("site-packages/one/copy.py", &big),
        ("site-packages/one_single.py", "of one, though its name does not say so"),
        (
            "site-packages/one-1.5.dist-info/RECORD",
            "one/__init__.py,sha256=x,3\none/big.py,,\none/copy.py,,\none_single.py,,\n\
             one-1.5.dist-info/RECORD,,\n../bin/one,,\n",
        ),
        ("site-packages/two/__init__.py", "two"),
        ("bin/one", "#!one"),
        ("main.py", "main"),
    ])
}

fn inspect(folder: &Folder, arguments: &[&str]) -> String {
    let run = folder.run(&[&["inspect"], arguments].concat());
    assert_eq!((run.code, &*run.stderr), (0, ""), "{arguments:?}");
    run.stdout
}

fn json_of(folder: &Folder, path: &str) -> Value {
    serde_json::from_str(&inspect(folder, &[path, "--json"])).unwrap()
}

const TREE: [&str; 3] = ["--tree=site-packages", "--to=app/site-packages", "--file=bin/one"];
const REST: [&str; 3] = ["--to=app/bin/one", "--file=main.py", "--to=app/main.py"];

#[test]
fn a_layer_is_told_exactly() {
    for compression in ["none", "gzip", "zstd"] {
        let folder = packages();
        let flag = format!("--compression={compression}");
        let blob = folder.layer(&[&[&*flag, "--metadata=json"], &TREE[..], &REST].concat());
        let told = json_of(&folder, "out");
        let metadata: Value = serde_json::from_slice(&folder.read("json")).unwrap();
        let layer = &told["layers"][0];
        for (key, expected) in [
            ("digest", "digest"),
            ("diff_id", "diff_id"),
            ("size", "size"),
            ("mediaType", "mediaType"),
        ] {
            assert_eq!(layer[key], metadata[expected], "{compression}");
        }
        assert_eq!(layer["codec"], compression);
        assert_eq!(layer["trailing"], 0);
        let entries = crate::support::entries(&crate::support::decompress(&blob));
        let told_entries = told["entries"].as_array().unwrap();
        assert_eq!(entries.len(), told_entries.len());
        for (entry, told) in entries.iter().zip(told_entries) {
            assert_eq!(told["path"], entry.path.trim_end_matches('/'));
            assert_eq!(told["bytes"], entry.content.len());
            assert_eq!(told["mode"], format!("{:04o}", entry.mode));
            assert_eq!(told["mtime"], entry.mtime);
        }
        let compressed: u64 =
            told_entries.iter().map(|entry| entry["compressed"].as_u64().unwrap()).sum();
        assert!(compressed <= blob.len() as u64);
        assert!(compressed * 10 > blob.len() as u64 * 9, "{compressed} of {}", blob.len());

        let packages = told["packages"].as_array().unwrap();
        let named: Vec<(&str, u64)> = packages
            .iter()
            .map(|sum| (sum["name"].as_str().unwrap(), sum["files"].as_u64().unwrap()))
            .collect();
        assert_eq!(named, [("one", 5 + 1), ("", 1), ("two", 1)], "{compression}");
        assert_eq!(packages[0]["version"], "1.5");
        let big = folder.read("site-packages/one/big.py").len();
        let twice = &told["duplicates"][0];
        assert_eq!(twice["wasted"], big);
        assert_eq!(twice["paths"].as_array().unwrap().len(), 2);
        let directories = told["directories"].as_array().unwrap();
        let one = directories.iter().find(|sum| sum["name"] == "app/site-packages/one").unwrap();
        assert_eq!((&one["files"], &one["bytes"]), (&json!(3), &json!(2 * big + 3)));
    }
}

#[test]
fn a_segment_is_told_as_a_layer_is() {
    for compression in ["none", "gzip", "zstd"] {
        let folder = packages();
        let flag = format!("--compression={compression}");
        let arguments = [&[&*flag, "--package=pkg"], &TREE[..2]].concat();
        let run = folder.run(&[&["segment", "--output=s"], &arguments[..]].concat());
        assert_eq!((run.code, &*run.stderr), (0, ""));
        folder.layer(&arguments);
        let [segment, layer] = ["s", "out"].map(|path| json_of(&folder, path));
        assert_eq!((&segment["kind"], &segment["segment"]), (&json!("segment"), &json!("pkg")));
        assert_eq!(segment["packages"][0]["name"], "one");
        let files = |told: &Value| -> Vec<Value> {
            let all = told["entries"].as_array().unwrap().iter();
            all.filter(|entry| entry["kind"] == "file").map(|entry| entry["path"].clone()).collect()
        };
        assert_eq!(files(&segment), files(&layer), "{compression}");
        assert!(inspect(&folder, &["s"]).contains("segment of package `pkg`"));

        assert_eq!(folder.run(&["diff", "s", "s"]).code, 0);
        folder.file("site-packages/two/__init__.py", b"changed");
        let run = folder.run(&[&["segment", "--output=s2"], &arguments[..]].concat());
        assert_eq!(run.code, 0);
        let run = folder.run(&["diff", "s", "s2"]);
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stdout.contains("differ: content\n"), "{}", run.stdout);
        // As a layer it is refused.
        let run = attempt(&folder, "image", &["--layer=s"]);
        assert!(run.code == 1 && run.stderr.contains("--segment"), "{}", run.stderr);
    }
}

#[test]
fn people_get_tables() {
    let folder = packages();
    folder.layer(&[&TREE[..], &REST].concat());
    folder.file("odd/a\nb\x1b[31m.py", b"odd");
    folder.run(&["layer", "--output=odd.tar", "--tree=odd", "--to=odd"]);
    let text = inspect(&folder, &["out"]);
    for said in
        ["one 1.5", "KiB", "is there more than once", "app/site-packages/one/big.py", "diff_id"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains('\x1b'), "no colors");
    let odd = inspect(&folder, &["odd.tar", "--limit=2"]);
    assert!(odd.contains("a\\nb\\u{1b}[31m.py"), "{odd}");
}

#[test]
fn an_image_is_told_layer_by_layer() {
    let folder = layers();
    image(&folder, "out", &["--layer=a", "--layer=b", "--layer=plain", "--env=A=1", "--user=7"]);
    let told = json_of(&folder, "out");
    assert_eq!(told["kind"], "image");
    assert_eq!(told["image"]["platform"], "linux/amd64");
    assert_eq!(told["image"]["config"], json!({"Env": ["A=1"], "User": "7"}));
    let sizes: Vec<u64> = ["a", "b", "plain"].map(|name| folder.read(name).len() as u64).into();
    for (index, name) in ["a", "b", "plain"].iter().enumerate() {
        let layer = &told["layers"][index];
        assert_eq!(layer["digest"], sha256sum(&folder.read(name)));
        assert_eq!(layer["createdBy"], format!("pylayer image: {name}"));
    }
    assert_eq!(told["compressed"], sizes.iter().sum::<u64>());
    assert_eq!(told["pull"]["largestLayer"], *sizes.iter().max().unwrap());
    assert_eq!(told["overridden"], json!([]), "directories are in all layers");
    let text = inspect(&folder, &["out"]);
    for said in ["image for linux/amd64, 3 layers", "pylayer image: plain", "[\"A=1\"]"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert_eq!(attempt(&folder, "again", &["--base=out", "--layer=plain"]).code, 0);
}

#[test]
fn layers_of_others_are_read() {
    let folder = packages();
    let long = "d/".repeat(80);
    folder.file(&format!("site-packages/{long}deep.py"), b"deep");
    let hard = folder.path().join("site-packages/hard.py");
    std::fs::hard_link(folder.path().join("main.py"), &hard).unwrap();
    for (name, line) in [
        ("gnu.tar.gz", "tar -czf gnu.tar.gz main.py site-packages"),
        ("pax.tar", "tar --format=posix -cf pax.tar main.py site-packages"),
        (
            "zstd.tar.zst",
            "bsdtar --format=pax -cf - main.py site-packages | zstd -q > zstd.tar.zst",
        ),
        ("gzips", "tar -cf - main.py | gzip > gzips; gzip < /dev/null >> gzips"),
    ] {
        let run = Run::of(Command::new("sh").args(["-ec", line]).current_dir(folder.path()));
        assert_eq!(run.code, 0, "{line}: {}", run.stderr);
        let told = json_of(&folder, name);
        let entries = told["entries"].as_array().unwrap();
        let path = if name == "gzips" {
            "main.py".to_owned()
        } else {
            format!("site-packages/{long}deep.py")
        };
        let deep = entries.iter().find(|entry| entry["path"] == path);
        assert_eq!(deep.unwrap()["bytes"], 4, "{name}");
        if name != "gzips" {
            let hard = entries.iter().find(|entry| entry["path"] == "site-packages/hard.py");
            assert_eq!(hard.unwrap()["link"], "main.py", "{name}");
        }
    }
    assert_eq!(json_of(&folder, "gzips")["layers"][0]["members"], 2);

    // What follows the archive's end is lost: that is said.
    let line = "tar -cf one main.py; tar -cf two bin; cat one two > both";
    Run::of(Command::new("sh").args(["-ec", line]).current_dir(folder.path()));
    let both = json_of(&folder, "both");
    assert_eq!(both["entries"].as_array().unwrap().len(), 1);
    assert!(both["layers"][0]["trailing"].as_u64().unwrap() > 0);
    assert!(inspect(&folder, &["both"]).contains("which no tool extracts"));
}

#[test]
fn what_is_no_layer_is_refused() {
    let folder = packages();
    folder.file("cut", &folder.layer(&TREE[..2])[..2000]);
    for (arguments, code, said) in [
        (&["main.py"][..], 1, "not a layer"),
        (&["missing"], 1, "missing"),
        (&["bin"], 1, "not an OCI image layout"),
        (&["cut"], 1, "damaged gzip data"),
        (&[], 2, "FILE"),
        (&["out", "--jsn"], 2, "--json"),
    ] {
        let run = folder.run(&[&["inspect"], arguments].concat());
        assert_eq!((run.code, &*run.stdout), (code, ""), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn memory_does_not_grow_with_a_layer() {
    let folder = Folder::new();
    for (name, length) in [("small", 1 << 20), ("large", 200 << 20)] {
        std::fs::File::create(folder.path().join(name)).unwrap().set_len(length).unwrap();
        let (output, file) = (format!("--output={name}.gz"), format!("--file={name}"));
        assert_eq!(folder.run(&["layer", &output, &file, "--to=f"]).code, 0);
    }
    let peak = |name: &str| {
        let mut worker = Worker::start(folder.path(), &[]);
        worker.request(1, &["inspect", name]);
        let response = worker.response();
        assert_eq!(response.exit_code, 0, "{}", response.output);
        let peak = worker.peak_memory();
        assert!(worker.end().success());
        peak
    };
    let (small, large) = (peak("small.gz"), peak("large.gz"));
    assert!(large < small + (4 << 20), "{small} bytes, then {large}");
}
