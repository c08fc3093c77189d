//! SHA-256 digests, in the form that OCI descriptors use.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;
use sha2::digest::common::hazmat::SerializableState as _;

/// A SHA-256 digest; shown as `sha256:` and 64 hex digits (OCI image-spec, descriptor.md).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// A digest of these 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes themselves.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Bytes as lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let digits = b"0123456789abcdef";
    let pair = |byte: &u8| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]];
    bytes.iter().flat_map(pair).map(char::from).collect()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Digest {
    type Err = String;

    /// Reads `sha256:` and 64 lower-case hex digits.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no SHA-256 digest");
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64);
        let digits = digits.ok_or_else(wrong)?.as_bytes();
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0]).ok_or_else(wrong)? << 4 | digit(pair[1]).ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes bytes as they pass, and counts them.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    state: sha2::Sha256,
    length: u64,
}

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The number of bytes seen.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The digest of all bytes seen.
    pub fn finish(self) -> Digest {
        Digest(self.state.finalize().into())
    }

    /// The hasher as bytes, to go on from here another time.
    pub fn save(&self) -> Vec<u8> {
        let mut bytes = self.length.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.state.serialize());
        bytes
    }

    /// A saved hasher; none if the bytes are not one.
    pub fn restore(bytes: &[u8]) -> Option<Self> {
        let (length, state) = bytes.split_first_chunk()?;
        let state = sha2::Sha256::deserialize(state.try_into().ok()?).ok()?;
        Some(Self { state, length: u64::from_le_bytes(*length) })
    }
}

/// A hash function that Bazel may name file contents by (`--digest_function`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Function {
    /// Bazel's default.
    Sha256,
    /// Since Bazel 6.4; its digests look like those of SHA-256.
    Blake3,
}

impl Function {
    /// The function that this one may be mistaken for.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Sha256 => Self::Blake3,
            Self::Blake3 => Self::Sha256,
        }
    }
}

/// Hashes a file's content by either function.
#[derive(Debug)]
pub enum ContentHasher {
    /// By SHA-256.
    Sha256(Hasher),
    /// By BLAKE3.
    Blake3(Box<blake3::Hasher>),
}

impl ContentHasher {
    /// A hasher that has seen nothing.
    pub fn new(function: Function) -> Self {
        match function {
            Function::Sha256 => Self::Sha256(Hasher::new()),
            Function::Blake3 => Self::Blake3(Box::default()),
        }
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => _ = hasher.update(bytes),
        }
    }

    /// The digest of all bytes seen.
    pub fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => hasher.finish(),
            Self::Blake3(hasher) => Digest::new(*hasher.finalize().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_hasher_goes_on_where_it_was_saved() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for split in [0, 1, 63, 64, 65, 500, 1000] {
            let mut hasher = Hasher::new();
            hasher.update(&bytes[..split]);
            let mut restored = Hasher::restore(&hasher.save()).unwrap();
            restored.update(&bytes[split..]);
            assert_eq!(restored.length(), 1000);
            assert_eq!(restored.finish(), Digest::of(&bytes));
        }
        let saved = Hasher::new().save();
        for length in 0..saved.len() {
            assert!(Hasher::restore(&saved[..length]).is_none());
        }
    }

    #[test]
    fn known_digests() {
        for (bytes, hex) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            let text = format!("sha256:{hex}");
            assert_eq!(Digest::of(bytes.as_bytes()).to_string(), text);
            assert_eq!(text.parse(), Ok(Digest::of(bytes.as_bytes())));
        }
        let digits = "0".repeat(64);
        for wrong in [&digits, "sha256:", "sha512:00", &format!("sha256:{}", "A".repeat(64))] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }
}
