//! `pylayer check`: few and small enough, or what to do.

use crate::support::worker::Worker;
use crate::support::{Folder, Run};

/// `torch` with 30 MiB that ship and much that does not, `six` with next to nothing.
fn packages() -> Folder {
    let folder = Folder::new();
    let site = "torch/lib/python3.11/site-packages";
    folder.file(&format!("{site}/torch/lib/libtorch.so.2"), &vec![0; 28 << 20]);
    folder.file(&format!("{site}/torch/__init__.py"), &vec![0; 2 << 20]);
    folder.file(&format!("{site}/torch/__pycache__/x.pyc"), &vec![0; 50 << 20]);
    folder.file(&format!("{site}/torch-2.dist-info/direct_url.json"), &vec![0; 50 << 20]);
    folder.link(&format!("{site}/torch/lib/libtorch.so"), "libtorch.so.2");
    folder.file("six.py", b"six");
    folder
}

const PACKAGES: [&str; 4] = ["--package=torch", "--tree=torch", "--package=six", "--file=six.py"];

fn check(folder: &Folder, arguments: &[&str]) -> (Run, String) {
    let run = folder.run(&[&["check", "--output=log"], arguments, &PACKAGES[..]].concat());
    let log = String::from_utf8(folder.read("log")).unwrap();
    (run, log)
}

#[test]
fn what_fits_is_fine() {
    let folder = packages();
    let (run, log) =
        check(&folder, &["--layers=3", "--squashed-limit-mb=30", "--package-limit-mb=30"]);
    // 30 MiB and three bytes are more than 30.
    assert_eq!(run.code, 1);
    assert!(log.contains("ERROR: squashed pip layer is 30MB (threshold 30MB)"), "{log}");
    let (run, log) =
        check(&folder, &["--layers=3", "--squashed-limit-mb=31", "--package-limit-mb=31"]);
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (0, "", ""));
    assert_eq!(log, "OK: all package groups within threshold.\n");
}

#[test]
fn too_many_layers_are_an_error_and_the_base_counts() {
    let folder = packages();
    for (arguments, code, said) in [
        (&["--layers=120", "--base-layers=7", "--warn-layers=200"][..], 0, "OK"),
        (&["--layers=120", "--base-layers=8"], 1, "ERROR: image has 128 layers, 8 of them"),
        (
            &["--layers=2", "--warn-layers=1"],
            0,
            "WARNING: image has 2 layers (warn threshold: 1, hard limit: 127).",
        ),
        (&["--layers=6", "--max-layers=5"], 1, "ERROR: image has 6 layers (limit 5)"),
    ] {
        let (run, log) = check(&folder, arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(log.starts_with(said), "{log}");
        assert_eq!(run.stdout, "");
        assert!(said == "OK" || run.stderr.contains(said), "{}", run.stderr);
    }
}

#[test]
fn advice_names_what_matters_and_pastes() {
    let folder = packages();
    let (run, log) =
        check(&folder, &["--layers=1", "--squashed-limit-mb=20", "--package-limit-mb=20"]);
    assert_eq!(run.code, 1);
    for text in [&run.stderr, &log] {
        for line in [
            "py_layer_tier(",
            "    groups = {",
            "        \"@pip//torch\": \"torch\",",
            "        \"@pip//torch:torch/lib/*.so*\": \"torch_lib_so\",",
            "    compression = {",
            "        \"torch_lib_so\": [\"zstd\", \"3\"],",
            "WARNING: torch is 30MB (threshold 20MB): unusually large for a package.",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line} in\n{text}");
        }
        assert!(!text.contains("six"), "{text}");
    }
    // The glob that was advised takes out what it was advised for.
    let glob = ["--include=torch/lib/*.so*", "--tree=torch", "--to=app"];
    let found = folder.entries(&[&["--package=torch"], &glob[..]].concat());
    assert_eq!(found.iter().map(|entry| entry.content.len()).sum::<usize>(), 28 << 20);
}

#[test]
fn links_are_counted_as_layers_ship_them() {
    let folder = packages();
    let site = "torch/lib/python3.11/site-packages";
    // A copy stands behind one link; the other leads to what another layer has.
    folder.file("away/model.bin", &vec![0; 5 << 20]);
    folder.link(&format!("{site}/model.bin"), folder.path().join("away/model.bin"));
    folder.link(&format!("{site}/other"), "/no/such/execroot/bazel-out/other/x.so");
    let (run, log) = check(&folder, &["--layers=1", "--squashed-limit-mb=34"]);
    assert_eq!(run.code, 1);
    assert!(log.contains("squashed pip layer is 35MB"), "{log}");
}

