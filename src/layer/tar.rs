//! The archive's bytes: ustar headers, with a PAX record only where ustar cannot hold a value.
//!
//! Pure: the same [`Header`] gives the same bytes, and nothing here reads a clock, a locale, or a
//! file. The format is POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax Header Block".
//!
//! Names are bytes. A name that is not ASCII stands in the ustar header as it is: every reader
//! of layers takes ustar names as raw bytes, while a PAX `path` makes bsdtar convert it to the
//! locale, which fails in the C locale.

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

const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const UID: std::ops::Range<usize> = 108..116;
const GID: std::ops::Range<usize> = 116..124;
const SIZE: std::ops::Range<usize> = 124..136;
const MTIME: std::ops::Range<usize> = 136..148;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: std::ops::Range<usize> = 157..257;
const MAGIC: std::ops::Range<usize> = 257..265;
const DEVICES: [std::ops::Range<usize>; 2] = [329..337, 337..345];
const PREFIX: std::ops::Range<usize> = 345..500;

impl Header<'_> {
    /// Appends the entry's header blocks: PAX records first where they are needed.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let mut path = self.path.to_vec();
        let (kind, target, size): (u8, &[u8], u64) = match self.kind {
            Kind::File { size } => (b'0', b"", size),
            Kind::Directory => {
                path.push(b'/');
                (b'5', b"", 0)
            }
            Kind::Symlink { target } => (b'2', target, 0),
        };

        let mut records = Vec::new();
        let mut block = [0; BLOCK];
        if let Some((prefix, name)) = split(&path) {
            put(&mut block[PREFIX], prefix);
            put(&mut block[NAME], name);
        } else {
            text_record(&mut records, "path", &path);
            put(&mut block[NAME], clip(&path));
        }
        if target.len() <= LINK.len() {
            put(&mut block[LINK], target);
        } else {
            text_record(&mut records, "linkpath", target);
            put(&mut block[LINK], clip(target));
        }
        for (field, keyword, value) in [
            (MODE, "mode", u64::from(self.mode & 0o7777)),
            (UID, "uid", self.owner),
            (GID, "gid", self.group),
            (SIZE, "size", size),
            (MTIME, "mtime", self.mtime),
        ] {
            if !octal(&mut block[field.clone()], value) {
                record(&mut records, keyword, value.to_string().as_bytes());
                octal(&mut block[field], 0);
            }
        }

        if !records.is_empty() {
            pax(out, &records);
        }
        finish(&mut block, kind);
        out.extend_from_slice(&block);
    }
}

/// Appends an `x` entry that holds `records`.
fn pax(out: &mut Vec<u8>, records: &[u8]) {
    let mut block = [0; BLOCK];
    put(&mut block[NAME], b"PaxHeaders/x");
    octal(&mut block[MODE], 0o644);
    for field in [UID, GID, MTIME] {
        octal(&mut block[field], 0);
    }
    octal(&mut block[SIZE], records.len() as u64);
    finish(&mut block, b'x');
    out.extend_from_slice(&block);
    out.extend_from_slice(records);
    out.resize(out.len() + padding(records.len() as u64), 0);
}

/// Writes what every header has in common, the checksum last.
fn finish(block: &mut [u8; BLOCK], kind: u8) {
    block[TYPE] = kind;
    put(&mut block[MAGIC], b"ustar\x0000");
    for field in DEVICES {
        octal(&mut block[field], 0);
    }
    block[CHECKSUM].fill(b' ');
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    // The checksum alone has six digits, a NUL, and a space.
    octal(&mut block[CHECKSUM.start..CHECKSUM.end - 1], sum);
}

fn put(field: &mut [u8], value: &[u8]) {
    field[..value.len()].copy_from_slice(value);
}

/// The start of a value that stands in full in a PAX record.
fn clip(value: &[u8]) -> &[u8] {
    &value[..value.len().min(NAME.len())]
}

/// Writes `value` as octal digits that fill the field but for a final NUL; false if they do not
/// fit.
fn octal(field: &mut [u8], value: u64) -> bool {
    let digits = field.len() - 1;
    if value >= 1 << (3 * digits) {
        return false;
    }
    for (at, byte) in field[..digits].iter_mut().rev().enumerate() {
        *byte = b'0' + ((value >> (3 * at)) & 7) as u8;
    }
    field[digits] = 0;
    true
}

/// Splits a path over ustar's prefix and name fields at a slash; none if it does not fit.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME.len() {
        return Some((b"", path));
    }
    // The shortest prefix that leaves a name short enough; a directory's final slash is no cut.
    let first = path.len() - NAME.len() - 1;
    let cut = (first..path.len() - 1).find(|&at| path[at] == b'/')?;
    (cut > 0 && cut <= PREFIX.len()).then(|| (&path[..cut], &path[cut + 1..]))
}

/// Appends a record whose value is a name. One that is not ASCII is said to be raw bytes, as POSIX
/// has it, or bsdtar would convert it to its locale, where it may have no place.
fn text_record(records: &mut Vec<u8>, keyword: &str, value: &[u8]) {
    const RAW: &[u8] = b"21 hdrcharset=BINARY\n";
    if !value.is_ascii() && !records.starts_with(RAW) {
        records.splice(0..0, RAW.iter().copied());
    }
    record(records, keyword, value);
}

/// Appends one PAX record, `"%d %s=%s\n"`, whose length counts its own digits.
fn record(records: &mut Vec<u8>, keyword: &str, value: &[u8]) {
    let rest = keyword.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(keyword.as_bytes());
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

const fn digits(number: usize) -> usize {
    number.ilog10() as usize + 1
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
        assert_eq!(&out[MODE], b"0000755\0");
        assert_eq!(&out[UID], b"0001750\0");
        assert_eq!(&out[GID], b"0003720\0");
        assert_eq!(&out[SIZE], b"00000000000\0");
        assert_eq!(&out[MTIME], b"14354236600\0");
        assert_eq!(&out[CHECKSUM], b"010643\0 ");
        assert_eq!(&out[MAGIC], b"ustar\x0000");
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

            let mut archive = tar::Archive::new(archive.as_slice());
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
