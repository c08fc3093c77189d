//! The cache from outside: what is a hit, and that no state of the cache changes a byte.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use worker_protocol::messages::{Input, WorkRequest};

use crate::support::worker::{Worker, request};
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

fn files(folder: &Folder, kind: &str) -> Vec<PathBuf> {
    let listed = crate::support::tree(&folder.path().join("cache/v1").join(kind));
    let files = listed.into_iter().filter(|(_, what)| what.starts_with("file"));
    files.map(|(path, _)| folder.path().join("cache/v1").join(kind).join(path)).collect()
}

#[test]
fn what_was_built_once_is_a_hit_and_the_bytes_are_the_same() {
    for compression in ["--compression=gzip", "--compression=zstd:1", "--compression=none"] {
        let folder = packages();
        let more = [compression];
        assert_eq!(explained(&folder, "cache", &more), ["built"; 3]);
        assert_eq!(explained(&folder, "cache", &more), ["hit"; 3]);

        // One package's content changes: hashes go on from the border before it.
        for (changed, how) in [
            ("many/m7.py", ["hit", "hit", "built"]),
            ("links/b", ["hit", "built", "hit"]),
            ("big/big.so", ["built", "hit", "hit"]),
        ] {
            folder.file(changed, format!("changed {changed}").as_bytes());
            assert_eq!(explained(&folder, "cache", &more), how, "{changed}");
            assert_eq!(explained(&folder, "cache", &more), ["hit"; 3], "{changed}");
        }
        // A new file changes the head, if it has a folder of its own.
        folder.file("many/new/x.py", b"");
        assert_eq!(explained(&folder, "cache", &more), ["hit", "hit", "built"]);
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

fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn damage_is_a_miss_and_is_healed() {
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 4] = [
        ("a flipped bit", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        ("truncated", |bytes| bytes.truncate(bytes.len() - 1)),
        ("longer", |bytes| bytes.push(0)),
        ("empty", Vec::clear),
    ];
    for (name, change) in changes {
        for kind in ["blobs", "segments", "borders"] {
            let folder = packages();
            explained(&folder, "cache", &[]);
            for file in files(&folder, kind) {
                damage(&file, change);
            }
            let how = if kind == "borders" { ["hit"; 3] } else { ["built"; 3] };
            assert_eq!(explained(&folder, "cache", &[]), how, "{kind}: {name}");
            assert_eq!(explained(&folder, "cache", &[]), ["hit"; 3], "{kind}: {name}");
            let run = folder.run(&["cache", "verify", "--cache-dir=cache"]);
            assert!(run.stdout.contains(" 0 damaged"), "{}", run.stdout);
        }
    }
}

#[test]
fn what_is_missing_in_part_is_built_again() {
    for kind in ["blobs", "segments", "borders", "locks"] {
        let folder = packages();
        explained(&folder, "cache", &[]);
        fs::remove_dir_all(folder.path().join("cache/v1").join(kind)).unwrap();
        explained(&folder, "cache", &[]);
        assert_eq!(explained(&folder, "cache", &[]), ["hit"; 3], "{kind}");
    }
}

#[test]
fn a_larger_damaged_segment_is_taken_back_from_the_middle_of_a_layer() {
    // Beyond what is kept in memory, a segment is copied before it is known to be whole.
    let folder = packages();
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..6_000_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()[7]
        })
        .collect();
    folder.file("links/noise", &noise);
    explained(&folder, "cache", &[]);
    let blobs = files(&folder, "blobs");
    let large = blobs.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    damage(large, |bytes| *bytes.last_mut().unwrap() ^= 1);
    assert_eq!(explained(&folder, "cache", &[]), ["hit", "built", "hit"]);
    // Without a known border, hashing reads members one by one and sees damage earlier.
    damage(large, |bytes| bytes[3_000_000] ^= 1);
    fs::remove_dir_all(folder.path().join("cache/v1/borders")).unwrap();
    assert_eq!(explained(&folder, "cache", &[]), ["hit", "built", "hit"]);
}

#[test]
fn a_cache_that_cannot_be_used_costs_hits_alone() {
    let folder = packages();
    explained(&folder, "cache", &[]);
    // Root may write anywhere, so a file stands where a folder should be.
    for kind in ["blobs", "segments", "borders", "locks"] {
        let path = folder.path().join("cache/v1").join(kind);
        fs::remove_dir_all(&path).unwrap();
        fs::write(path, "").unwrap();
    }
    assert_eq!(explained(&folder, "cache", &[]), ["built"; 3]);

    let mut worker = Worker::start(folder.path(), &["--cache-dir=cache2"]);
    let build = |worker: &mut Worker| {
        worker.request(1, &layer(&["--output=cached"]));
        let response = worker.response();
        assert_eq!((response.exit_code, &*response.output), (0, ""));
        assert_eq!(
            (sha256sum(&folder.read("cached")), folder.read("json")),
            expected(&folder, &[])
        );
    };
    build(&mut worker);
    fs::remove_dir_all(folder.path().join("cache2")).unwrap();
    build(&mut worker);
    folder.file("many/more.py", b"");
    fs::write(folder.path().join("cache2"), "").ok();
    build(&mut worker);
    assert!(worker.end().success());
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let folder = packages();
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    let run = folder.run(&[&["--cache-dir=cache"], &layer(&["--output=o"])[..]].concat());
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("cache") && run.stderr.contains("hint"), "{}", run.stderr);
    explained(&folder, "fresh", &[]);
    let mode = fs::metadata(folder.path().join("fresh")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(folder.path().join("fresh/CACHEDIR.TAG").exists());
}

