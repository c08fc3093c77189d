//! What a layer holds, in which order, and how it is cut into members.

use crate::support::{Folder, decompress, entries, listing, sha256sum};

fn wheel() -> Folder {
    Folder::new().with(&[
        ("t/b.py", "b"),
        ("t/a/x.py", "x"),
        ("t/a/__pycache__/x.pyc", "pyc"),
        ("t/p-1.dist-info/RECORD", "r"),
        ("t/p-1.dist-info/direct_url.json", "{}"),
        ("t/p-1.dist-info/uv_cache.json", "{}"),
        ("t/p-1.dist-info/METADATA", "m"),
        ("t/p.whl", "whl"),
        ("f", "file"),
    ])
}

#[test]
fn directories_come_first_then_packages_by_size_then_the_end() {
    let folder = wheel();
    let sources = ["--package=z", "--file=f", "--to=app/0", "--package=a", "--tree=t", "--to=app"];
    let archive = folder.layer(&[&["--compression=none"], &sources[..]].concat());
    let paths: Vec<String> = entries(&archive).into_iter().map(|entry| entry.path).collect();
    let expected = [
        "app/",
        "app/a/",
        "app/p-1.dist-info/",
        "app/a/x.py",
        "app/b.py",
        "app/p-1.dist-info/METADATA",
        "app/p-1.dist-info/RECORD",
        "app/p.whl",
        "app/0",
    ];
    assert_eq!(paths, expected);
    assert_eq!(archive.len() % 512, 0);
    let end = archive.len() - 1024;
    assert!(archive[end..].iter().all(|&byte| byte == 0));
    assert!(archive[end - 512..end].iter().any(|&byte| byte != 0), "two zero blocks, no more");
}

#[test]
fn entries_have_the_attributes_asked_for() {
    let folder = wheel();
    let found = folder.entries(&[
        "--owner=1000",
        "--group=2000",
        "--mtime=7",
        "--file=f",
        "--to=/usr/local/lib/python3/f",
        "--mode=0640",
        "--empty",
        "--to=./tmp/e",
        "--symlink=/bin/sh",
        "--to=sh",
    ]);
    let seen: Vec<_> = found
        .iter()
        .map(|entry| (&*entry.path, &*entry.kind, entry.mode, entry.owner, entry.mtime))
        .collect();
    let (user, root) = ((1000, 2000), (0, 0));
    let expected = [
        ("tmp/", "d", 0o1777, root, 7),
        ("usr/", "d", 0o755, root, 7),
        ("usr/local/", "d", 0o755, root, 7),
        ("usr/local/lib/", "d", 0o755, root, 7),
        ("usr/local/lib/python3/", "d", 0o755, root, 7),
        ("sh", "l /bin/sh", 0o755, user, 7),
        ("tmp/e", "f", 0o755, user, 7),
        ("usr/local/lib/python3/f", "f", 0o640, user, 7),
    ];
    assert_eq!(seen, expected);
    assert_eq!(found[7].content, b"file");
}

#[test]
fn the_defaults_are_root_0755_and_a_fixed_time() {
    let found = wheel().entries(&["--file=f", "--to=f"]);
    assert_eq!((found[0].mode, found[0].owner, found[0].mtime), (0o755, (0, 0), 1_672_560_000));
}

#[test]
fn globs_choose_from_a_package_s_trees_and_files() {
    let folder = Folder::new().with(&[
        ("t/lib/python3.11/site-packages/torch/lib/a.so", ""),
        ("t/lib/python3.11/site-packages/torch/b.so", ""),
        ("t/lib/python3.11/site-packages/torch/c.py", ""),
    ]);
    let site = "lib/python3.11/site-packages";
    // The same as one tree, and as rules_python has it: separate files.
    let tree = ["--tree=t".to_owned(), "--to=app".to_owned()];
    let files = ["torch/lib/a.so", "torch/b.so", "torch/c.py"]
        .map(|path| [format!("--file=t/{site}/{path}"), format!("--to=app/{site}/{path}")])
        .concat();
    for (globs, expected) in [
        (&["--include=*.so"][..], &["torch/b.so", "torch/lib/a.so"][..]),
        (&["--include=torch/*.so"], &["torch/b.so"]),
        (&["--exclude=*.so"], &["torch/c.py"]),
        (&["--include", "torch/**", "--exclude", "torch/lib/*"], &["torch/b.so", "torch/c.py"]),
        (&["--include=*.txt"], &[]),
    ] {
        for sources in [&tree[..], &files] {
            let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
            let found = folder.entries(&[&["--package=torch"], &sources[..], globs].concat());
            let found: Vec<String> = listing(&found)
                .iter()
                .map(|(path, _)| path.replace(&format!("app/{site}/"), ""))
                .collect();
            assert_eq!(found, expected, "{globs:?} {sources:?}");
        }
    }
}

