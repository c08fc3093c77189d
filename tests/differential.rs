//! Random requests: two workers that share a cache, and one-shot runs without any, give the same
//! answers and the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use worker_protocol::messages::{Input, WorkRequest};
use xtask::session::{Numbers, noise};

use crate::support::worker::Worker;
use crate::support::zip::{Member, archive};
use crate::support::{Folder, Run, sha256sum, tree};

/// How many packages there are to choose from.
const PACKAGES: usize = 12;

/// Requests that a worker has at a time.
const BATCH: usize = 6;

/// A folder of packages of all kinds of files, some with a wheel.
fn packages(numbers: &mut Numbers) -> Folder {
    let folder = Folder::new();
    for package in 0..PACKAGES {
        let name = format!("p{package}");
        let mut members = Vec::new();
        for file in 0..=numbers.below(12) {
            let path = *numbers.one_of(&["a.py", "sub/b.so", "sub/ü.txt", "tests/t.py", "c.pyi"]);
            let path = format!("{name}/{file}/{path}");
            let size = *numbers.one_of(&[0, 1, 700, 20_000, 90_000, 300_000]);
            // A few contents for all packages: files and segments that they share.
            let mut content = noise(size, numbers.next() % 5);
            if numbers.below(2) == 0 {
                for byte in &mut content {
                    *byte &= 0x0f;
                }
            }
            folder.file(&path, &content);
            let inside = path.strip_prefix(&format!("{name}/")).unwrap();
            members.push(Member::new(inside, &content));
        }
        if numbers.below(2) == 0 {
            folder.link(&format!("{name}/link"), "0");
        }
        if numbers.below(6) == 0 {
            folder.link(&format!("{name}/other"), format!("../p{}", numbers.below(PACKAGES)));
        }
        if numbers.below(2) == 0 {
            folder.file(&format!("{name}.whl"), &archive(&members));
        }
    }
    folder
}

/// The arguments of a request after its outputs. Some of them cannot work.
fn sources(folder: &Folder, numbers: &mut Numbers) -> Vec<String> {
    let codecs = ["none", "gzip:1", "gzip:6", "zstd:1", "zstd:3"];
    let mut arguments = vec![format!("--compression={}", numbers.one_of(&codecs))];
    let now_and_then = |numbers: &mut Numbers, arguments: &mut Vec<String>, argument: &str| {
        if numbers.below(8) == 0 {
            arguments.push(argument.to_owned());
        }
    };
    now_and_then(numbers, &mut arguments, "--owner=1000");
    now_and_then(numbers, &mut arguments, "--mtime=1");
    now_and_then(numbers, &mut arguments, "--base-directory=srv/app");
    for _ in 0..=numbers.below(5) {
        let package = format!("p{}", numbers.below(PACKAGES));
        arguments.push(format!("--package={package}"));
        now_and_then(numbers, &mut arguments, "--exclude=tests");
        now_and_then(numbers, &mut arguments, "--exclude=*.pyi");
        now_and_then(numbers, &mut arguments, "--include=*.{py,so}");
        now_and_then(numbers, &mut arguments, "--include=[0-4]/**");
        if folder.path().join(&package).with_extension("whl").exists() && numbers.below(2) == 0 {
            arguments.push(format!("--wheel={package}.whl"));
        }
        arguments.push(format!("--tree={package}"));
        // A package that comes twice, and two at one place: the same entries, or a conflict.
        let place = *numbers.one_of(&["srv/app", "srv/app", "srv/app", "srv"]);
        arguments.push(match numbers.below(20) {
            0 => format!("--to={place}"),
            _ => format!("--to={place}/{package}"),
        });
        now_and_then(numbers, &mut arguments, "--mode=keep");
        if numbers.below(40) == 0 {
            arguments.extend(["--file=missing", "--to=srv/missing"].map(str::to_owned));
        }
    }
    if numbers.below(3) == 0 {
        arguments.push("--package=extra".to_owned());
        for (source, name) in [("--empty", "e"), ("--symlink=e", "s"), ("--directory", "d")] {
            arguments.extend([source.to_owned(), format!("--to=srv/app/extra/{name}")]);
        }
    }
    arguments
}

/// What came of a request: exit code, what is wrong, blob, metadata.
#[derive(Clone, Eq, PartialEq)]
struct Outcome {
    code: i32,
    said: String,
    blob: Option<Vec<u8>>,
    metadata: Option<Vec<u8>>,
}

impl Outcome {
    /// Takes the files that a request has written, and gives those of none.
    fn new(folder: &Path, name: &str, code: i32, said: &str) -> Self {
        let take = |path: String| {
            let path = folder.join(path);
            let bytes = std::fs::read(&path).ok();
            drop(std::fs::remove_file(&path));
            bytes
        };
        let (blob, metadata) = (take(name.to_owned()), take(format!("{name}.json")));
        // Of warnings a worker's log has more than its answer.
        let said = if code == 0 { String::new() } else { said.replace(name, "OUT") };
        Self { code, said, blob, metadata }
    }
}

fn layer(name: &str, sources: &[String]) -> Vec<String> {
    let outputs = [format!("--output={name}"), format!("--metadata={name}.json")];
    ["layer".to_owned()].into_iter().chain(outputs).chain(sources.iter().cloned()).collect()
}

