//! The archive's bytes: ustar headers, with a PAX record only where ustar cannot hold a value.
//!
//! Pure: the same [`Header`] gives the same bytes, and nothing here reads a clock, a locale, or a
//! file. The format is POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax Header Block".
//!
//! Blocks and records are the `tar` crate's. Ours is what decides bytes that it would decide
//! otherwise, or not the same way in every version: whether a value stands in the header or in a
//! record (the crate has GNU's binary numbers), where a long path is split, the checksum's form
//! (six digits, NUL, space, as POSIX has it), and the header before the records (the crate leaves
//! its name and mode empty).
//!
//! Names are bytes. A name that is not ASCII stands in the ustar header as it is: every reader
//! of layers takes ustar names as raw bytes, while a PAX `path` makes bsdtar convert it to the
//! locale, which fails in the C locale.

use std::borrow::Cow;
use std::sync::LazyLock;

use ::tar::{Builder, EntryType, Header as Block};

/// Everything in a tar archive is a multiple of this many bytes.
pub const BLOCK: usize = 512;

/// The end of an archive: two zero blocks.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// What kind of entry a header describes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind<'a> {
    /// A regular file of so many bytes, which follow the header, padded to a block.
    File {
        /// The file's length in bytes.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link with this text.
    Symlink {
        /// The link's text, any bytes but NUL.
        target: &'a [u8],
    },
}

/// One entry, as the archive describes it.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// The path in the image, without a leading or trailing slash.
    pub path: &'a [u8],
    /// What the entry is.
    pub kind: Kind<'a>,
    /// Permission bits.
    pub mode: u32,
    /// Numeric user id.
    pub owner: u64,
    /// Numeric group id.
    pub group: u64,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub mtime: u64,
}

/// The number of zero bytes after `size` bytes of content.
#[expect(clippy::cast_possible_truncation, reason = "less than a block")]
pub const fn padding(size: u64) -> usize {
    (size.next_multiple_of(BLOCK as u64) - size) as usize
}

/// The longest texts in a header's fields, in bytes; the first is a link's, too.
const NAME: usize = 100;
const PREFIX: usize = 155;

/// What numbers in a header's fields are less than: seven and eleven octal digits.
const SHORT: u64 = 1 << 21;
const LONG: u64 = 1 << 33;

impl Header<'_> {
    /// Appends the entry's header blocks: PAX records first where they are needed.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let path = self.full_path();
        append_records(out, &self.records(&path));

        let (kind, target, size): (_, &[u8], _) = match self.kind {
            Kind::File { size } => (EntryType::Regular, b"", size),
            Kind::Directory => (EntryType::Directory, b"", 0),
            Kind::Symlink { target } => (EntryType::Symlink, target, 0),
        };
        let mut block = ZEROS.clone();
        block.set_entry_type(kind);
        block.set_mode(self.mode & 0o7777);
        // What has no room stands in a record, and here as the zero that is there already: the
        // crate allocates for each number that it writes.
        for (value, limit, set) in [
            (self.owner, SHORT, Block::set_uid as fn(&mut Block, u64)),
            (self.group, SHORT, Block::set_gid),
            (size, LONG, Block::set_size),
            (self.mtime, LONG, Block::set_mtime),
        ] {
            if value != 0 && value < limit {
                set(&mut block, value);
            }
        }
        if let Some(fields) = block.as_ustar_mut() {
            // The start of a path without room: for readers that know no records.
            let (prefix, name) = split(&path).unwrap_or((b"", &path[..path.len().min(NAME)]));
            fields.prefix[..prefix.len()].copy_from_slice(prefix);
            fields.name[..name.len()].copy_from_slice(name);
            let target = &target[..target.len().min(NAME)];
            fields.linkname[..target.len()].copy_from_slice(target);
        }
        finish(&mut block);
        out.extend_from_slice(block.as_bytes());
    }

    /// The length of the entry's header blocks, in bytes.
    pub fn length(&self) -> u64 {
        let mut blocks = Vec::new();
        append_records(&mut blocks, &self.records(&self.full_path()));
        (blocks.len() + BLOCK) as u64
    }

    /// The path as the archive has it.
    fn full_path(&self) -> Cow<'_, [u8]> {
        match self.kind {
            Kind::Directory => [self.path, b"/"].concat().into(),
            _ => self.path.into(),
        }
    }

    /// What ustar cannot hold.
    fn records<'a>(&'a self, path: &'a [u8]) -> Vec<(&'static str, Cow<'a, [u8]>)> {
        let mut records = Vec::new();
        let mut texts = Vec::new();
        if split(path).is_none() {
            texts.push(("path", path));
        }
        let mut size = 0;
        match self.kind {
            Kind::Symlink { target } if target.len() > NAME => texts.push(("linkpath", target)),
            Kind::File { size: length } => size = length,
            _ => {}
        }
        // A name that is not ASCII is said to be raw bytes, as POSIX has it, or bsdtar would
        // convert it to its locale, where it may have no place.
        if texts.iter().any(|(_, text)| !text.is_ascii()) {
            records.push(("hdrcharset", b"BINARY".as_slice().into()));
        }
        records.extend(texts.into_iter().map(|(keyword, text)| (keyword, text.into())));
        for (keyword, value, limit) in [
            ("uid", self.owner, SHORT),
            ("gid", self.group, SHORT),
            ("size", size, LONG),
            ("mtime", self.mtime, LONG),
        ] {
            if value >= limit {
                records.push((keyword, value.to_string().into_bytes().into()));
            }
        }
        records
    }
}

