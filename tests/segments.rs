//! Segment files: layers of them have the very bytes of layers of the packages' own sources, and a
//! file that is not what it says is an error that names it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use proptest::prelude::*;

use crate::support::worker::Worker;
use crate::support::{Folder, Run, entries, listing};

/// Packages of random files and links, each below a folder of its own.
fn packages(rng: &mut Rng, folder: &Folder) -> Vec<Vec<String>> {
    let one = |number: usize, rng: &mut Rng| {
        let tree = format!("p{number}");
        fs::create_dir_all(folder.path().join(&tree)).unwrap();
        for file in 0..rng.usize(0..12) {
            let long = "x".repeat(rng.usize(1..120));
            let (below, up) = [("a", ".."), ("b/c", "../.."), ("é", "..")][rng.usize(0..3)];
            let path = format!("{tree}/{below}/{long}{file}");
            if rng.u8(0..5) == 0 {
                folder.file(&format!("{tree}/target"), b"here");
                folder.link(&path, format!("{up}/target"));
            } else {
                let length = if rng.u8(0..12) == 0 { 5 << 20 } else { rng.usize(0..9000) };
                let unit = rng.usize(1..40);
                let content: Vec<u8> =
                    (0..length).map(|at| u8::try_from(at / unit % 251).unwrap()).collect();
                folder.file(&path, &content);
            }
        }
        let mut sources = vec![format!("--tree={tree}"), format!("--to=site/{tree}")];
        if rng.bool() {
            sources.extend(["--empty".into(), format!("--to=site/{tree}/__init__.py")]);
        }
        if rng.bool() {
            sources.extend([
                "--directory".into(),
                format!("--to=var/{tree}"),
                "--mode=0700".into(),
            ]);
        }
        if rng.bool() {
            sources.push("--exclude=x1*".into());
        }
        sources
    };
    (0..rng.usize(1..6)).map(|number| one(number, rng)).collect()
}

fn run(folder: &Folder, command: &str, arguments: &[String]) -> Run {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    folder.run(&[&[command], &*arguments].concat())
}

fn fine(folder: &Folder, command: &str, arguments: &[String]) {
    let run = run(folder, command, arguments);
    assert_eq!((run.code, &*run.stdout), (0, ""), "{arguments:?}: {}", run.stderr);
}

fn with(common: &[String], more: &[&[String]]) -> Vec<String> {
    common.iter().chain(more.iter().copied().flatten()).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_mixture_of_segments_and_sources_gives_the_same_bytes(seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let folder = Folder::new();
        let packages = packages(&mut rng, &folder);
        let compression = ["none", "gzip:1", "gzip:6", "zstd:3"][rng.usize(0..4)];
        let mut common = vec![format!("--compression={compression}")];
        if rng.bool() {
            common.extend(["--owner=1000".into(), "--group=2097152".into(), "--mtime=1".into()]);
        }
        if rng.bool() {
            common.push("--cache-dir=cache".into());
        }
        let named = |number: usize| {
            let mut sources = vec![format!("--package=n{number}")];
            sources.extend(packages[number].clone());
            sources
        };
        let all: Vec<Vec<String>> = (0..packages.len()).map(named).collect();
        let all: Vec<&[String]> = all.iter().map(Vec::as_slice).collect();
        let outputs = ["--output=sources".into(), "--metadata=sources.json".into()];
        fine(&folder, "layer", &with(&common, &[&[&outputs[..]], &all[..]].concat()));
        for number in 0..packages.len() {
            let output = [format!("--output=s{number}")];
            fine(&folder, "segment", &with(&common, &[&output, &named(number)]));
        }
        for round in 0..3 {
            let mut mixture: Vec<Vec<String>> = (0..packages.len())
                .map(|number| {
                    if round == 0 || rng.bool() {
                        vec![format!("--segment=s{number}")]
                    } else {
                        named(number)
                    }
                })
                .collect();
            rng.shuffle(&mut mixture);
            let mixture: Vec<&[String]> = mixture.iter().map(Vec::as_slice).collect();
            let outputs = ["--output=mixed".into(), "--metadata=mixed.json".into()];
            fine(&folder, "layer", &with(&common, &[&[&outputs[..]], &mixture[..]].concat()));
            prop_assert!(folder.read("mixed") == folder.read("sources"));
            prop_assert_eq!(folder.read("mixed.json"), folder.read("sources.json"));
        }
    }
}

