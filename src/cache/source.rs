//! A blob of the cache that is being read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::SegmentIndex;
use super::verified::{Look, Verified};
use super::{Key, store};
use crate::fs::Input;

/// A blob that is being read: it stays readable even if it is collected meanwhile.
#[derive(Debug)]
pub(super) struct Source {
    input: Input,
    root: PathBuf,
    key: Key,
    verified: Arc<Verified>,
    blob: [u8; 32],
    left: u64,
    /// The blob's hash so far, if it has to be looked at.
    look: Option<(Look, blake3::Hasher)>,
}

impl Source {
    /// The blob of a segment, opened and of the right length.
    pub(super) fn new(
        input: Input,
        root: &Path,
        key: Key,
        verified: &Arc<Verified>,
        index: &SegmentIndex,
    ) -> Self {
        let look = verified.look(&index.blob, input.stamp());
        let look = look.map(|look| (look, blake3::Hasher::new()));
        let (root, verified) = (root.to_owned(), verified.clone());
        Self { input, root, key, verified, blob: index.blob, left: index.size(), look }
    }

    /// Reads the next bytes; gives how many: none at the end, or where they cannot be read.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.input.read(&mut buffer[..want]).unwrap_or(0);
        if let Some((_, hash)) = &mut self.look {
            hash.update(&buffer[..read]);
        }
        self.left -= read as u64;
        read
    }

    /// Whether all was read and is as it was stored; if not, the segment is removed.
    pub(super) fn finish(self) -> bool {
        let Self { root, key, verified, blob, left, look, .. } = self;
        let intact = left == 0
            && look.is_none_or(|(look, hash)| {
                let found = *hash.finalize().as_bytes();
                verified.add(found, look);
                found == blob
            });
        if !intact {
            store::remove(&root, &key);
        }
        intact
    }
}
