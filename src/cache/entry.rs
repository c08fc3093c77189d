//! The form of what the index holds: a few numbers, sealed against damage.
//!
//! ```text
//! payload, little-endian │ BLAKE3 of the payload, 32 bytes
//! ```

/// What the index knows about a segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Facts {
    /// The BLAKE3 hash of the compressed bytes: the blob's name.
    pub blob: [u8; 32],
    /// The length of each member, in order: compressed and uncompressed, in bytes.
    pub members: Vec<(u32, u32)>,
}

impl Facts {
    /// The length of the compressed bytes.
    pub fn size(&self) -> u64 {
        self.members.iter().map(|&(compressed, _)| u64::from(compressed)).sum()
    }

    /// The length of the uncompressed bytes.
    pub fn uncompressed(&self) -> u64 {
        self.members.iter().map(|&(_, uncompressed)| u64::from(uncompressed)).sum()
    }

    /// The entry's bytes, sealed.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.blob.to_vec();
        for (compressed, uncompressed) in &self.members {
            bytes.extend_from_slice(&compressed.to_le_bytes());
            bytes.extend_from_slice(&uncompressed.to_le_bytes());
        }
        seal(bytes)
    }

    /// Reads an entry; none if it is damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (blob, members) = open(bytes)?.split_first_chunk()?;
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
pub(super) fn seal(mut payload: Vec<u8>) -> Vec<u8> {
    let seal = blake3::hash(&payload);
    payload.extend_from_slice(seal.as_bytes());
    payload
}

/// The payload of sealed bytes; none if they are damaged.
pub(super) fn open(bytes: &[u8]) -> Option<&[u8]> {
    let (payload, seal) = bytes.split_last_chunk::<32>()?;
    (blake3::hash(payload).as_bytes() == seal).then_some(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn facts_are_read_back_and_damage_is_seen(
            blob: [u8; 32],
            members: Vec<(u32, u32)>,
            at: proptest::sample::Index,
            bit in 0..8_u32,
        ) {
            let facts = Facts { blob, members };
            let mut bytes = facts.encode();
            prop_assert_eq!(Facts::decode(&bytes), Some(facts));
            prop_assert_eq!(Facts::decode(&bytes[..at.index(bytes.len())]), None);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(Facts::decode(&bytes), None);
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            prop_assert_eq!(Facts::decode(&bytes), None);
        }
    }
}