/// Two packages and their segments `one` and `two`.
fn scene() -> Folder {
    let folder = Folder::new().with(&[("a/x.py", "x = 1"), ("b/y.py", "y = 2"), ("b/z", "zz")]);
    for arguments in [
        ["segment", "--output=one", "--package=one", "--tree=a", "--to=app/a"],
        ["segment", "--output=two", "--package=two", "--tree=b", "--to=app/b"],
    ] {
        let run = folder.run(&arguments);
        assert_eq!((run.code, &*run.stderr), (0, ""));
    }
    folder
}

#[test]
fn a_layer_of_segments_reads_no_tree() {
    let folder = scene();
    fs::remove_dir_all(folder.path().join("a")).unwrap();
    fs::remove_dir_all(folder.path().join("b")).unwrap();
    let layer =
        entries(&crate::support::decompress(&folder.layer(&["--segment=two", "--segment=one"])));
    let expected = [("app/a/x.py", "f"), ("app/b/y.py", "f"), ("app/b/z", "f")];
    let mut listed = listing(&layer);
    listed.sort_unstable();
    assert_eq!(listed, expected);
}

#[test]
fn segments_with_one_index_count_once() {
    let folder = scene();
    fs::copy(folder.path().join("one"), folder.path().join("again")).unwrap();
    let once = folder.layer(&["--segment=one", "--segment=two"]);
    let twice = folder.layer(&["--segment=again", "--segment=two", "--segment=one"]);
    assert!(once == twice);
}

#[test]
fn a_worker_makes_the_same_segments_and_layers() {
    let folder = scene();
    let (one, layer) = (folder.read("one"), folder.layer(&["--segment=one", "--segment=two"]));
    for cache in ["--cache-dir=none", "--cache-dir=cache"] {
        let mut worker = Worker::start(folder.path(), &[cache]);
        for id in [1, 3] {
            let segment = ["segment", "--output=w1", "--package=one", "--tree=a", "--to=app/a"];
            worker.request(id, &segment);
            assert_eq!(worker.response().exit_code, 0);
            assert!(folder.read("w1") == one);
            let arguments = ["layer", "--output=w", "--segment=w1", "--segment=two"];
            worker.request(id + 1, &arguments);
            assert_eq!(worker.response().exit_code, 0);
            assert!(folder.read("w") == layer, "{cache}");
        }
    }
}

/// What `layer` says of a segment, which fails.
fn refusal(folder: &Folder, arguments: &[&str]) -> String {
    for form in [&[][..], &["--cache-dir=cache"]] {
        let run = folder.run(&[&["layer", "--output=out"], form, arguments].concat());
        assert_eq!(run.code, 1, "{arguments:?}: {}", run.stderr);
        assert!(!folder.path().join("out").exists());
    }
    folder.run(&[&["layer", "--output=out"], arguments].concat()).stderr
}

#[test]
fn a_segment_with_other_flags_is_named_with_both() {
    let folder = scene();
    for (flag, own, layers) in [
        ("--compression=gzip:9", "gzip:6", "gzip:9"),
        ("--compression=zstd", "gzip:6", "zstd:3"),
        ("--owner=7", "owner 0", "owner 7"),
        ("--group=8", "group 0", "group 8"),
        ("--mtime=9", "mtime 1672560000", "mtime 9"),
    ] {
        let said = refusal(&folder, &[flag, "--segment=one"]);
        for part in ["`one`", "package `one`", own, layers, "hint"] {
            assert!(said.contains(part), "{flag}: {said}");
        }
    }
}