#[test]
fn a_worker_checks_too_and_slips_are_named() {
    let folder = packages();
    let mut worker = Worker::start(folder.path(), &[]);
    let warned = [&["check", "--output=log", "--layers=91"], &PACKAGES[..]].concat();
    for (arguments, code, said) in [
        (&warned[..], 0, "WARNING: image has 91 layers"),
        (&["check", "--output=log"], 2, "--layers"),
        (&["check", "--layers=1"], 2, "--output"),
        (&["check", "--output=log", "--layers=x"], 2, "--layers=x"),
        (&["check", "--output=log", "--layers=1", "--tree=torch"], 2, "--tree=torch"),
        (&["check", "--output=log", "--layers=1", "--frobnicate"], 2, "--frobnicate"),
        (&["check", "--output=log", "--layers=1", "--package=x", "--file=gone"], 1, "gone"),
    ] {
        worker.request(1, arguments);
        let response = worker.response();
        assert_eq!(response.exit_code, code, "{}", response.output);
        assert!(response.output.contains(said), "{}", response.output);
    }
    assert!(worker.end().success());
}

#[test]
fn a_path_in_two_layers_is_an_error() {
    let folder = packages();
    let parts = |globs: &str| format!("--package=torch\n{globs}--tree=torch\n--to=/app/torch\n");
    folder.file(
        "default.tar.gz.sources",
        b"--file=app.py\n--to=/app/app.py\n--empty\n--to=./app/__init__.py\n",
    );
    folder.file("pkg.tar.gz.sources", b"--package=six\n--file=a/six.py\n--to=/app/six.py\n");
    folder.file("srcs.tar.gz.sources", b"--package=six\n--file=b/six.py\n--to=app//six.py\n");
    folder.file("native.sources", parts("--include=*.so*\n").as_bytes());
    folder.file("rest.sources", parts("--exclude=*.so*\n").as_bytes());
    folder.file("whole.sources", parts("").as_bytes());
    folder.file("empty.sources", b"");
    for (lists, said) in [
        // Parts of one package are in several layers.
        (&["default.tar.gz", "pkg.tar.gz", "native", "rest", "empty"][..], None),
        (
            &["default.tar.gz", "pkg.tar.gz", "srcs.tar.gz"],
            Some(
                "ERROR: 1 path is in two layers; an image has each path once:\n  app/six.py\n    \
                 in pkg.tar.gz: --file=a/six.py\n    in srcs.tar.gz: --file=b/six.py\n",
            ),
        ),
        (
            &["rest", "rest"],
            Some("  app/torch\n    in rest: --tree=torch\n    in rest: --tree=torch\n"),
        ),
        (
            &["whole", "whole", "default.tar.gz", "default.tar.gz"],
            Some("ERROR: 3 paths are in two layers"),
        ),
    ] {
        let lists: Vec<String> =
            lists.iter().map(|list| format!("--sources={list}.sources")).collect();
        let arguments: Vec<&str> = lists.iter().map(String::as_str).collect();
        let (run, log) = check(&folder, &[&["--layers=5"], &arguments[..]].concat());
        assert_eq!(run.code, i32::from(said.is_some()), "{}", run.stderr);
        assert!(log.contains(said.unwrap_or("OK: ")), "{log}");
        assert!(run.stderr.contains(said.unwrap_or_default()), "{}", run.stderr);
    }
    folder.file("bad.sources", b"--to=/app/x\n");
    let run = folder.run(&["check", "--output=log2", "--layers=1", "--sources=bad.sources"]);
    assert_eq!(
        (run.code, run.stderr.contains("bad.sources: a `--to` without a source")),
        (1, true)
    );
}

#[test]
fn slips_of_the_pen_in_a_tier_are_named() {
    let folder = packages();
    let (run, log) = check(&folder, &["--layers=3", "--absent-package=pandas"]);
    assert_eq!((run.code, &*run.stderr), (0, ""));
    assert_eq!(
        log,
        "OK: all package groups within threshold.\nNOTE: the tier names the package pandas, which \
         the image does not have.\n"
    );
    let slips =
        ["--layers=3", "--absent-package=troch", "--known-group=web", "--unknown-group=wbe"];
    let (run, log) = check(&folder, &slips);
    assert_eq!(run.code, 0);
    for text in [&run.stderr, &log] {
        assert!(
            text.contains("WARNING: `compression` of the tier names the group wbe, which the image does not have; is web meant?"),
            "{text}"
        );
        assert!(text.contains("WARNING: the tier names the package troch"), "{text}");
        assert!(text.contains("; is torch meant?"), "{text}");
    }
}

#[test]
fn what_does_not_ship_does_not_count() {
    let folder = packages();
    let arguments =
        ["check", "--output=log", "--layers=1", "--squashed-limit-mb=3", "--package=torch"];
    for (globs, code) in
        [(&["--exclude=*.so*"][..], 0), (&["--include=**/*.py"], 0), (&["--exclude=*.py"], 1)]
    {
        let run = folder.run(&[&arguments[..], globs, &["--tree=torch"]].concat());
        assert_eq!(run.code, code, "{globs:?}: {}", run.stderr);
    }
    folder.file("x/site-packages/a.so", &vec![0; 4 << 20]);
    for (globs, code) in [(&["--exclude=a.so"][..], 0), (&["--exclude=b.so"], 1)] {
        let run = folder.run(&[&arguments[..], globs, &["--file=x/site-packages/a.so"]].concat());
        assert_eq!(run.code, code, "{globs:?}: {}", run.stderr);
    }
}

