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
pub struct Claims<'a> {
    /// What every path begins with before that of an input.
    base: Vec<u8>,
    /// By path, sorted.
    digests: Vec<(&'a [u8], Digest)>,
}

impl<'a> Claims<'a> {
    /// The claims of inputs given as path, relative to `base`, and digest: 32 bytes, or as many in
    /// hex. Others cannot name contents here and are passed over.
    pub fn new(base: &Path, inputs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let digests = inputs.filter_map(|(path, digest)| Some((path, parse(digest)?)));
        let mut digests: Vec<_> = digests.collect();
        digests.sort_unstable_by(|a, b| a.0.cmp(b.0));
        let mut base = base.as_os_str().as_bytes().to_vec();
        if !base.is_empty() && !base.ends_with(b"/") {
            base.push(b'/');
        }
        Self { base, digests }
    }

    /// The claim about the file at `path`, which begins with the base.
    pub(super) fn about(&self, path: &Path) -> Option<Digest> {
        if self.digests.is_empty() {
            return None;
        }
        let path = path.as_os_str().as_bytes().strip_prefix(&*self.base)?;
        let at = self.digests.binary_search_by(|(claimed, _)| (*claimed).cmp(path)).ok()?;
        Some(self.digests[at].1)
    }
}

fn parse(digest: &[u8]) -> Option<Digest> {
    if let Ok(bytes) = digest.try_into() {
        return Some(Digest::new(bytes));
    }
    let (pairs, []) = digest.as_chunks::<2>() else {
        return None;
    };
    let value =
        |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let bytes = pairs.iter().map(|&[high, low]| Some(value(high)? << 4 | value(low)?));
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    Some(Digest::new(bytes.try_into().ok()?))
}

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
        let claims = Claims::new(Path::new("box"), inputs.into_iter());
        assert_eq!(claims.about(Path::new("box/a/x")), Some(one));
        assert_eq!(claims.about(Path::new("box/b")), Some(two));
        assert_eq!(claims.about(Path::new("box/c")), None);
        assert_eq!(claims.about(Path::new("b")), None);
    }
}
