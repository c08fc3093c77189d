//! Keys: what decides a segment's bytes, and nothing else.

use std::fmt;

use crate::digest::{Digest, Hasher, hex};

/// The version of everything that is stored: the keys' contents, the entries' form, and the
/// folders' names. It changes whenever one of them does.
pub const FORMAT: u32 = 2;

/// What something in the cache is known by.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key(Digest);

impl Key {
    /// The key as 64 hex digits.
    pub fn hex(&self) -> String {
        hex(self.0.bytes())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// Makes a key from values, each with its length before it, so that no two sequences of values
/// run together to the same key.
#[derive(Debug)]
pub struct KeyBuilder(Hasher);

impl KeyBuilder {
    /// A builder for keys of one kind.
    pub fn new(kind: &str) -> Self {
        Self(Hasher::new()).number(FORMAT.into()).bytes(kind.as_bytes())
    }

    /// Adds bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    /// Adds another key.
    #[must_use]
    pub fn key(self, key: &Key) -> Self {
        self.bytes(key.0.bytes())
    }

    /// The key.
    pub fn finish(self) -> Key {
        Key(self.0.finish())
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