#[test]
fn every_damage_is_an_error_that_names_the_file() {
    let folder = scene();
    let sound = folder.read("one");
    let mut cases: Vec<Vec<u8>> =
        (0..sound.len()).step_by(7).map(|end| sound[..end].to_vec()).collect();
    for at in (0..sound.len()).step_by(5) {
        let mut flipped = sound.clone();
        flipped[at] ^= 4;
        cases.push(flipped);
    }
    cases.push([&sound[..], b"more"].concat());
    cases.push([b"more", &sound[..]].concat());
    cases.push(Vec::new());
    for damaged in cases {
        folder.file("bad", &damaged);
        let run = folder.run(&["layer", "--output=out", "--segment=bad", "--segment=two"]);
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains("`bad`") && run.stderr.contains("hint"), "{}", run.stderr);
        assert!(!folder.path().join("out").exists());
    }
}

/// The segment with another index, sealed as it should be.
fn with_index(segment: &[u8], index: &[u8], members: usize) -> Vec<u8> {
    let version = &segment[segment.len() - 16..segment.len() - 12];
    let seal = blake3::Hasher::new().update(version).update(index).finalize();
    let length = (index.len() as u64).to_le_bytes();
    let magic = &segment[segment.len() - 12..];
    [&segment[..members], index, seal.as_bytes(), &length, version, magic].concat()
}

#[test]
fn an_index_that_lies_is_an_error() {
    let folder = scene();
    let (sound, layer) = (folder.read("two"), folder.layer(&["--segment=two"]));
    let length = sound[sound.len() - 24..sound.len() - 16].try_into().unwrap();
    let end = sound.len() - 56;
    let members = end - usize::try_from(u64::from_le_bytes(length)).unwrap();
    let index = &sound[members..end];
    assert!(with_index(&sound, index, members) == sound);
    let (mut refused, mut harmless) = (0, 0);
    for at in 0..index.len() {
        for change in [1, 2, 0x80] {
            let mut lie = index.to_vec();
            lie[at] ^= change;
            folder.file("lie", &with_index(&sound, &lie, members));
            drop(fs::remove_file(folder.path().join("out")));
            let run = folder.run(&["layer", "--output=out", "--segment=lie"]);
            if run.code == 0 {
                // Another name, or a field of a later version: nothing in the layer.
                assert!(folder.read("out") == layer, "{at}");
                harmless += 1;
            } else {
                assert_eq!(run.code, 1, "{at}: {}", run.stderr);
                assert!(run.stderr.contains("`lie`"), "{at}: {}", run.stderr);
                assert!(!folder.path().join("out").exists());
                refused += 1;
            }
        }
    }
    assert!(refused > 10 * harmless, "{refused} {harmless}");
}

#[test]
fn damage_is_found_where_only_copying_is_done() {
    let folder = scene();
    let cache = "--cache-dir=cache";
    let sound = folder.layer(&[cache, "--segment=one", "--segment=two"]);
    let mut bytes = folder.read("one");
    bytes[20] ^= 1;
    folder.file("one", &bytes);
    fs::remove_file(folder.path().join("out")).unwrap();
    let said = refusal(&folder, &[cache, "--segment=one", "--segment=two"]);
    assert!(said.contains("`one`"), "{said}");
    bytes[20] ^= 1;
    folder.file("one", &bytes);
    assert!(folder.layer(&[cache, "--segment=one", "--segment=two"]) == sound);
}

