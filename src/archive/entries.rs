//! The entries of a layer.

use std::borrow::Cow;
use std::io::Read;
use std::ops::Range;

use super::{Blob, FinishedBlob, Member};
use crate::error::{Error, Result};
use crate::fs::Input;
use crate::layer::CancelCheck;

/// The longest `RECORD` that is read, in bytes, and the most of all in a layer.
const LONGEST_RECORD: u64 = 16 << 20;

/// The longest file that is read, in bytes: sums of such lengths stay numbers.
const LONGEST: u64 = 1 << 40;

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of a file.
    HardLink,
    /// Anything else, by its type flag.
    Other(u8),
}

impl Kind {
    /// The kind's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::HardLink => "hard link",
            Self::Other(_) => "other",
        }
    }
}

/// An entry of a layer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its path, without `./` and `/` before it and `/` after it.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// The length of its content in bytes.
    pub size: u64,
    /// Its permissions.
    pub mode: u32,
    /// Its owner and group, by number.
    pub owner: (u64, u64),
    /// The names of its owner and group.
    pub names: (Vec<u8>, Vec<u8>),
    /// When it was changed, in seconds since 1970.
    pub mtime: u64,
    /// What it leads to, if it is a link.
    pub link: Vec<u8>,
    /// The BLAKE3 digest of its content, if it is a file.
    pub content: Option<[u8; 32]>,
    /// Its PAX records.
    pub pax: Vec<(String, Vec<u8>)>,
    /// Where its headers, content, and padding are in the archive.
    pub range: Range<u64>,
    /// Where its content begins.
    pub content_offset: u64,
}

/// What an installed package says of its files: the `RECORD` of its `.dist-info` directory.
#[derive(Clone, Debug)]
pub struct Record {
    /// The `.dist-info` directory's path.
    pub directory: Vec<u8>,
    /// Paths relative to the directory that it is in.
    pub files: Vec<Vec<u8>>,
}

/// A layer that was read.
#[derive(Debug)]
pub struct Layer {
    /// The blob: digests, sizes, members.
    pub blob: FinishedBlob,
    /// The entries, in order.
    pub entries: Vec<Entry>,
    /// The packages that say what files they have.
    pub records: Vec<Record>,
}

impl Layer {
    /// Reads a layer.
    pub fn read(input: Input, check: CancelCheck<'_>) -> Result<Self> {
        let length = input.size();
        Self::of_first(input, length, check)
    }

    /// Reads the first `length` bytes of a file: the members of a segment.
    pub fn of_first(input: Input, length: u64, check: CancelCheck<'_>) -> Result<Self> {
        let path = input.path().to_owned();
        let mut blob = Blob::of_first(input, length, check)?;
        let mut reading =
            Reading { entries: Vec::new(), records: Vec::new(), left: LONGEST_RECORD };
        if let Err(source) = reading.all(&mut blob) {
            let damaged =
                || Error::input("damaged archive in").at(path).because(source.to_string());
            return Err(blob.failure().unwrap_or_else(damaged));
        }
        let Reading { entries, records, .. } = reading;
        Ok(Self { blob: blob.finish()?, entries, records })
    }

    /// What follows the archive's end, in bytes: no tool extracts it.
    pub fn trailing(&self) -> u64 {
        let end = self.entries.last().map_or(0, |entry| entry.range.end);
        self.blob.said.saturating_sub(end)
    }

    /// How many bytes of the blob each entry takes: of each member that it has a part in, the same
    /// share as of the member's content.
    pub fn compressed(&self) -> Vec<u64> {
        let mut members = self.blob.members.iter().peekable();
        let share = |member: &Member, bytes: u64| {
            let whole = u128::from(member.content_length.max(1));
            let share = u128::from(member.length) * u128::from(bytes) / whole;
            u64::try_from(share).unwrap_or(u64::MAX)
        };
        let mut sizes = Vec::with_capacity(self.entries.len());
        for Entry { range, .. } in &self.entries {
            let mut size = 0;
            while let Some(member) = members.peek() {
                let end = member.content_offset + member.content_length;
                let from = range.start.max(member.content_offset);
                size += share(member, range.end.min(end).saturating_sub(from));
                if end > range.end {
                    break;
                }
                members.next();
            }
            sizes.push(size);
        }
        sizes
    }
}

struct Reading {
    entries: Vec<Entry>,
    records: Vec<Record>,
    /// How many bytes of `RECORD`s may still be kept.
    left: u64,
}

