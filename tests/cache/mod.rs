//! The cache from outside: what is a hit, and that no state of the cache changes a byte.

mod claims;
mod damage;
mod hazards;
mod limit;
mod owners;

use std::fs;

use pylayer::cache::FORMAT;

use crate::support::worker::Worker;
use crate::support::{Folder, decompress, entries, sha256sum};

/// Three packages: one larger than a member, one of many files, one with links only.
fn packages() -> Folder {
    let folder = Folder::new();
    let big: Vec<u8> = (0..1_500_000_u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
    folder.file("big/big.so", &big);
    for number in 0..50 {
        folder.file(&format!("many/m{number}.py"), format!("print({number})\n").as_bytes());
    }
    folder.link("links/a", "b");
    folder.file("links/b", b"");
    folder
}

const LAYER: [&str; 11] = [
    "layer",
    "--metadata=json",
    "--package=big",
    "--tree=big",
    "--to=app/big",
    "--package=links",
    "--tree=links",
    "--to=app/links",
    "--package=many",
    "--tree=many",
    "--to=app/many",
];

fn layer<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&LAYER[..], more].concat()
}

/// Blob and metadata of a layer built without a cache.
fn expected(folder: &Folder, more: &[&str]) -> (String, Vec<u8>) {
    let run = folder.run(&layer(&[&["--output=plain"], more].concat()));
    assert_eq!((run.code, &*run.stderr), (0, ""));
    (sha256sum(&folder.read("plain")), folder.read("json"))
}

/// How the packages' segments came about, in the order of the packages, in one-shot runs.
fn explained(folder: &Folder, cache: &str, more: &[&str]) -> Vec<String> {
    let cache = format!("--cache-dir={cache}");
    let arguments = layer(&[&["--output=cached", "--explain"], more].concat());
    let run = folder.run(&[&[&*cache], &arguments[..]].concat());
    assert_eq!((run.code, &*run.stdout), (0, ""), "{}", run.stderr);
    assert_eq!((sha256sum(&folder.read("cached")), folder.read("json")), expected(folder, more));
    let how = run.stderr.lines().map(|line| {
        let (_, how) = line.split_once("): ").unwrap();
        how.split([':', ' ']).next().unwrap().to_owned()
    });
    how.collect()
}

#[test]
fn what_was_built_once_is_a_hit_and_the_bytes_are_the_same() {
    for compression in ["--compression=gzip", "--compression=zstd:1", "--compression=none"] {
        let folder = packages();
        // Content that comes out of few bytes, and some that comes out of many.
        let noise = (0..700_000_u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes());
        folder.file("many/noise", &noise.collect::<Vec<_>>());
        folder.file("many/zeros", &vec![0; 13 << 20]);
        let more = [compression];
        assert_eq!(explained(&folder, "cache", &more), ["built"; 3]);
        assert_eq!(explained(&folder, "cache", &more), ["hit"; 3]);

        // One package's content changes: hashes go on from the checkpoint before it.
        for (changed, how) in [
            ("many/m7.py", ["built", "hit", "hit"]),
            ("links/b", ["hit", "hit", "built"]),
            ("big/big.so", ["hit", "built", "hit"]),
        ] {
            folder.file(changed, format!("changed {changed}").as_bytes());
            assert_eq!(explained(&folder, "cache", &more), how, "{changed}");
            assert_eq!(explained(&folder, "cache", &more), ["hit"; 3], "{changed}");
        }
        // A new file changes the head, if it has a folder of its own.
        folder.file("many/new/x.py", b"");
        assert_eq!(explained(&folder, "cache", &more), ["built", "hit", "hit"]);
    }
}

#[test]
fn a_hit_depends_on_what_decides_the_bytes_and_on_nothing_else() {
    let folder = packages();
    assert_eq!(explained(&folder, "cache", &[]), ["built"; 3]);
    for (more, how) in [
        (&["--owner=1"][..], "built"),
        (&["--group=1"], "built"),
        (&["--mtime=1"], "built"),
        (&["--compression=gzip:1"], "built"),
        (&["--package=other", "--empty", "--to=x"], "hit"),
    ] {
        assert_eq!(explained(&folder, "cache", more)[0], how, "{more:?}");
        assert_eq!(explained(&folder, "cache", more)[0], "hit", "{more:?}");
    }
    // Another place on the machine, another name of the package.
    let elsewhere = Folder::new();
    fs::rename(folder.path().join("many"), elsewhere.path().join("moved")).unwrap();
    let cache = format!("--cache-dir={}", folder.path().join("cache").display());
    let run = elsewhere.run(&[
        &cache,
        "layer",
        "--output=o",
        "--explain",
        "--package=else",
        "--tree=moved",
        "--to=app/many",
    ]);
    assert!(run.stderr.contains("hit on disk"), "{}", run.stderr);
}