/// Appends an `x` entry that holds the records, if there are any.
fn append_records(out: &mut Vec<u8>, records: &[(&str, Cow<'_, [u8]>)]) {
    if records.is_empty() {
        return;
    }
    let start = out.len();
    let mut builder = Builder::new(std::mem::take(out));
    let records = records.iter().map(|(keyword, value)| (*keyword, &**value));
    builder.append_pax_extensions(records).expect("memory takes all that is written");
    *out = std::mem::take(builder.get_mut());
    let first = &mut out[start..start + BLOCK];
    let mut block = ZEROS.clone();
    block.as_old_mut().size.copy_from_slice(&Block::from_byte_slice(first).as_old().size);
    block.as_old_mut().name[..b"PaxHeaders/x".len()].copy_from_slice(b"PaxHeaders/x");
    block.set_entry_type(EntryType::XHeader);
    block.set_mode(0o644);
    finish(&mut block);
    first.copy_from_slice(block.as_bytes());
}

/// A header in which all numbers are zero.
static ZEROS: LazyLock<Block> = LazyLock::new(|| {
    let mut block = Block::new_ustar();
    block.set_uid(0);
    block.set_gid(0);
    block.set_size(0);
    if let Some(fields) = block.as_ustar_mut() {
        fields.set_device_major(0);
        fields.set_device_minor(0);
    }
    block
});

/// Writes the checksum.
fn finish(block: &mut Block) {
    block.set_cksum();
    // The crate writes seven digits and a NUL.
    let checksum = &mut block.as_old_mut().cksum;
    checksum.copy_within(1.., 0);
    checksum[7] = b' ';
}

/// Splits a path over ustar's prefix and name fields at a slash; none if it does not fit.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME {
        return Some((b"", path));
    }
    // The shortest prefix that leaves a name short enough; a directory's final slash is no cut.
    let first = path.len() - NAME - 1;
    let cut = (first..path.len() - 1).find(|&at| path[at] == b'/')?;
    (cut > 0 && cut <= PREFIX).then(|| (&path[..cut], &path[cut + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read as _;
    use std::os::unix::ffi::OsStrExt as _;

    fn plain(path: &[u8]) -> Header<'_> {
        let kind = Kind::File { size: 0 };
        Header { path, kind, mode: 0o755, owner: 0, group: 0, mtime: 1_672_560_000 }
    }

    fn blocks(header: &Header<'_>) -> usize {
        let mut out = Vec::new();
        header.write_to(&mut out);
        assert_eq!(out.len() % BLOCK, 0);
        assert_eq!(header.length(), out.len() as u64);
        out.len() / BLOCK
    }

    #[test]
    fn pax_stands_only_where_ustar_cannot_hold_the_value() {
        let long =
            |dirs: usize, name: usize| [vec![b'd'; dirs], vec![b'/'], vec![b'n'; name]].concat();
        let at = |path: &[u8]| blocks(&plain(path));
        assert_eq!(at(b"app/a.py"), 1);
        assert_eq!(at("app/é".as_bytes()), 1);
        assert_eq!(at(b"app/\xff"), 1);
        assert_eq!(at(&[b'n'; 100]), 1);
        assert_eq!(at(&[b'n'; 101]), 3);
        assert_eq!(at(&long(155, 100)), 1);
        assert_eq!(at(&long(156, 100)), 3);
        assert_eq!(at(&long(10, 101)), 3);

        let file = plain(b"f");
        let sized = |size| blocks(&Header { kind: Kind::File { size }, ..file });
        assert_eq!(sized((8 << 30) - 1), 1);
        assert_eq!(sized(8 << 30), 3);
        assert_eq!(blocks(&Header { owner: 2_097_151, ..file }), 1);
        assert_eq!(blocks(&Header { owner: 2_097_152, ..file }), 3);
        assert_eq!(blocks(&Header { mtime: 0o77_777_777_777, ..file }), 1);
        assert_eq!(blocks(&Header { mtime: 0o100_000_000_000, ..file }), 3);
        let link =
            |length| Header { kind: Kind::Symlink { target: &[b't'; 101][..length] }, ..file };
        assert_eq!(blocks(&link(100)), 1);
        assert_eq!(blocks(&link(101)), 3);
    }

    #[test]
    fn a_directory_is_split_before_its_last_component() {
        let path = [vec![b'd'; 30], vec![b'/'], vec![b'n'; 100]].concat();
        let header = Header { kind: Kind::Directory, ..plain(&path) };
        assert_eq!(blocks(&header), 3, "101 bytes with the slash do not fit the name field");
        let path = [vec![b'd'; 30], vec![b'/'], vec![b'n'; 99]].concat();
        assert_eq!(blocks(&Header { kind: Kind::Directory, ..plain(&path) }), 1);
    }

    #[test]
    fn the_header_is_as_posix_draws_it() {
        let mut out = Vec::new();
        Header { owner: 1000, group: 2000, ..plain(b"app/a.py") }.write_to(&mut out);
        assert_eq!(&out[..9], b"app/a.py\0");
        assert_eq!(&out[100..108], b"0000755\0", "mode");
        assert_eq!(&out[108..116], b"0001750\0", "user");
        assert_eq!(&out[116..124], b"0003720\0", "group");
        assert_eq!(&out[124..136], b"00000000000\0", "size");
        assert_eq!(&out[136..148], b"14354236600\0", "time");
        assert_eq!(&out[148..156], b"010643\0 ", "checksum");
        assert_eq!(&out[257..265], b"ustar\x0000", "magic");
        assert!(out[265..329].iter().all(|&byte| byte == 0), "user and group names");
    }

    fn component() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![9 => 0x20..0x7f_u8, 1 => 0x80..=0xff_u8, 1 => 1..0x20_u8];
        // The reader here takes a line's end in a PAX value for the record's end.
        let byte = byte.prop_filter("a slash or a line's end", |b| !b"/\n".contains(b));
        proptest::collection::vec(byte, 1..200)
            .prop_filter("dots", |name| name != b"." && name != b"..")
    }

    proptest! {
        #[test]
        fn an_independent_reader_reads_back_what_was_written(
            components in proptest::collection::vec(component(), 1..6),
            target in component(),
            what in 0..3,
            mode in 0..0o1000_u32,
            owner in 0..u64::from(u32::MAX),
            mtime in 0..1_u64 << 35,
        ) {
            let path = components.join(&b'/');
            let kind = match what {
                0 => Kind::File { size: 0 },
                1 => Kind::Directory,
                _ => Kind::Symlink { target: &target },
            };
            let mut archive = Vec::new();
            Header { path: &path, kind, mode, owner, group: owner / 2, mtime }
                .write_to(&mut archive);
            archive.extend_from_slice(&END);

            let mut archive = ::tar::Archive::new(archive.as_slice());
            let mut entries = archive.entries().unwrap();
            let mut entry = entries.next().unwrap().unwrap();
            let mut expected = path.clone();
            if kind == Kind::Directory {
                expected.push(b'/');
            }
            prop_assert_eq!(entry.path_bytes().into_owned(), expected);
            prop_assert_eq!(entry.header().mode().unwrap(), mode);
            if let Kind::Symlink { target } = kind {
                let link = entry.link_name().unwrap().unwrap().into_owned();
                prop_assert_eq!(link.as_os_str().as_bytes(), target);
            }
            let pax: Vec<(String, Vec<u8>)> = match entry.pax_extensions().unwrap() {
                Some(extensions) => extensions
                    .map(|extension| extension.unwrap())
                    .map(|e| (e.key().unwrap().to_owned(), e.value_bytes().to_vec()))
                    .collect(),
                None => Vec::new(),
            };
            let number = |key: &str, field: u64| {
                pax.iter().find(|(name, _)| name == key).map_or(field, |(_, value)| {
                    std::str::from_utf8(value).unwrap().parse().unwrap()
                })
            };
            prop_assert_eq!(number("uid", entry.header().uid().unwrap()), owner);
            prop_assert_eq!(number("gid", entry.header().gid().unwrap()), owner / 2);
            prop_assert_eq!(number("mtime", entry.header().mtime().unwrap()), mtime);
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            prop_assert!(content.is_empty());
            drop(entry);
            prop_assert!(entries.next().is_none());
        }
    }
}
