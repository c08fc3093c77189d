//! Archives of others, intact and damaged.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

/// An archive with all kinds of entries, of others' making.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(700);
    builder.append_data(&mut header, "a/file", &[7; 700][..]).unwrap();
    builder.append_pax_extensions([("mtime", &b"1.5"[..]), ("uid", b"70000")]).unwrap();
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Symlink);
    builder.append_link(&mut header, "l".repeat(120), "t".repeat(120)).unwrap();
    let record = &b"a/b.py,sha256=x,1\nc.py,,\n\n   "[..];
    header.set_size(record.len() as u64);
    header.set_entry_type(tar::EntryType::Regular);
    builder.append_data(&mut header, "x.dist-info/RECORD", record).unwrap();
    builder.into_inner().unwrap()
}

fn read(bytes: &[u8]) -> Result<Layer> {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().write_all(bytes).unwrap();
    Layer::read(Input::open(file.path()).unwrap(), &|| Ok(()))
}

#[test]
fn entries_are_read() {
    let layer = read(&archive()).unwrap();
    let paths: Vec<String> = layer.entries.iter().map(|entry| show(&entry.path)).collect();
    assert_eq!(paths, ["a/file".to_owned(), "l".repeat(120), "x.dist-info/RECORD".to_owned()]);
    let link = &layer.entries[1];
    assert_eq!((link.owner.0, link.mtime, link.link.len()), (70000, 1, 120));
    assert_eq!(layer.records[0].files, [b"a/b.py".to_vec(), b"c.py".to_vec(), b"   ".to_vec()]);
    assert_eq!(layer.trailing(), 0);
    assert_eq!(layer.compressed().iter().sum::<u64>(), layer.entries[2].range.end);
}

proptest! {
    #[test]
    fn damage_is_an_error_or_an_entry_and_no_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        digits in any::<bool>(),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = archive();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = if digits { b'0' + byte % 8 } else { byte };
            // Checksums that are right let more through.
            let header = at / 512 * 512;
            let sum = |(nth, byte): (usize, &u8)| {
                u32::from(if (148..156).contains(&nth) { b' ' } else { *byte })
            };
            let sum: u32 = bytes[header..header + 512].iter().enumerate().map(sum).sum();
            bytes[header + 148..header + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        if length.index(3) == 0 {
            bytes.truncate(length.index(bytes.len()));
        }
        if let Ok(layer) = read(&bytes) {
            prop_assert_eq!(layer.compressed().len(), layer.entries.len());
            layer.trailing();
        }
    }
}

#[test]
fn paths_are_shown_on_one_line() {
    assert_eq!(show("a b/ü".as_bytes()), "a b/ü");
    assert_eq!(show(b"a\nb\x1b[0m"), "a\\nb\\u{1b}[0m");
}

#[test]
fn paths_lose_what_says_nothing() {
    for (path, expected) in
        [("./a/b/", "a/b"), ("/a", "a"), ("./", ""), (".//./a", "a"), ("a/./b", "a/./b")]
    {
        assert_eq!(normal(path.as_bytes()), expected.as_bytes(), "{path}");
    }
}

#[test]
fn a_record_is_csv() {
    let line = |line: &str| recorded(line.as_bytes()).map(|it| String::from_utf8(it).unwrap());
    assert_eq!(line("a/b.py,sha256=x,1"), Some("a/b.py".to_owned()));
    assert_eq!(line("\"a,b.py\",,"), Some("a,b.py".to_owned()));
    assert_eq!(line(""), None);
}