fn once(folder: &Folder, sources: &[String]) -> Outcome {
    let arguments = layer("once-out", sources);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Run { code, stdout, stderr } = folder.run(&arguments);
    assert_eq!(stdout, "");
    Outcome::new(folder.path(), "once-out", code, &stderr)
}

/// Files of finished packages, by the arguments that made them; none where that cannot be.
type Segments = BTreeMap<Vec<String>, Option<String>>;

/// The arguments of the same layer, with files of finished packages in place of some sources.
fn with_segments(
    folder: &Folder,
    sources: &[String],
    made: &mut Segments,
    numbers: &mut Numbers,
) -> Option<Vec<String>> {
    let mut groups = sources.chunk_by(|_, next| !next.starts_with("--package="));
    let common = groups.next()?;
    let groups: Vec<&[String]> = groups.collect();
    let mut arguments = common.to_vec();
    for group in &groups {
        let is_alone = groups.iter().filter(|other| other[0] == group[0]).count() == 1;
        let made_of = [common, group].concat();
        let number = made.len();
        let segment = made.entry(made_of.clone()).or_insert_with(|| {
            let name = format!("segment-{number}");
            let mut arguments = vec!["segment".to_owned(), format!("--output={name}")];
            arguments.extend(made_of);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            (folder.run(&arguments).code == 0).then_some(name)
        });
        // A package that is none by itself, such as one with a link to another.
        let segment = segment.as_ref()?;
        if is_alone && numbers.below(2) == 0 {
            arguments.push(format!("--segment={segment}"));
        } else {
            arguments.extend(group.iter().cloned());
        }
    }
    Some(arguments)
}

/// The inputs of all requests, with or without what they hold.
fn inputs(folder: &Folder) -> Vec<Input> {
    let files = tree(folder.path()).into_iter().filter_map(|(path, what)| {
        let digest = what.strip_prefix("file ")?.rsplit(':').next()?.to_owned();
        Some(Input { path, digest: digest.into_bytes() })
    });
    files.collect()
}

/// Sends so many requests, made from a seed.
fn differ(seed: u64, requests: usize) {
    let numbers = &mut Numbers::new(seed);
    let folder = packages(numbers);
    let inputs = inputs(&folder);
    // Too small for all segments.
    let startup = ["--cache-dir=cache", "--cache-size=3MiB", "--jobs=2"];
    let mut workers = [(); 2].map(|()| Worker::start(folder.path(), &startup));
    // Few enough requests that each comes more than once.
    let known: Vec<Vec<String>> = (0..=requests / 4).map(|_| sources(&folder, numbers)).collect();
    let mut expected: BTreeMap<&[String], Outcome> = BTreeMap::new();
    let mut segments = Segments::new();
    let (mut good, mut bad, mut of_segments) = (0, 0, 0);
    for _ in 0..requests / BATCH {
        let mut sent = BTreeMap::new();
        for id in 1..=i32::try_from(BATCH).unwrap() {
            let sources = known[numbers.below(known.len())].as_slice();
            let mixed = (numbers.below(3) == 0)
                .then(|| with_segments(&folder, sources, &mut segments, numbers))
                .flatten();
            let name = format!("out-{id}");
            workers[usize::from(id % 2 == 0)].send(&WorkRequest {
                request_id: id,
                arguments: layer(&name, mixed.as_deref().unwrap_or(sources)),
                inputs: if numbers.below(2) == 0 { inputs.clone() } else { Vec::new() },
                ..WorkRequest::default()
            });
            sent.insert(id, (name, sources, mixed.is_some()));
        }
        for at in 0..BATCH {
            let answer = workers[usize::from(at % 2 == 0)].response();
            let (name, sources, is_mixed) = sent.remove(&answer.request_id).unwrap();
            let mut outcome = Outcome::new(folder.path(), &name, answer.exit_code, &answer.output);
            let expected = expected.entry(sources).or_insert_with(|| once(&folder, sources));
            if is_mixed {
                // An error names the file in place of the source.
                outcome.said.clone_from(&expected.said);
                of_segments += 1;
            }
            assert_eq!(
                (outcome.code, &outcome.said),
                (expected.code, &expected.said),
                "{sources:?}"
            );
            let digest = |blob: &Option<Vec<u8>>| blob.as_deref().map(sha256sum);
            let same = outcome == *expected;
            assert!(same, "{sources:?} gave {:?}", digest(&outcome.blob));
            assert_eq!(outcome.blob.is_some(), outcome.code == 0, "{sources:?}");
            *if outcome.code == 0 { &mut good } else { &mut bad } += 1;
        }
    }
    for worker in workers {
        assert!(worker.end().success());
    }
    assert!(good > requests / 4 && bad > 0, "seed {seed}: {good} layers, {bad} errors");
    assert!(of_segments > 0, "seed {seed}: no layer of segments");
}

#[test]
fn workers_with_a_cache_agree_with_runs_without() {
    for seed in [1, 2, 3] {
        differ(seed, 72);
    }
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak`"]
fn workers_with_a_cache_agree_with_runs_without_ten_thousand_times() {
    for seed in 100..140 {
        differ(seed, 252);
    }
}
