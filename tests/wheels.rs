//! Wheels as hints: streams are taken where they are right, and no wheel changes what a layer
//! contains.

use std::fs;
use std::process::Command;

use crate::support::worker::Worker;
use crate::support::zip::{Member, archive, deflate};
use crate::support::{Folder, PYLAYER, Run, decompress, sha256sum};

/// Text that is not the same everywhere.
fn text(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        format!("word{} ", state % 1000)
    });
    let mut text: Vec<u8> = words.take(length / 5).flat_map(String::into_bytes).collect();
    text.truncate(length);
    text
}

const SITE: &str = "tree/lib/python3.11/site-packages";

/// A file that is worth a member of its own.
const MIDDLE: usize = 100_000;

/// A file larger than a member may be otherwise.
const LARGE: usize = 9 << 20;

/// An installed package: files of all sizes.
fn package() -> Folder {
    let folder = Folder::new();
    for number in 0..40 {
        folder.file(&format!("{SITE}/p/small{number}.py"), &text(number, 700));
    }
    folder.file(&format!("{SITE}/p/middle.py"), &text(100, MIDDLE));
    folder.file(&format!("{SITE}/p/other.py"), &text(101, MIDDLE));
    folder.file(&format!("{SITE}/p/large.so"), &text(102, LARGE));
    folder.file("tree/bin/tool", &text(103, MIDDLE));
    folder
}

fn middle() -> Member {
    Member::new("p/middle.py", &text(100, MIDDLE))
}

fn large() -> Member {
    Member::new("p/large.so", &text(102, LARGE))
}

const TREE: [&str; 4] = ["--package=p", "--wheel=p.whl", "--tree=tree", "--to=app"];

fn contains(blob: &[u8], stream: &[u8]) -> bool {
    memchr::memmem::find(blob, stream).is_some()
}

/// Builds with this wheel: the layer's contents have to be those without it.
fn with_wheel(folder: &Folder, wheel: &[u8]) -> Vec<u8> {
    folder.file("p.whl", wheel);
    let plain = folder.layer(&["--compression=none", "--package=p", "--tree=tree", "--to=app"]);
    let blob = folder.layer(&TREE);
    assert!(decompress(&blob) == plain, "the wheel changed the layer's contents");
    blob
}

#[test]
fn streams_are_taken_as_they_are() {
    let folder = package();
    let small = Member::new("p/small1.py", &text(1, 700));
    let tool = Member::new("p-1.data/scripts/tool", &text(103, MIDDLE));
    let other = Member::new("p-1.data/purelib/p/other.py", &text(101, MIDDLE));
    let members = [small, middle(), large(), tool, other];
    let blob = with_wheel(&folder, &archive(&members));
    for member in &members[1..] {
        assert!(contains(&blob, &member.stream), "{}", member.name);
    }
    assert!(!contains(&blob, &members[0].stream), "too small for a member of its own");
    // A reader that is no library of ours.
    folder.file("out.gz", &blob);
    let run = Run::of(Command::new("gzip").arg("-t").arg(folder.path().join("out.gz")));
    assert_eq!((run.code, &*run.stderr), (0, ""));
}

#[test]
fn files_named_one_by_one_are_found_in_the_wheel() {
    let folder = package();
    folder.file("p.whl", &archive(&[middle()]));
    let file = format!("--file={SITE}/p/middle.py");
    let to = "--to=app.runfiles/pip_p/site-packages/p/middle.py";
    let blob = folder.layer(&["--package=p", &file, to, "--wheel=p.whl"]);
    assert!(contains(&blob, &middle().stream));
}

