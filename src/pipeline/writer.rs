//! The blob's end of the pipe: writes members in order, hashes them, and records segments for the
//! cache.

use super::BuildContext;
use crate::cache::{Cache, Flight, Key, Mark, Recording, SegmentIndex};
use crate::digest::Hasher;
use crate::error::Result;
use crate::fs::{Input, Output};

/// A blob that grows by finished members.
pub(super) struct LayerWriter<'a> {
    output: Output,
    written: u64,
    /// None while what is written is known to hash to what the cache says.
    blob: Option<Hasher>,
    cache: Option<&'a Cache>,
    recorder: Option<SegmentRecorder>,
    /// What is known about the segment that was finished last.
    last: Option<SegmentIndex>,
}

/// A segment that is recorded for the cache as it is written.
struct SegmentRecorder {
    recording: Recording,
    flight: Option<Flight>,
}

/// Where a blob stood: what is appended after it can be taken back.
pub(super) struct Position {
    written: u64,
    blob: Option<Hasher>,
    recording: Option<Mark>,
}

impl<'a> LayerWriter<'a> {
    pub(super) fn new(output: Output, context: &BuildContext<'a>, hashing: bool) -> Self {
        let blob = hashing.then(Hasher::default);
        Self { output, written: 0, blob, cache: context.cache, recorder: None, last: None }
    }

    /// Whether what is written is hashed.
    pub(super) fn is_hashing(&self) -> bool {
        self.blob.is_some()
    }

    /// The hash of what is written, if it is hashed.
    pub(super) fn blob(&self) -> Option<&Hasher> {
        self.blob.as_ref()
    }

    /// Hashes what follows, going on from here.
    pub(super) fn resume(&mut self, blob: Hasher) {
        self.blob = Some(blob);
    }

    /// Records what follows, until [`store`](Self::store).
    pub(super) fn record(&mut self, flight: Option<Flight>) {
        let recording = self.cache.map_or_else(Recording::default, Cache::record);
        self.recorder = Some(SegmentRecorder { recording, flight });
    }

    /// Ends the segment that is recorded, and stores it under a key.
    pub(super) fn store(&mut self, key: Option<&Key>) {
        if let Some(SegmentRecorder { recording, flight }) = self.recorder.take() {
            self.last = Some(match (self.cache, key) {
                (Some(cache), Some(key)) => cache.store(key, recording),
                _ => recording.index(),
            });
            drop(flight);
        }
    }

    /// Says that a segment of which this is known was appended.
    pub(super) fn appended(&mut self, index: SegmentIndex) {
        self.last = Some(index);
    }

    /// What is known about the segment that was finished last.
    pub(super) fn last(&self) -> Option<&SegmentIndex> {
        self.last.as_ref()
    }

    /// Stores where the hashes stand.
    pub(super) fn put_checkpoint(&self, key: &Key, state: Vec<u8>) {
        if let Some(cache) = self.cache {
            cache.put_checkpoint(key, state);
        }
    }

    /// Appends the next bytes of members.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(blob) = &mut self.blob {
            blob.update(bytes);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.recording.write(bytes);
        }
        self.written += bytes.len() as u64;
        self.output.write(bytes)
    }

    /// Appends bytes of a file that are neither hashed nor recorded.
    pub(super) fn copy(&mut self, input: &mut Input, length: u64) -> Result<u64> {
        let copied = self.output.copy(input, length)?;
        self.written += copied;
        Ok(copied)
    }

    /// Says that a member of this length, compressed and uncompressed in bytes, is written.
    pub(super) fn end_member(&mut self, compressed: u64, uncompressed: u64) {
        if let Some(SegmentRecorder { recording, flight }) = &mut self.recorder {
            recording.member(compressed, uncompressed);
            if let Some(flight) = flight {
                flight.progress();
            }
        }
    }

    /// Where the blob stands.
    pub(super) fn position(&self) -> Position {
        let recording = self.recorder.as_ref().map(|recorder| recorder.recording.mark());
        Position { written: self.written, blob: self.blob.clone(), recording }
    }

    /// Takes back what was appended since the blob stood so.
    pub(super) fn rewind(&mut self, position: Position) -> Result<()> {
        let Position { written, blob, recording } = position;
        self.output.truncate(written)?;
        (self.written, self.blob) = (written, blob);
        if let (Some(recorder), Some(mark)) = (&mut self.recorder, recording) {
            recorder.recording.rewind(mark);
        }
        Ok(())
    }

    /// The blob, its length in bytes, and its hash, if it was hashed.
    pub(super) fn finish(self) -> (Output, u64, Option<Hasher>) {
        (self.output, self.written, self.blob)
    }
}
