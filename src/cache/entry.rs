//! The form of what the index holds: a few numbers, sealed against damage.
//!
//! ```text
//! payload, little-endian │ BLAKE3 of format, kind, key, and payload, 32 bytes
//! ```
//!
//! What is stored is bound to its name: an intact entry under another key, or of another kind, is
//! damage.

use super::{FORMAT, Key, Kind};

/// A segment's entry: where its bytes are, and where its members end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SegmentIndex {
    /// The BLAKE3 hash of the compressed bytes: the blob's name.
    pub blob: [u8; 32],
    /// The length of each member, in order: compressed and uncompressed, in bytes.
    pub members: Vec<(u32, u32)>,
}

impl SegmentIndex {
    /// The length of the compressed bytes.
    pub fn size(&self) -> u64 {
        self.members.iter().map(|&(compressed, _)| u64::from(compressed)).sum()
    }

    /// The length of the uncompressed bytes.
    pub fn uncompressed(&self) -> u64 {
        self.members.iter().map(|&(_, uncompressed)| u64::from(uncompressed)).sum()
    }

    /// The bytes of the entry with this key, sealed.
    pub fn encode(&self, key: &Key) -> Vec<u8> {
        let mut bytes = self.blob.to_vec();
        for (compressed, uncompressed) in &self.members {
            bytes.extend_from_slice(&compressed.to_le_bytes());
            bytes.extend_from_slice(&uncompressed.to_le_bytes());
        }
        seal(Kind::Segment, key, bytes)
    }

    /// Reads the entry with this key; none if it is damaged.
    pub fn decode(key: &Key, bytes: &[u8]) -> Option<Self> {
        let (blob, members) = open(Kind::Segment, key, bytes)?.split_first_chunk()?;
        let (members, []) = members.as_chunks::<8>() else {
            return None;
        };
        let members = members.iter().map(|&[a, b, c, d, e, f, g, h]| {
            (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
        });
        Some(Self { blob: *blob, members: members.collect() })
    }
}

/// Adds the seal to a payload.
pub(super) fn seal(kind: Kind, key: &Key, mut payload: Vec<u8>) -> Vec<u8> {
    let seal = hash(kind, key, &payload);
    payload.extend_from_slice(seal.as_bytes());
    payload
}

/// The payload of sealed bytes; none if they are damaged, or are another entry's.
pub(super) fn open<'a>(kind: Kind, key: &Key, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (payload, seal) = bytes.split_last_chunk::<32>()?;
    (hash(kind, key, payload).as_bytes() == seal).then_some(payload)
}

fn hash(kind: Kind, key: &Key, payload: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&FORMAT.to_le_bytes()).update(&[kind.tag()]).update(key.bytes());
    hasher.update(payload).finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KeyBuilder;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn facts_are_read_back_and_damage_is_seen(
            blob: [u8; 32],
            members: Vec<(u32, u32)>,
            at: proptest::sample::Index,
            bit in 0..8_u32,
        ) {
            let [key, other] = ["one", "two"].map(|name| KeyBuilder::new(name).finish());
            let index = SegmentIndex { blob, members };
            let mut bytes = index.encode(&key);
            prop_assert_eq!(SegmentIndex::decode(&key, &bytes), Some(index));
            prop_assert_eq!(SegmentIndex::decode(&other, &bytes), None);
            prop_assert_eq!(open(Kind::Checkpoint, &key, &bytes), None);
            prop_assert_eq!(SegmentIndex::decode(&key, &bytes[..at.index(bytes.len())]), None);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(SegmentIndex::decode(&key, &bytes), None);
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let key = KeyBuilder::new("one").finish();
            prop_assert_eq!(SegmentIndex::decode(&key, &bytes), None);
        }
    }
}
