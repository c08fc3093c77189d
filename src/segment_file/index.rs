//! The index of a segment file, as a protobuf message.
//!
//! ```proto
//! message Index {
//!   bytes name = 1;               // of the package
//!   string codec = 2;             // compression, library, its version, largest member
//!   uint64 owner = 3;
//!   uint64 group = 4;
//!   uint64 mtime = 5;             // seconds since 1970-01-01T00:00:00Z
//!   repeated Entry directories = 6;     // asked for by name, with their modes
//!   repeated Entry entries = 7;         // sorted by path
//!   repeated uint32 compressed = 8;     // the length of each member, in bytes
//!   repeated uint32 uncompressed = 9;
//!   bytes members = 10;           // the BLAKE3 hash of all members
//! }
//! message Entry {
//!   bytes path = 1;               // in the image
//!   uint32 mode = 2;
//!   uint64 size = 3;              // in bytes
//!   optional bytes link = 4;      // the text of a symbolic link
//! }
//! ```

use prost::Message;

use super::Members;
use crate::layer::compress::MEMBER;
use crate::layer::plan::{self, Kind, PackagePlan};
use crate::layer::segment;
use crate::layer::spec::{Attributes, Common, Destination, Mode, check_mode};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Index {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
    #[prost(string, tag = "2")]
    codec: String,
    #[prost(uint64, tag = "3")]
    owner: u64,
    #[prost(uint64, tag = "4")]
    group: u64,
    #[prost(uint64, tag = "5")]
    mtime: u64,
    #[prost(message, repeated, tag = "6")]
    directories: Vec<Entry>,
    #[prost(message, repeated, tag = "7")]
    entries: Vec<Entry>,
    #[prost(uint32, repeated, tag = "8")]
    compressed: Vec<u32>,
    #[prost(uint32, repeated, tag = "9")]
    uncompressed: Vec<u32>,
    #[prost(bytes = "vec", tag = "10")]
    members: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(bytes = "vec", tag = "1")]
    path: Vec<u8>,
    #[prost(uint32, tag = "2")]
    mode: u32,
    #[prost(uint64, tag = "3")]
    size: u64,
    #[prost(bytes = "vec", optional, tag = "4")]
    link: Option<Vec<u8>>,
}

impl Index {
    pub(super) fn new(package: &PackagePlan, common: Common, members: &Members) -> Self {
        let Common { compression, attributes: Attributes { owner, group, mtime } } = common;
        let directories = package.directories.iter().map(|(path, mode)| Entry {
            path: path.to_vec(),
            mode: *mode,
            size: 0,
            link: None,
        });
        let entries = package.entries.iter().map(|entry| {
            let (size, link) = match &entry.kind {
                Kind::Empty => (0, None),
                Kind::File(content) => (content.size(), None),
                &Kind::Stored(size) => (size, None),
                Kind::Symlink(text) => (0, Some(text.to_vec())),
            };
            Entry { path: entry.dest.to_vec(), mode: entry.mode, size, link }
        });
        let (compressed, uncompressed) = members.lengths.iter().copied().unzip();
        Self {
            name: package.name.clone(),
            codec: compression.identity(),
            owner,
            group,
            mtime,
            directories: directories.collect(),
            entries: entries.collect(),
            compressed,
            uncompressed,
            members: members.hash.to_vec(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        Message::decode(bytes).ok()
    }

    /// The package's name, for messages.
    pub(super) fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    fn attributes(&self) -> Attributes {
        Attributes { owner: self.owner, group: self.group, mtime: self.mtime }
    }

    /// In what the segment differs from those of a layer: its own, and the layer's.
    pub(super) fn difference(&self, common: Common) -> Option<(String, String)> {
        let said = |codec: &str, Attributes { owner, group, mtime }: Attributes| {
            [
                format!("compression {codec}"),
                format!("owner {owner}"),
                format!("group {group}"),
                format!("mtime {mtime}"),
            ]
        };
        let own = said(&self.codec, self.attributes());
        let layers = said(&common.compression.identity(), common.attributes);
        let different = own.into_iter().zip(layers).filter(|(own, layers)| own != layers);
        let (own, layers): (Vec<_>, Vec<_>) = different.unzip();
        (!own.is_empty()).then(|| (own.join(", "), layers.join(", ")))
    }

    /// The package and its members, of which `length` bytes are there; none if they are
    /// not what the index says, or cannot be.
    pub(super) fn package(&self, length: u64) -> Option<(PackagePlan, Members)> {
        let attributes = self.attributes();
        let large = self.codec.starts_with("gzip:");
        let Self { name, directories, entries, compressed, uncompressed, members, .. } =
            self.clone();
        let directories = directories.into_iter().map(|Entry { path, mode, size, link }| {
            (size == 0 && link.is_none()).then_some(())?;
            Some((place(&path, mode)?, mode))
        });
        let entries = entries.into_iter().map(|Entry { path, mode, size, link }| {
            let kind = match link {
                Some(text) => {
                    (size == 0 && !text.is_empty() && !text.contains(&0)).then_some(())?;
                    Kind::Symlink(text.into())
                }
                None if size == 0 => Kind::Empty,
                None => Kind::Stored(size),
            };
            Some(plan::Entry { dest: place(&path, mode)?, mode, kind })
        });
        let package = PackagePlan {
            name,
            entries: entries.collect::<Option<_>>()?,
            wheels: Vec::new(),
            directories: directories.collect::<Option<_>>()?,
            segment: None,
        };
        let sum = |lengths: &[u32]| lengths.iter().map(|&length| u64::from(length)).sum::<u64>();
        let total = package.entries.iter().try_fold(0_u64, |sum, entry| match entry.kind {
            Kind::Stored(size) => sum.checked_add(size),
            _ => Some(sum),
        });
        let is_true = package.entries.is_sorted_by(|a, b| a.dest < b.dest)
            && total.is_some_and(|total| total < u64::MAX / 2)
            && compressed.len() == uncompressed.len()
            && compressed.iter().chain(&uncompressed).all(|&length| length > 0)
            && (large || uncompressed.iter().all(|&length| length as usize <= MEMBER))
            && sum(&compressed) == length
            && sum(&uncompressed) == segment::length(&package, attributes);
        let lengths = compressed.into_iter().zip(uncompressed).collect();
        let members = Members { hash: members.try_into().ok()?, lengths };
        is_true.then_some((package, members))
    }
}

/// A path as it stands in a layer; none for anything else.
fn place(path: &[u8], mode: u32) -> Option<Box<[u8]>> {
    let destination = Destination::new(path).ok().filter(|read| read.bytes() == path)?;
    check_mode(Mode::Fixed(mode), &destination).ok()?;
    (!path.is_empty()).then(|| path.into())
}