#[test]
fn concurrent_requests_build_a_segment_once() {
    let folder = packages();
    let mut workers = [(); 2].map(|()| Worker::start(folder.path(), &["--cache-dir=cache"]));
    for worker in &mut workers {
        for id in 1..=6 {
            let output = format!("--output=o{}-{id}", worker.child.id());
            let arguments = [&layer(&["--explain"])[..], &[&output]].concat();
            let arguments: Vec<_> =
                arguments.into_iter().filter(|argument| *argument != "--metadata=json").collect();
            worker.request(id, &arguments);
        }
    }
    let right = expected(&folder, &[]).0;
    let mut built = 0;
    for worker in &mut workers {
        for _ in 1..=6 {
            let response = worker.response();
            assert_eq!(response.exit_code, 0, "{}", response.output);
            built += response.output.matches("built").count();
            let output = format!("o{}-{}", worker.child.id(), response.request_id);
            assert_eq!(sha256sum(&folder.read(&output)), right);
        }
    }
    assert_eq!(built, 3, "each package once, over both processes");
}

#[test]
fn the_limit_is_kept_and_the_least_recently_used_goes_first() {
    let folder = Folder::new();
    let mut state = 7_u64;
    for number in 0..20 {
        let noise = (0..100_000).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()[7]
        });
        folder.file(&format!("f{number}"), &noise.collect::<Vec<u8>>());
    }
    let build = |number: u32| {
        let (file, to) = (format!("--file=f{number}"), format!("--to=f{number}"));
        let run = folder.run(&[
            "--cache-dir=cache",
            "--cache-size=1MiB",
            "layer",
            "--output=o",
            "--explain",
            &file,
            &to,
        ]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.stderr.contains("hit")
    };
    for number in 0..20 {
        assert!(!build(number));
        // Used again and again, so never the least recently used.
        assert!(build(0), "{number}");
    }
    let stat = folder.run(&["cache", "stat", "--json", "--cache-dir=cache"]).stdout;
    let bytes: u64 =
        stat.split("\"bytes\":").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(bytes <= 1 << 20, "{stat}");
    assert!(
        stat.starts_with("{\"segments\":") && stat.contains("\"hits\":20,\"misses\":20"),
        "{stat}"
    );
    assert!(build(19) && !build(1));
}

#[test]
fn cache_commands_look_after_a_folder() {
    let folder = packages();
    explained(&folder, "cache", &[]);
    explained(&folder, "cache", &[]);
    let run =
        |arguments: &[&str]| folder.run(&[&["cache"], arguments, &["--cache-dir=cache"]].concat());
    assert_eq!(run(&["stat"]).stdout.split(',').next(), Some("3 segments"));
    assert!(run(&["stat", "--json"]).stdout.ends_with("\"hits\":3,\"misses\":3}\n"));
    assert!(run(&["verify"]).stdout.contains(" 0 damaged"));
    assert_eq!(run(&["gc"]).stdout, "0 bytes freed\n");
    let freed = folder.run(&["--cache-dir=cache", "--cache-size=0", "cache", "gc"]).stdout;
    assert_ne!(freed, "0 bytes freed\n");
    assert!(run(&["stat", "--json"]).stdout.starts_with("{\"segments\":0,\"bytes\":0,"));
    assert_eq!(run(&["clear"]).code, 0);
    explained(&folder, "cache", &[]);
    for (arguments, code) in [
        (&["cache"][..], 2),
        (&["cache", "frobnicate"], 2),
        (&["cache", "stat"], 2),
        (&["cache", "stat", "--cache-dir=none-here"], 1),
    ] {
        assert_eq!(folder.run(arguments).code, code, "{arguments:?}");
    }
}

#[test]
fn a_worker_in_an_output_base_keeps_its_cache_there() {
    let base = packages();
    for (inside, kept) in [
        ("execroot/ws", true),
        ("bazel-workers/PyLayer-multiplex-worker-1-workdir/ws", true),
        ("somewhere/else", false),
    ] {
        let root = Folder::new();
        let directory = root.path().join(inside);
        fs::create_dir_all(&directory).unwrap();
        let tree = format!("--tree={}", base.path().join("many").display());
        let mut worker = Worker::start(&directory, &[]);
        worker.request(1, &["layer", "--output=o", &tree, "--to=app"]);
        assert_eq!(worker.response().exit_code, 0);
        assert!(worker.end().success());
        assert_eq!(root.path().join(format!("pylayer/v{FORMAT}/blobs")).exists(), kept, "{inside}");
    }
}

#[test]
fn the_archive_is_one_archive_however_it_was_put_together() {
    let folder = packages();
    explained(&folder, "cache", &[]);
    folder.file("links/b", b"changed");
    explained(&folder, "cache", &[]);
    let names: Vec<String> =
        entries(&decompress(&folder.read("cached"))).into_iter().map(|entry| entry.path).collect();
    assert_eq!(names.len(), 4 + 1 + 2 + 50);
}