#[test]
fn a_bad_wheel_is_no_worse_than_none() {
    let folder = package();
    let (right, large) = (middle(), large());
    let with = |change: fn(&mut Member)| {
        let mut members = [right.clone(), large.clone()];
        members.iter_mut().for_each(change);
        archive(&members)
    };
    let fake = |content: &[u8], original: &Member| Member {
        stream: deflate(content),
        compressed: deflate(content).len() as u64,
        ..original.clone()
    };
    // An inflater stops at the end of the stream; a reader of the layer would find a trailer
    // there that fits, and garbage after it.
    let hidden = |member: &Member| {
        let size = u32::try_from(member.size).unwrap();
        let trailer = [member.crc.to_le_bytes(), size.to_le_bytes()].concat();
        member.clone().with_stream([&member.stream[..], &trailer, b"garbage"].concat())
    };
    let trailing =
        |member: &Member, more: &[u8]| member.clone().with_stream([&member.stream, more].concat());
    let cut = |member: &Member| {
        member.clone().with_stream(member.stream[..member.stream.len() - 1].to_vec())
    };
    let whole = archive(&[right.clone(), large.clone()]);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("no archive", text(1, 5000)),
        ("truncated", whole[..whole.len() - 30].to_vec()),
        ("half", whole[whole.len() / 2..].to_vec()),
        (
            "stored",
            with(|member| {
                member.method = 0;
            }),
        ),
        ("another method", with(|member| member.method = 12)),
        ("encrypted", with(|member| member.flags |= 1)),
        ("a lie about the length", with(|member| member.size += 1)),
        ("a lie about the compressed length", with(|member| member.compressed -= 3)),
        ("compressed beyond the file", with(|member| member.compressed += 1 << 30)),
        ("a lie about the place", with(|member| member.shift = 7)),
        ("a place beyond the file", with(|member| member.shift = 1 << 31)),
        ("twice", archive(&[right.clone(), right.clone(), large.clone(), large.clone()])),
        (
            "another content of that length",
            archive(&[fake(&text(7, MIDDLE), &right), fake(&text(8, LARGE), &large)]),
        ),
        (
            "a stream that ends early",
            archive(&[fake(&text(100, MIDDLE - 1), &right), fake(&text(102, LARGE - 1), &large)]),
        ),
        (
            "a stream that goes on",
            archive(&[
                fake(&[&text(100, MIDDLE)[..], b"x"].concat(), &right),
                fake(&[&text(102, LARGE)[..], b"x"].concat(), &large),
            ]),
        ),
        ("a stream without its end", archive(&[cut(&right), cut(&large)])),
        ("a difference in the last byte", {
            let other = |mut content: Vec<u8>| {
                *content.last_mut().unwrap() ^= 1;
                content
            };
            archive(&[
                fake(&other(text(100, MIDDLE)), &right),
                fake(&other(text(102, LARGE)), &large),
            ])
        }),
        ("bytes behind the stream", archive(&[trailing(&right, b"x"), trailing(&large, b"x")])),
        ("a trailer and bytes behind the stream", archive(&[hidden(&right), hidden(&large)])),
        (
            "a longer stream than file",
            archive(&[right
                .clone()
                .with_stream([deflate(&text(100, MIDDLE)), vec![0; MIDDLE]].concat())]),
        ),
        ("blocks of nothing before the content", archive(&[padded(&right), padded(&large)])),
    ];
    for (name, wheel) in cases {
        let blob = with_wheel(&folder, &wheel);
        for member in [&right, &large] {
            assert!(!contains(&blob, &member.stream) || name == "half", "{name}: {}", member.name);
        }
    }
}

#[test]
fn odd_wheels_that_are_right_are_used() {
    let folder = package();
    let (right, large) = (middle(), large());
    let with = |change: fn(&mut Member)| {
        let mut members = [right.clone(), large.clone()];
        members.iter_mut().for_each(change);
        archive(&members)
    };
    for (name, wheel) in [
        ("data descriptors", with(|member| member.flags |= 8)),
        ("zip64 lengths", with(|member| member.zip64 = true)),
        ("bytes before the archive", [b"#!/bin/sh\n".to_vec(), with(|_| ())].concat()),
        ("a lie about the checksum", with(|member| member.crc ^= 1)),
    ] {
        let blob = with_wheel(&folder, &wheel);
        for member in [&right, &large] {
            assert!(contains(&blob, &member.stream), "{name}: {}", member.name);
        }
    }
}

