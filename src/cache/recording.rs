//! A segment as it is built: its bytes on their way to the cache, and what is known about them.

use super::{SMALL, SegmentIndex};
use crate::fs::Output;

/// A segment that is being recorded; by default what is known about it alone.
#[derive(Debug, Default)]
pub struct Recording {
    file: Option<Output>,
    /// The bytes, while they are few.
    kept: Option<Vec<u8>>,
    hash: blake3::Hasher,
    members: Vec<(u32, u32)>,
    /// The bytes so far.
    length: u64,
}

/// Where a recording stood.
#[derive(Debug)]
pub struct Mark {
    hash: blake3::Hasher,
    members: usize,
    length: u64,
}

impl Recording {
    /// A recording that keeps its bytes, also in a file if there is one.
    pub(super) fn new(file: Option<Output>) -> Self {
        Self { file, kept: Some(Vec::new()), ..Self::default() }
    }

    /// The file, if all could be written, and the bytes, if they are few.
    pub(super) fn finish(self) -> (Option<Output>, Option<Vec<u8>>) {
        (self.file, self.kept)
    }

    /// What is known about the segment, which is complete.
    pub fn index(&self) -> SegmentIndex {
        SegmentIndex { blob: *self.hash.finalize().as_bytes(), members: self.members.clone() }
    }

    /// Where the recording stands.
    pub fn mark(&self) -> Mark {
        Mark { hash: self.hash.clone(), members: self.members.len(), length: self.length }
    }

    /// Takes back what was recorded since a mark.
    pub fn rewind(&mut self, mark: Mark) {
        let Mark { hash, members, length } = mark;
        (self.hash, self.length) = (hash, length);
        self.members.truncate(members);
        if let Some(kept) = &mut self.kept {
            kept.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        }
        if let Some(file) = &mut self.file
            && file.truncate(length).is_err()
        {
            self.file = None;
        }
    }

    /// Says that a member of this length, compressed and uncompressed in bytes, is complete.
    pub fn member(&mut self, compressed: u64, uncompressed: u64) {
        let length = |length: u64| u32::try_from(length).unwrap_or(u32::MAX);
        self.members.push((length(compressed), length(uncompressed)));
    }

    /// Takes in the next bytes of members.
    pub fn write(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        if let Some(kept) = &mut self.kept {
            if self.length <= SMALL && kept.try_reserve(bytes.len()).is_ok() {
                kept.extend_from_slice(bytes);
            } else {
                self.kept = None;
            }
        }
        if let Some(file) = &mut self.file
            && file.write(bytes).is_err()
        {
            self.file = None;
        }
    }
}
