//! How two layers differ.

use std::io::Read as _;
use std::path::PathBuf;

use serde::Serialize;

use super::bytes::{self, FirstByte};
use super::entries::{self, EntryDifference};
use super::{Change, gzip};
use crate::archive::{Blob, Layer};
use crate::error::{Error, Result};
use crate::fs;
use crate::layer::CancelCheck;
use crate::oci::{Descriptor, Layout};
use crate::segment_file;

/// A layer or a segment that can be opened more than once.
#[derive(Debug)]
pub(super) enum Input<'a> {
    File(PathBuf),
    Blob(&'a Layout, &'a Descriptor),
}

impl Input<'_> {
    /// The file, and how much of it is compressed: all but the index of a segment.
    fn members(&self) -> Result<(fs::Input, u64)> {
        let input = self.open()?;
        let length = segment_file::glance(&input)?.map_or(input.size(), |(_, length)| length);
        Ok((input, length))
    }

    fn layer(&self, check: CancelCheck<'_>) -> Result<Layer> {
        let (input, length) = self.members()?;
        Layer::of_first(input, length, check)
    }

    fn content<'a>(&self, check: CancelCheck<'a>) -> Result<Blob<'a>> {
        let (input, length) = self.members()?;
        Blob::of_first(input, length, check)
    }

    fn open(&self) -> Result<fs::Input> {
        match self {
            Self::File(path) => fs::Input::open(path),
            Self::Blob(layout, descriptor) => layout.blob(descriptor),
        }
    }
}

/// How two layers differ.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LayerDifference {
    /// Why, in a word each.
    pub(super) causes: Vec<&'static str>,
    /// Digests, sizes, codecs, and members.
    pub(super) blobs: Vec<Change>,
    pub(super) entries: EntryDifference,
    /// The first byte of the blobs that differs.
    pub(super) first_byte: FirstByte,
    /// The first byte of the archives that differs, but for a header's checksum where more of the
    /// header does; none if they are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_archive_byte: Option<FirstByte>,
}

/// Compares two layers; none if they are the same.
pub(super) fn compare(
    inputs: [&Input<'_>; 2],
    check: CancelCheck<'_>,
) -> Result<Option<LayerDifference>> {
    let [input_a, input_b] = inputs;
    let [mut raw_a, mut raw_b] = [input_a.open()?, input_b.open()?];
    let first = bytes::first_difference(
        &mut |buffer| check().and_then(|()| raw_a.read(buffer)),
        &mut |buffer| check().and_then(|()| raw_b.read(buffer)),
    )?;
    let Some((offset, rest)) = first else { return Ok(None) };
    let [a, b] = [input_a.layer(check)?, input_b.layer(check)?];
    let first_byte = FirstByte {
        offset,
        a: bytes::in_blob(&a, offset, &rest[0], &start(&a, &raw_a, offset)?),
        b: bytes::in_blob(&b, offset, &rest[1], &start(&b, &raw_b, offset)?),
    };
    let entries = entries::compare(&a.entries, &b.entries);
    let first_archive_byte = if a.blob.diff_id == b.blob.diff_id {
        None
    } else {
        let [mut plain_a, mut plain_b] = [input_a.content(check)?, input_b.content(check)?];
        let read = |blob: &mut Blob<'_>, buffer: &mut [u8]| {
            let read = blob.read(buffer);
            read.map_err(|source| {
                let unknown = || Error::input("a layer is damaged").because(source);
                blob.failure().unwrap_or_else(unknown)
            })
        };
        let first =
            bytes::first_difference(&mut |buffer| read(&mut plain_a, buffer), &mut |buffer| {
                read(&mut plain_b, buffer)
            })?;
        first.map(|(offset, rest)| {
            let skip = bytes::to_skip(&a, offset, &rest);
            let offset = offset + skip as u64;
            let [rest_a, rest_b] = rest.each_ref().map(|rest| &rest[skip.min(rest.len())..]);
            FirstByte {
                offset,
                a: bytes::in_archive(&a, offset, rest_a),
                b: bytes::in_archive(&b, offset, rest_b),
            }
        })
    };
    let mut causes = entries.causes();
    if causes.is_empty() {
        causes.push(match &first_archive_byte {
            Some(first) if first.a.cause == "pax" || first.b.cause == "pax" => "pax",
            Some(first) => first.a.cause,
            None if a.blob.codec != b.blob.codec => "codec",
            None if member_lengths(&a) != member_lengths(&b) => "members",
            None => first_byte.a.cause,
        });
    }
    Ok(Some(LayerDifference {
        causes,
        blobs: blobs(&a, &b),
        entries,
        first_byte,
        first_archive_byte,
    }))
}

/// The beginning of the member that a place in a blob is in.
fn start(layer: &Layer, input: &fs::Input, offset: u64) -> Result<Vec<u8>> {
    let Some((_, member)) = bytes::member_at(layer, offset) else { return Ok(Vec::new()) };
    let length = usize::try_from(member.length).unwrap_or(usize::MAX).min(gzip::LONGEST);
    let mut start = vec![0; length];
    let read = input.read_at(&mut start, member.offset)?;
    start.truncate(read);
    Ok(start)
}

/// Where the content of members begins.
fn member_lengths(layer: &Layer) -> impl PartialEq {
    layer.blob.members.iter().map(|member| member.content_offset).collect::<Vec<_>>()
}

/// How the blobs differ as a whole.
fn blobs(a: &Layer, b: &Layer) -> Vec<Change> {
    let facts = |layer: &Layer| {
        let blob = &layer.blob;
        [
            ("digest", blob.digest.to_string()),
            ("diff_id", blob.diff_id.to_string()),
            ("codec", blob.codec.name().to_owned()),
            ("size", blob.size.to_string()),
            ("archive size", blob.content_size.to_string()),
            ("members", blob.members.len().to_string()),
            ("bytes after the archive's end", layer.trailing().to_string()),
        ]
    };
    let both = facts(a).into_iter().zip(facts(b));
    let different = both.filter(|((_, a), (_, b))| a != b);
    different
        .map(|((what, a), (_, b))| Change { what: what.to_owned(), a: Some(a), b: Some(b) })
        .collect()
}