#[test]
fn a_wheel_that_is_not_there_is_an_error_that_names_it() {
    let folder = package();
    let run = folder.run(&[&["layer", "--output=out"], &TREE[..]].concat());
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("p.whl"), "{}", run.stderr);
    assert!(!folder.path().join("out").exists());
}

#[test]
fn other_codecs_have_no_use_for_wheels() {
    let folder = package();
    for compression in ["--compression=zstd:3", "--compression=none"] {
        let plain = folder.layer(&[compression, "--package=p", "--tree=tree", "--to=app"]);
        folder.file("p.whl", &archive(&[middle()]));
        assert!(folder.layer(&[&[compression], &TREE[..]].concat()) == plain);
    }
}

#[test]
fn a_wheels_streams_are_the_same_bytes_always() {
    let folder = package();
    // One stream of each size is right, one is wrong.
    let wrong = Member { stream: deflate(&text(9, MIDDLE)), ..middle() };
    let wrong = Member { name: "p/other.py".to_owned(), ..wrong };
    folder.file("p.whl", &archive(&[middle(), wrong, large()]));
    let layer = [&["layer", "--output=out"], &TREE[..]].concat();
    let expected = sha256sum(&folder.layer(&TREE));
    let built = |run: Run| {
        assert_eq!((run.code, &*run.stderr), (0, ""));
        sha256sum(&fs::read(folder.path().join("out")).unwrap())
    };
    for startup in [&["--jobs=1"][..], &["--jobs=5"], &["--cache-dir=c"], &["--cache-dir=c"]] {
        let run = folder.run(&[startup, &layer[..]].concat());
        assert_eq!(built(run), expected, "{startup:?}");
    }
    let mut worker = Worker::start(folder.path(), &["--cache-dir=none", "--jobs=2"]);
    for id in 1..=3 {
        worker.request(id, &layer);
        let response = worker.response();
        assert_eq!((response.exit_code, &*response.output), (0, ""));
        assert_eq!(sha256sum(&folder.read("out")), expected, "request {id}");
    }
    assert!(worker.end().success());
}

/// The right stream after so many empty stored blocks that it is longer than the file.
fn padded(member: &Member) -> Member {
    let blocks = usize::try_from(member.size).unwrap() / 5 + 1;
    let stream = [[0, 0, 0, 0xff, 0xff].repeat(blocks), member.stream.clone()].concat();
    member.clone().with_stream(stream)
}

#[test]
fn the_wheel_is_part_of_a_segments_key() {
    let folder = package();
    let cached = |arguments: &[&str]| {
        let all = [&["--cache-dir=c", "layer", "--output=out", "--explain"], arguments].concat();
        let run = Run::of(Command::new(PYLAYER).args(all).current_dir(folder.path()));
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(folder.read("out") == folder.layer(arguments));
        run.stderr.contains("hit")
    };
    let without = ["--package=p", "--tree=tree", "--to=app"];
    folder.file("p.whl", &archive(&[middle(), large()]));
    assert!(!cached(&TREE));
    assert!(cached(&TREE));
    assert!(!cached(&without));
    folder.file("p.whl", &archive(&[middle()]));
    assert!(!cached(&TREE), "another wheel");
    assert!(cached(&without));
    // The same contents at the same places, of which the wheel knows nothing under these paths.
    let below = format!("--tree={SITE}/p");
    let to = SITE.replacen("tree", "--to=app", 1) + "/p";
    let deeper = ["--package=p", "--wheel=p.whl", &*below, &*to];
    folder.file("p.whl", &archive(&[middle(), large()]));
    assert!(!cached(&deeper), "another path in the tree");
    assert!(cached(&TREE) && cached(&deeper));
    // A layer that ends with a changed package: the large member's content is hashed again.
    folder.file("z", b"1");
    let two = [&TREE[..], &["--package=z", "--file=z", "--to=z"]].concat();
    folder.file("p.whl", &archive(&[middle(), large()]));
    assert!(cached(&two));
    folder.file("a", b"2");
    let three = [&two[..], &["--package=a", "--file=a", "--to=a"]].concat();
    assert!(cached(&three));
}
