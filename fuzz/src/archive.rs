//! The tar writer: entries of any kind, read back by another implementation.

#![no_main]

use std::io::Read as _;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pylayer::layer::tar::{END, Header, Kind, padding};

#[derive(Arbitrary, Debug)]
struct Entry {
    path: Vec<u8>,
    kind: What,
    mode: u16,
    owner: u64,
    group: u64,
    mtime: u64,
}

#[derive(Arbitrary, Debug)]
enum What {
    File(Vec<u8>),
    Directory,
    Symlink(Vec<u8>),
}

/// A name as the plan makes them: of components that are neither empty nor dots, without NUL.
fn name(bytes: &[u8]) -> Vec<u8> {
    let components = bytes.split(|&byte| byte == b'/');
    let plain = components.filter(|name| !matches!(name, [] | [b'.'] | [b'.', b'.']));
    let name = plain.collect::<Vec<_>>().join(&b"/"[..]);
    // This reader takes a newline for the end of a PAX record, whatever the record's length says.
    let name: Vec<u8> = name.into_iter().filter(|&byte| byte != 0 && byte != b'\n').collect();
    if name.is_empty() || name == b"." || name == b".." { b"x".to_vec() } else { name }
}

fuzz_target!(|entries: Vec<Entry>| {
    let mut archive = Vec::new();
    for entry in &entries {
        let (path, content): (_, &[u8]) = (
            name(&entry.path),
            match &entry.kind {
                What::File(content) => content,
                What::Directory | What::Symlink(_) => &[],
            },
        );
        let target = match &entry.kind {
            What::Symlink(target) => name(target),
            What::File(_) | What::Directory => Vec::new(),
        };
        let kind = match entry.kind {
            What::File(_) => Kind::File { size: content.len() as u64 },
            What::Directory => Kind::Directory,
            What::Symlink(_) => Kind::Symlink { target: &target },
        };
        let Entry { owner, group, mtime, .. } = *entry;
        let mode = u32::from(entry.mode & 0o777);
        Header { path: &path, kind, mode, owner, group, mtime }.write_to(&mut archive);
        assert!(archive.len().is_multiple_of(512));
        archive.extend_from_slice(content);
        archive.resize(archive.len() + padding(content.len() as u64), 0);
    }
    archive.extend_from_slice(&END);

    let mut reader = tar::Archive::new(&*archive);
    let mut read = reader.entries().unwrap();
    for entry in &entries {
        let mut found = read.next().unwrap().unwrap();
        let path = found.path_bytes().into_owned();
        let wanted = name(&entry.path);
        let (kind, slash): (_, &[u8]) = match &entry.kind {
            What::File(_) => (tar::EntryType::Regular, b""),
            What::Directory => (tar::EntryType::Directory, b"/"),
            What::Symlink(_) => (tar::EntryType::Symlink, b""),
        };
        assert_eq!(path, [&wanted[..], slash].concat());
        assert_eq!(found.header().entry_type(), kind);
        let mut content = Vec::new();
        found.read_to_end(&mut content).unwrap();
        match &entry.kind {
            What::File(wanted) => assert_eq!(&content, wanted),
            What::Directory => assert!(content.is_empty()),
            What::Symlink(target) => {
                assert_eq!(found.link_name_bytes().unwrap().into_owned(), name(target));
            }
        }
        assert_eq!(found.header().mode().unwrap(), u32::from(entry.mode & 0o777));
    }
    assert!(read.next().is_none());
});