impl Reading {
    fn all(&mut self, blob: &mut Blob<'_>) -> std::io::Result<()> {
        let mut archive = tar::Archive::new(blob);
        let mut buffer = vec![0; 64 << 10];
        let mut end = 0;
        for entry in archive.entries()? {
            let mut entry = entry?;
            let pax = match entry.pax_extensions()? {
                None => Vec::new(),
                Some(records) => records
                    .map(|record| {
                        let record = record?;
                        let key = String::from_utf8_lossy(record.key_bytes()).into_owned();
                        Ok((key, record.value_bytes().to_vec()))
                    })
                    .collect::<std::io::Result<_>>()?,
            };
            let number = |key: &str| -> Option<u64> {
                let (_, value) = pax.iter().find(|(name, _)| name == key)?;
                std::str::from_utf8(value).ok()?.split('.').next()?.parse().ok()
            };
            let header = entry.header();
            let old = header.as_old();
            let kind = match header.entry_type().as_byte() {
                b'0' | b'\0' | b'7' | b'S' => Kind::File,
                b'5' => Kind::Directory,
                b'2' => Kind::Symlink,
                b'1' => Kind::HardLink,
                other => Kind::Other(other),
            };
            let stored = if header.entry_type().is_gnu_sparse() {
                header.entry_size()?
            } else {
                entry.size()
            };
            // Of a sparse file zeros without an end would come.
            if stored > LONGEST || entry.size() > LONGEST {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            let too_long = || std::io::Error::from(std::io::ErrorKind::InvalidData);
            let padded = stored.checked_next_multiple_of(512);
            let end_of_this = padded.and_then(|size| size.checked_add(entry.raw_file_position()));
            let mut read = Entry {
                path: normal(&entry.path_bytes()),
                kind,
                size: entry.size(),
                mode: u32::try_from(blank_is_0(&old.mode, header.mode().map(u64::from))? & 0o7777)
                    .unwrap_or(0),
                owner: (
                    number("uid").map_or_else(|| blank_is_0(&old.uid, header.uid()), Ok)?,
                    number("gid").map_or_else(|| blank_is_0(&old.gid, header.gid()), Ok)?,
                ),
                names: (
                    header.username_bytes().unwrap_or_default().to_vec(),
                    header.groupname_bytes().unwrap_or_default().to_vec(),
                ),
                mtime: number("mtime")
                    .map_or_else(|| blank_is_0(&old.mtime, header.mtime()), Ok)?,
                link: entry.link_name_bytes().map(Cow::into_owned).unwrap_or_default(),
                content: None,
                pax,
                content_offset: entry.raw_file_position(),
                range: end..end_of_this.ok_or_else(too_long)?,
            };
            end = read.range.end;
            if kind == Kind::File {
                let is_record = read.path.ends_with(b".dist-info/RECORD") && read.size <= self.left;
                let mut record = Vec::new();
                let mut hasher = blake3::Hasher::new();
                loop {
                    let length = entry.read(&mut buffer)?;
                    if length == 0 {
                        break;
                    }
                    hasher.update(&buffer[..length]);
                    if is_record {
                        record.extend_from_slice(&buffer[..length]);
                    }
                }
                read.content = Some(*hasher.finalize().as_bytes());
                if is_record {
                    self.left -= read.size;
                    let directory = read.path[..read.path.len() - b"/RECORD".len()].to_vec();
                    let files = record.split(|&byte| byte == b'\n').filter_map(recorded).collect();
                    self.records.push(Record { directory, files });
                }
            }
            self.entries.push(read);
        }
        Ok(())
    }
}

/// A number of a header; a blank field is 0, as other readers take it.
fn blank_is_0(field: &[u8], number: std::io::Result<u64>) -> std::io::Result<u64> {
    let is_blank = field.iter().all(|byte| b" \0".contains(byte));
    if is_blank { Ok(0) } else { number }
}

/// A path without `./` and `/` at its ends.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut path = path;
    while let Some(rest) = path.strip_prefix(b"./").or_else(|| path.strip_prefix(b"/")) {
        path = rest;
    }
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    path[..end].to_vec()
}

/// The path on a line of a `RECORD`, which is CSV.
fn recorded(line: &[u8]) -> Option<Vec<u8>> {
    let path = match line.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|&byte| byte == b'"').next()?,
        None => line.split(|&byte| byte == b',').next()?,
    };
    (!path.is_empty()).then(|| path.to_vec())
}

/// A path for people: what cannot be shown is escaped.
pub fn show(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    let escape = |character: char| {
        let plain = (!character.is_control()).then_some(character);
        let escaped = character.is_control().then(|| character.escape_default());
        plain.into_iter().chain(escaped.into_iter().flatten())
    };
    text.chars().flat_map(escape).collect()
}

#[cfg(test)]
mod tests;