#[test]
fn segments_count_as_the_packages_that_they_hold() {
    let folder = Folder::new();
    folder.file("t/lib/python3.11/site-packages/big/lib/b.so", &vec![0; 3 << 20]);
    folder.file("t/lib/python3.11/site-packages/big/tests/x.py", &vec![b'#'; 2 << 20]);
    let sources = ["--tree=t", "--to=app.runfiles/big"];
    let segment = ["segment", "--output=s", "--package=big", "--exclude=tests"];
    assert_eq!(folder.run(&[&segment[..], &sources].concat()).code, 0);
    let check = ["check", "--output=log", "--layers=1", "--package-limit-mb=1"];
    let by_sources = ["--package=big", "--exclude=tests", "--tree=t"];
    assert_eq!(folder.run(&[&check[..], &by_sources].concat()).code, 0);
    let log = folder.read("log");
    assert_eq!(folder.run(&[&check[..], &["--segment=s"]].concat()).code, 0);
    assert!(String::from_utf8_lossy(&log).contains("big is 3.0MB"));
    assert_eq!(String::from_utf8_lossy(&folder.read("log")), String::from_utf8_lossy(&log));
}

#[test]
fn a_layer_far_larger_than_the_rest_is_worth_a_warning() {
    let folder = Folder::new();
    for (name, bytes) in [("large", 3 << 20), ("small", 1 << 20)] {
        let file = format!("{name}/site-packages/{name}/lib/x.so");
        folder.file(&file, &vec![0; bytes]);
        let (output, package) = (format!("--output={name}.segment"), format!("--package={name}"));
        let (tree, to) = (format!("--tree={name}"), format!("--to=app/{name}"));
        let run = folder.run(&["segment", &output, &package, &tree, &to]);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let merged = "--package=large\n--tree=large\n--to=/a\n--package=small\n--tree=small\n--to=/b\n";
    folder.file("merged.tar.gz.sources", merged.as_bytes());
    folder.file("one.tar.gz.sources", b"--package=Large.One\n--tree=large\n--to=/a\n");
    folder.file("part.tar.gz.sources", b"--package=large\n--include=*.so\n--tree=large\n--to=/c\n");
    folder.file("default.tar.gz.sources", b"--file=app.py\n--to=/app.py\n");
    for (size, name) in [(120 << 20, "m120"), (60 << 20, "m60"), (50 << 20, "m50")] {
        folder.file(&format!("{name}.json"), format!("{{\"size\":{size}}}").as_bytes());
    }
    let check = |layers: &[(&str, &str)], more: &[&str]| {
        let mut arguments =
            vec!["check".to_owned(), "--output=log".to_owned(), "--layers=2".to_owned()];
        arguments.push("--grouped-segment=large.segment".to_owned());
        arguments.push("--grouped-segment=small.segment".to_owned());
        for (sources, metadata) in layers {
            arguments.push(format!("--sources={sources}.tar.gz.sources"));
            arguments.push(format!("--metadata={metadata}.json"));
        }
        arguments.extend(more.iter().map(ToString::to_string));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let run = folder.run(&arguments);
        assert_eq!(run.code, 0, "{}", run.stderr);
        String::from_utf8(folder.read("log")).unwrap()
    };
    let log = check(&[("merged", "m120"), ("default", "m60")], &[]);
    assert!(log.starts_with("WARNING: merged.tar.gz is 120MB compressed, and all other"), "{log}");
    assert!(log.contains("\n        \"@pip//large\": \"large\",\n"), "{log}");
    assert!(!log.contains("small"), "{log}");
    let log = check(&[("default", "m60"), ("one", "m120")], &[]);
    assert!(log.contains("\n        \"@pip//Large.One:*.so*\": \"Large_One_native\",\n"), "{log}");
    // Below the limit; not more than the others together; what no tier can divide further.
    for layers in [
        &[("merged", "m60"), ("default", "m50")][..],
        &[("merged", "m120"), ("default", "m60"), ("part", "m60")],
        &[("part", "m120"), ("default", "m50")],
        &[("default", "m120"), ("merged", "m50")],
        &[("merged", "m120")],
    ] {
        assert!(check(layers, &[]).starts_with("OK"), "{layers:?}");
    }
    let log = check(&[("merged", "m60"), ("default", "m50")], &["--layer-limit-mb=50"]);
    assert!(log.starts_with("WARNING: merged.tar.gz is 60MB"), "{log}");
    folder.file("m50.json", b"{}");
    let arguments = ["check", "--output=log", "--layers=2", "--sources=one.tar.gz.sources"];
    let run =
        folder.run(&[&arguments[..], &["--metadata=m60.json", "--metadata=m50.json"]].concat());
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("not the metadata of a layer: `m50.json`"), "{}", run.stderr);
    let run = folder.run(&["check", "--output=log", "--layers=2", "--metadata=m60.json"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("`--metadata=m60.json` follows no `--sources`"), "{}", run.stderr);
}
