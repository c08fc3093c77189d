//! What Bazel says about the contents of files: claims, to be believed only where that cannot
//! do harm.
//!
//! A claim may name a segment that is in the cache already; then the file need not be read. What
//! enters the cache does so under what was read and hashed, so a wrong claim teaches nothing.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::digest::Digest;

/// The digests of a request's inputs, as claimed.
#[derive(Debug, Default)]
pub struct InputDigests<'a> {
    /// What every path begins with before that of an input.
    base: Vec<u8>,
    /// Path and digest as they came, by path.
    inputs: Vec<(&'a [u8], &'a [u8])>,
}

/// Looks claims up. Files come in the order of their paths, as a rule: then the next claim is the
/// one that is wanted next.
#[derive(Debug)]
pub(super) struct Finder<'c> {
    input_digests: &'c InputDigests<'c>,
    next: usize,
}

impl<'a> InputDigests<'a> {
    /// The claims of inputs given as path, relative to `base`, and digest: 32 bytes, or as many in
    /// hex. Others cannot name contents here and are passed over.
    pub fn new(base: &Path, inputs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut inputs: Vec<_> = inputs.collect();
        // Bazel sends the files of a tree in order: this sort is quick on what is sorted in parts.
        inputs.sort_by_key(|(path, _)| *path);
        let mut base = base.as_os_str().as_bytes().to_vec();
        if !base.is_empty() && !base.ends_with(b"/") {
            base.push(b'/');
        }
        Self { base, inputs }
    }

    /// Looks up claims about files, the next one first.
    pub(super) fn finder(&self) -> Finder<'_> {
        Finder { input_digests: self, next: 0 }
    }
}

impl Finder<'_> {
    /// The claim about the file at `path`, which begins with the base.
    pub(super) fn about(&mut self, path: &Path) -> Option<Digest> {
        let InputDigests { base, inputs } = self.input_digests;
        let path = path.as_os_str().as_bytes();
        let path = path.strip_prefix(&**base).unwrap_or(path);
        let (_, digest) = match inputs.get(self.next) {
            Some(input) if input.0 == path => input,
            _ => {
                self.next = inputs.binary_search_by_key(&path, |(path, _)| path).ok()?;
                &inputs[self.next]
            }
        };
        self.next += 1;
        parse(digest)
    }
}

fn parse(digest: &[u8]) -> Option<Digest> {
    if let Ok(bytes) = digest.try_into() {
        return Some(Digest::new(bytes));
    }
    let (pairs, []) = digest.as_chunks::<2>() else {
        return None;
    };
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() {
        return None;
    }
    let mut all = 0;
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (HEX[usize::from(high)], HEX[usize::from(low)]);
        all |= high | low;
        *byte = high << 4 | low;
    }
    (all < 16).then_some(Digest::new(bytes))
}

/// What each byte is worth as a hex digit; 255 where it is none.
const HEX: [u8; 256] = {
    let mut values = [255; 256];
    let (digits, upper) = (b"0123456789abcdef", b"0123456789ABCDEF");
    let mut value = 0_u8;
    while value < 16 {
        values[digits[value as usize] as usize] = value;
        values[upper[value as usize] as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_raw_or_as_hex() {
        let digest = Digest::of(b"x");
        let hex = digest.to_string()["sha256:".len()..].to_owned();
        for (written, read) in [
            (digest.bytes().to_vec(), Some(digest)),
            (hex.clone().into_bytes(), Some(digest)),
            (hex.to_uppercase().into_bytes(), Some(digest)),
            (b"".to_vec(), None),
            (hex.as_bytes()[..40].to_vec(), None),
            (vec![b'g'; 64], None),
            (vec![b'0'; 63], None),
        ] {
            assert_eq!(parse(&written), read, "{written:?}");
        }
    }

    #[test]
    fn claims_are_found_by_path_below_the_base() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let inputs = [(&b"b"[..], &two.bytes()[..]), (b"a/x", one.bytes()), (b"c", b"")];
        let input_digests = InputDigests::new(Path::new("box"), inputs.into_iter());
        let mut input_digests = input_digests.finder();
        for _ in 0..2 {
            assert_eq!(input_digests.about(Path::new("box/a/x")), Some(one));
            assert_eq!(input_digests.about(Path::new("box/b")), Some(two));
            assert_eq!(input_digests.about(Path::new("box/c")), None);
            assert_eq!(input_digests.about(Path::new("b")), Some(two));
            assert_eq!(input_digests.about(Path::new("box/d")), None);
        }
    }
}