/// A request with the claims that Bazel makes, changed by `claim`.
fn claiming(folder: &Folder, arguments: &[&str], claim: impl Fn(&[u8]) -> Vec<u8>) -> WorkRequest {
    let mut request = request(1, arguments);
    for tree in ["big", "links", "many"] {
        for (path, what) in crate::support::tree(&folder.path().join(tree)) {
            if what.starts_with("file") {
                let path = format!("{tree}/{path}");
                let digest = claim(&folder.read(&path));
                request.inputs.push(Input { path, digest });
            }
        }
    }
    request.inputs.reverse();
    request
}

fn hex_sha256(content: &[u8]) -> Vec<u8> {
    sha256sum(content)["sha256:".len()..].as_bytes().to_vec()
}

fn raw(hex: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[test]
fn digests_of_any_kind_give_the_same_bytes() {
    let folder = packages();
    let layer = layer(&["--output=cached", "--explain"]);
    type Claim = fn(&[u8]) -> Vec<u8>;
    let claims: [(&str, Claim, bool); 7] = [
        ("SHA-256, hex", hex_sha256, true),
        ("SHA-256, raw", |content| raw(&hex_sha256(content)), true),
        ("BLAKE3, hex", |content| blake3::hash(content).to_hex().as_bytes().to_vec(), true),
        ("BLAKE3, raw", |content| blake3::hash(content).as_bytes().to_vec(), true),
        ("empty", |_| Vec::new(), true),
        ("SHA-1", |content| hex_sha256(content)[..40].to_vec(), true),
        ("a lie", |content| hex_sha256(&[content, b"lie"].concat()), false),
    ];
    let expected = expected(&folder, &[]);
    for (name, claim, hits) in claims {
        let cache = tempfile::tempdir().unwrap();
        let cache = format!("--cache-dir={}", cache.path().display());
        let mut worker = Worker::start(folder.path(), &[&cache]);
        let mut last = String::new();
        for _ in 0..3 {
            worker.send(&claiming(&folder, &layer, claim));
            let response = worker.response();
            assert_eq!(response.exit_code, 0, "{name}: {}", response.output);
            assert_eq!(
                (sha256sum(&folder.read("cached")), folder.read("json")),
                expected,
                "{name}"
            );
            last = response.output;
        }
        assert_eq!(last.matches("hit").count() == 3, hits, "{name}: {last}");
        assert!(worker.end().success());
        // Another process finds the same, whatever it guesses first.
        if hits {
            let mut worker = Worker::start(folder.path(), &[&cache]);
            worker.send(&claiming(&folder, &layer, claim));
            let said = worker.response().output;
            assert_eq!(
                said.matches("hit on disk").count() + said.matches("hit in memory").count(),
                3,
                "{name}: {said}"
            );
        }
    }
}

#[test]
fn a_wrong_claim_teaches_the_cache_nothing() {
    let folder = packages();
    let mut worker = Worker::start(folder.path(), &["--cache-dir=cache"]);
    let build = |worker: &mut Worker, claim: &dyn Fn(&[u8]) -> Vec<u8>| {
        worker.send(&claiming(&folder, &layer(&["--output=cached"]), claim));
        let response = worker.response();
        assert_eq!((response.exit_code, &*response.output), (0, ""));
        folder.read("cached")
    };
    let honest = folder.read("many/m1.py");
    let other = b"print('other')\n";
    // The file has `other`, Bazel says it has what it had when it looked.
    folder.file("many/m1.py", other);
    let stale = |content: &[u8]| hex_sha256(if content == other { &honest } else { content });
    let right = expected(&folder, &[]).0;
    assert_eq!(sha256sum(&build(&mut worker, &stale)), right, "what was read is what is shipped");
    // The claim is true now: what was built under the wrong one is not taken for it.
    folder.file("many/m1.py", &honest);
    let right = expected(&folder, &[]).0;
    assert_eq!(sha256sum(&build(&mut worker, &hex_sha256)), right);
    assert!(worker.end().success());
}

#[test]
fn a_hit_reads_no_content() {
    let folder = packages();
    let mut worker = Worker::start(folder.path(), &["--cache-dir=cache"]);
    let request = claiming(&folder, &layer(&["--output=cached"]), hex_sha256);
    worker.send(&request);
    assert_eq!(worker.response().exit_code, 0);
    let before = folder.read("cached");
    for number in 0..50 {
        folder.file(&format!("many/m{number}.py"), b"Bazel does not know of this");
    }
    worker.send(&request);
    assert_eq!(worker.response().exit_code, 0);
    assert!(folder.read("cached") == before);
    assert!(worker.end().success());
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
        assert_eq!(build(0), true, "{number}");
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
        assert_eq!(root.path().join("pylayer/v1/blobs").exists(), kept, "{inside}");
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
