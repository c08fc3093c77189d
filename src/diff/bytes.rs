//! The first byte that differs.

use serde::Serialize;

use super::gzip;
use crate::archive::{Entry, Layer, Member, show};
use crate::digest::hex;
use crate::error::Result;
use crate::layer::compress::Codec;

/// How much is compared at a time, in bytes.
const PIECE: usize = 256 << 10;

/// The most bytes that are shown.
const SHOWN: usize = 8;

/// The first difference between two streams.
#[derive(Debug, Serialize)]
pub(super) struct FirstByte {
    /// The number of bytes before it, which are the same.
    pub(super) offset: u64,
    pub(super) a: Place,
    pub(super) b: Place,
}

/// What is where they differ.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    /// What this part is: `gzip member 2, header: mtime`.
    pub(super) what: String,
    /// What it says.
    pub(super) value: String,
    /// What it is, in a word.
    #[serde(skip)]
    pub(super) cause: &'static str,
}

/// Gives more of a stream; nothing at its end.
pub(super) type Stream<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<usize>;

/// The first difference of two streams: how many bytes are the same, and what follows on each side.
pub(super) fn first_difference(
    a: Stream<'_>,
    b: Stream<'_>,
) -> Result<Option<(u64, [Vec<u8>; 2])>> {
    let (mut bytes_a, mut bytes_b) = (vec![0; PIECE], vec![0; PIECE]);
    let mut offset = 0;
    loop {
        let (length_a, length_b) = (fill(a, &mut bytes_a)?, fill(b, &mut bytes_b)?);
        let (piece_a, piece_b) = (&bytes_a[..length_a], &bytes_b[..length_b]);
        if piece_a != piece_b {
            let same = piece_a.iter().zip(piece_b).take_while(|(a, b)| a == b).count();
            let rest = [piece_a, piece_b].map(|piece| piece[same..].to_vec());
            return Ok(Some((offset + same as u64, rest)));
        }
        if length_a == 0 {
            return Ok(None);
        }
        offset += length_a as u64;
    }
}

fn fill(stream: Stream<'_>, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn bytes(rest: &[u8]) -> String {
    if rest.is_empty() { "nothing".to_owned() } else { hex(&rest[..rest.len().min(SHOWN)]) }
}

/// How many bytes of a header to skip where its checksum is the first that differs: what differs
/// after it says more. It is 0 elsewhere, or if nothing does.
pub(super) fn to_skip(layer: &Layer, offset: u64, rest: &[Vec<u8>; 2]) -> usize {
    let entry = layer.entries.iter().find(|entry| entry.range.contains(&offset));
    let Some(left) = entry.and_then(|entry| entry.content_offset.checked_sub(offset)) else {
        return 0;
    };
    // The checksum is from byte 148 to byte 155 of 512.
    if !(512 - 155..=512 - 148).contains(&left) {
        return 0;
    }
    let after = usize::try_from(left - (512 - 156)).unwrap_or(usize::MAX);
    let [a, b] = rest.each_ref().map(|rest| rest.get(after..).unwrap_or_default());
    let in_header = a.iter().zip(b).take(512 - 156).position(|(a, b)| a != b);
    in_header.map_or(0, |at| after + at)
}

/// What is at a place in an archive.
pub(super) fn in_archive(layer: &Layer, offset: u64, rest: &[u8]) -> Place {
    let entries = &layer.entries;
    let index = entries.partition_point(|entry| entry.range.end <= offset);
    let Some(entry) = entries.get(index) else {
        let what = "what follows the last entry".to_owned();
        return Place { what, value: bytes(rest), cause: "end-of-archive" };
    };
    let (part, cause) = part_of_entry(entry, offset);
    Place { what: format!("{part} of {}", show(&entry.path)), value: bytes(rest), cause }
}

/// The fields of a header (POSIX, ustar), and where they end.
const FIELDS: [(&str, u64); 16] = [
    ("name", 100),
    ("mode", 108),
    ("owner", 116),
    ("group", 124),
    ("size", 136),
    ("time", 148),
    ("checksum", 156),
    ("kind", 157),
    ("link", 257),
    ("magic", 263),
    ("version", 265),
    ("owner-name", 297),
    ("group name", 329),
    ("device", 345),
    ("prefix", 500),
    ("unused", 512),
];

fn part_of_entry(entry: &Entry, offset: u64) -> (String, &'static str) {
    let header = entry.content_offset.saturating_sub(512);
    if offset < header {
        return ("a PAX or GNU extension header".to_owned(), "pax");
    }
    if let Some(at) = offset.checked_sub(entry.content_offset) {
        return if at < entry.size {
            (format!("byte {at} of the content"), "content")
        } else {
            ("the padding after the content".to_owned(), "tar-header")
        };
    }
    let at = offset - header;
    let field = FIELDS.iter().find(|(_, end)| at < *end).map_or("unused", |(name, _)| name);
    (format!("the header's {field}"), "tar-header")
}

/// What is at a place in a blob, whose member there begins with `start`.
pub(super) fn in_blob(layer: &Layer, offset: u64, rest: &[u8], start: &[u8]) -> Place {
    let Some((number, member)) = member_at(layer, offset) else {
        let what = if rest.is_empty() { "the end" } else { "the index of a segment" };
        return Place { what: what.to_owned(), value: bytes(rest), cause: "compression" };
    };
    let at = offset - member.offset;
    let name = match layer.blob.codec {
        Codec::None => {
            return Place { what: "the archive".to_owned(), value: bytes(rest), cause: "archive" };
        }
        Codec::Gzip => "gzip member",
        Codec::Zstd => "zstd frame",
    };
    let (part, value, cause) = if layer.blob.codec == Codec::Gzip {
        match gzip::header_field(start, at) {
            Some((field, value)) => {
                let cause = match at {
                    4..8 => "gzip-time",
                    8 => "level",
                    _ => "gzip-header",
                };
                (format!("header: {field}"), value, cause)
            }
            None if member.length - at <= 8 => {
                ("checksum and length".to_owned(), bytes(rest), "compression")
            }
            None => ("deflate data".to_owned(), bytes(rest), "compression"),
        }
    } else {
        ("data".to_owned(), bytes(rest), "compression")
    };
    Place { what: format!("{name} {}, {part}", number + 1), value, cause }
}

/// The member that a place in a blob is in, and its number.
pub(super) fn member_at(layer: &Layer, offset: u64) -> Option<(usize, Member)> {
    let members = &layer.blob.members;
    let number = members.partition_point(|member| member.offset + member.length <= offset);
    members.get(number).map(|member| (number, *member))
}