#[test]
fn a_worker_that_has_found_a_segment_intact_notices_that_it_is_changed_in_place() {
    let folder = scene();
    let path = folder.path().join("one");
    let metadata = || fs::metadata(&path).unwrap();
    // A file is taken at its word once it is so old that a change would show.
    while metadata().modified().unwrap().elapsed().unwrap() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(100));
    }
    let mut worker = Worker::start(folder.path(), &["--cache-dir=cache"]);
    let mut layer = |id| {
        worker.request(id, &["layer", "--output=w", "--segment=one", "--segment=two"]);
        worker.response()
    };
    for id in [1, 2] {
        assert_eq!(layer(id).exit_code, 0);
    }
    let before = metadata().modified().unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let was = folder.read("one")[20];
    file.write_all_at(&[was ^ 1], 20).unwrap();
    file.set_modified(before).unwrap();
    let response = layer(3);
    assert_eq!(response.exit_code, 1);
    assert!(response.output.contains("`one`"), "{}", response.output);
    file.write_all_at(&[was], 20).unwrap();
    assert_eq!(layer(4).exit_code, 0);
}

#[test]
fn one_path_of_two_is_an_error_that_names_both() {
    let folder = scene();
    folder.file("c/x.py", b"x = 1");
    let run = folder.run(&["segment", "--output=three", "--package=3", "--tree=c", "--to=app/a"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let said = refusal(&folder, &["--segment=one", "--segment=three"]);
    for part in ["`one`", "`three`", "app/a/x.py"] {
        assert!(said.contains(part), "{said}");
    }
    let said = refusal(&folder, &["--segment=one", "--package=src", "--tree=c", "--to=app/a"]);
    for part in ["`one`", "`src`", "app/a/x.py"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_segment_or_a_wheel_is_never_replaced_by_the_layer() {
    let folder = scene();
    folder.file("w.whl", b"precious");
    for (path, flag) in [("one", "--segment=./one"), ("w.whl", "--wheel=w.whl")] {
        let before = folder.read(path);
        let output = format!("--output={path}");
        let sources = ["--package=p", flag, "--tree=a", "--to=x"];
        let run = folder.run(&[&["layer", &*output], &sources[..]].concat());
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains("also an output"), "{}", run.stderr);
        assert_eq!(folder.read(path), before);
    }
}

#[test]
fn what_is_no_segment_is_refused() {
    let folder = scene();
    folder.layer(&["--tree=a", "--to=a"]);
    fs::rename(folder.path().join("out"), folder.path().join("layer")).unwrap();
    for file in ["layer", "missing", "a", "a/x.py"] {
        let said = refusal(&folder, &[&format!("--segment={file}")]);
        assert!(said.contains(&format!("`{file}`")), "{said}");
    }
    let fifo = std::process::Command::new("mkfifo").arg(folder.path().join("fifo")).status();
    assert!(fifo.unwrap().success());
    assert!(refusal(&folder, &["--segment=fifo"]).contains("`fifo`"));
}

#[test]
fn a_segment_is_of_exactly_one_package() {
    let folder = scene();
    for (arguments, named) in [
        (&["--tree=a", "--to=a"][..], "--package"),
        (&["--package=p", "--tree=a", "--to=a", "--package=q", "--tree=b", "--to=b"], "one"),
        (&["--package=p", "--tree=a", "--to=a", "--metadata=m"], "--metadata"),
        (&["--package=p", "--segment=one"], "--segment"),
    ] {
        let run = folder.run(&[&["segment", "--output=s"], arguments].concat());
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(named), "{}", run.stderr);
        assert!(!folder.path().join("s").exists());
    }
    let help = folder.run(&["segment", "--help"]);
    assert!(help.code == 0 && help.stdout.contains("--segment"));
}

#[test]
fn a_package_without_entries_is_a_segment_too() {
    let folder = scene();
    fs::create_dir(folder.path().join("none")).unwrap();
    let run = folder.run(&[
        "segment",
        "--output=s",
        "--package=p",
        "--tree=none",
        "--to=app/n",
        "--directory",
        "--to=var/p",
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let layer = crate::support::decompress(&folder.layer(&["--segment=s"]));
    let paths: Vec<String> = entries(&layer).into_iter().map(|entry| entry.path).collect();
    assert_eq!(paths, ["var/", "var/p/"]);
}
