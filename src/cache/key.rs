//! Keys: what decides a segment's bytes, and nothing else.

use std::ffi::OsStr;
use std::fmt;

use crate::digest::hex;

/// The version of everything that is stored: the keys' contents, the entries' form, and the
/// folders' names. It changes whenever one of them does.
pub const FORMAT: u32 = 3;

/// What something in the cache is known by.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key([u8; 32]);

impl Key {
    /// The key's bytes.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a key from 64 lower-case hex digits.
    pub(super) fn from_hex(digits: &OsStr) -> Option<Self> {
        let (pairs, []) = digits.as_encoded_bytes().as_chunks::<2>() else { return None };
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
        Some(Self(bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()?))
    }

    /// The key as 64 hex digits.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// Makes a key from values, each with its length before it, so that no two sequences of values
/// run together to the same key.
#[derive(Clone, Debug)]
pub struct KeyBuilder {
    /// Boxed, for it is large and builders are handed on.
    hash: Box<blake3::Hasher>,
    /// Values that are not hashed yet: BLAKE3 is fast on many bytes at once.
    waiting: Vec<u8>,
}

/// How many bytes of values wait to be hashed.
const WAITING: usize = 16 << 10;

impl KeyBuilder {
    /// A builder for keys of one kind.
    pub fn new(kind: &str) -> Self {
        let waiting = Vec::with_capacity(WAITING + 1024);
        let builder = Self { hash: Box::default(), waiting };
        builder.number(FORMAT.into()).bytes(kind.as_bytes())
    }

    /// Adds bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.waiting.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= WAITING {
            self.hash.update(&self.waiting);
            self.waiting.clear();
        }
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.waiting.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// Adds another key.
    #[must_use]
    pub fn key(self, key: &Key) -> Self {
        self.bytes(&key.0)
    }

    /// The key.
    pub fn finish(mut self) -> Key {
        Key(*self.hash.update(&self.waiting).finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_run_together() {
        let key = |parts: &[&str]| {
            parts.iter().fold(KeyBuilder::new("k"), |key, part| key.bytes(part.as_bytes())).finish()
        };
        let keys = [
            key(&["ab", "c"]),
            key(&["a", "bc"]),
            key(&["abc"]),
            key(&["abc", ""]),
            key(&[]),
            KeyBuilder::new("other").finish(),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(keys[index + 1..].iter().all(|other| other != one));
        }
    }
}