#[test]
fn one_place_has_one_entry() {
    let folder = Folder::new().with(&[("a", "same"), ("b", "same"), ("e", "")]);
    let found = folder.entries(&[
        "--package=2",
        "--file=b",
        "--to=x",
        "--file=e",
        "--to=e",
        "--symlink=x",
        "--to=l",
        "--package=1",
        "--file=a",
        "--to=x",
        "--empty",
        "--to=e",
        "--symlink=x",
        "--to=l",
    ]);
    assert_eq!(listing(&found), [("e", "f"), ("l", "l x"), ("x", "f")]);
}

#[test]
fn the_same_package_may_be_opened_twice() {
    let folder = Folder::new().with(&[("t/a.so", ""), ("t/b.py", "")]);
    let found = folder.entries(&[
        "--package=p",
        "--include=*.so",
        "--tree=t",
        "--to=1",
        "--package=q",
        "--empty",
        "--to=3",
        "--package=p",
        "--include=*.py",
        "--tree=t",
        "--to=0",
    ]);
    assert_eq!(listing(&found), [("0/b.py", "f"), ("1/a.so", "f"), ("3", "f")]);
}

#[test]
fn a_layer_of_nothing_is_an_empty_archive() {
    assert_eq!(Folder::new().layer(&["--compression=none"]), [0; 1024]);
}

#[test]
fn metadata_is_about_the_blob() {
    let folder = wheel();
    for (compression, media_type) in [
        ("none", "application/vnd.oci.image.layer.v1.tar"),
        ("gzip:1", "application/vnd.oci.image.layer.v1.tar+gzip"),
        ("zstd:3", "application/vnd.oci.image.layer.v1.tar+zstd"),
    ] {
        let compression = format!("--compression={compression}");
        let blob = folder.layer(&["--metadata=json", &compression, "--tree=t", "--to=app"]);
        let expected = format!(
            "{{\"mediaType\":\"{media_type}\",\"digest\":\"{}\",\"size\":{},\"diff_id\":\"{}\"}}\n",
            sha256sum(&blob),
            blob.len(),
            sha256sum(&decompress(&blob)),
        );
        assert_eq!(String::from_utf8(folder.read("json")).unwrap(), expected);
    }
}

/// Bytes that no codec makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    bytes.take(length).collect()
}

#[test]
fn members_are_complete_and_hold_at_most_4_mib() {
    let folder = Folder::new();
    folder.file("big", &noise(9 << 20));
    let blob = folder.layer(&["--file=big", "--to=big"]);
    let mut rest = &blob[..];
    let mut lengths = Vec::new();
    while !rest.is_empty() {
        assert_eq!(rest[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0], "ten plain header bytes");
        let mut member = flate2::bufread::GzDecoder::new(rest);
        lengths.push(std::io::copy(&mut member, &mut std::io::sink()).unwrap());
        rest = member.into_inner();
    }
    assert_eq!(lengths, [4 << 20, 4 << 20, (1 << 20) + 512, 1024]);
}

#[test]
fn a_segment_depends_on_its_package_alone() {
    let folder = wheel();
    folder.file("u/u.py", &noise(5 << 20));
    let (t, u) =
        (["--package=t", "--tree=t", "--to=app/t"], ["--package=u", "--tree=u", "--to=app/u"]);
    for compression in ["--compression=gzip", "--compression=zstd", "--compression=none"] {
        let layer = |packages: &[&str]| folder.layer(&[&[compression], packages].concat());
        let (alone_t, alone_u) = (layer(&t), layer(&u));
        let both = layer(&[&u[..], &t].concat());
        let tail = layer(&[]);
        let segment = |alone: &[u8]| {
            // A layer of one package is head, segment, tail; the head has its directories only.
            let archive = decompress(alone);
            let head = archive.chunks(512).take_while(|block| block[156] == b'5').count();
            let mut taken = 0;
            let mut at = 0;
            while taken < head * 512 {
                let (member, length) = first_member(&alone[at..], compression, head * 512);
                taken += length;
                at += member;
            }
            alone[at..alone.len() - tail.len()].to_vec()
        };
        let (segment_t, segment_u) = (segment(&alone_t), segment(&alone_u));
        let merged = [segment_u, segment_t, tail.clone()].concat();
        assert!(both.ends_with(&merged), "{compression}");
    }
}

/// The compressed and the decompressed length of a blob's first member.
fn first_member(blob: &[u8], compression: &str, uncompressed: usize) -> (usize, usize) {
    match compression {
        "--compression=gzip" => {
            let mut member = flate2::bufread::GzDecoder::new(blob);
            let length = std::io::copy(&mut member, &mut std::io::sink()).unwrap();
            (blob.len() - member.into_inner().len(), length.try_into().unwrap())
        }
        "--compression=zstd" => {
            let length = zstd::zstd_safe::find_frame_compressed_size(blob).unwrap();
            (length, decompress(&blob[..length]).len())
        }
        _ => (uncompressed, uncompressed),
    }
}
