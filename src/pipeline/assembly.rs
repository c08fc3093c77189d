//! A blob in the making: takes in the archive, has members made of it, and writes them in order.

use std::collections::VecDeque;

use super::Means;
use crate::cache::{Cache, Flight, Key, Mark, Recording};
use crate::crew::{Batch, Crew, Ticket};
use crate::digest::Hasher;
use crate::error::Result;
use crate::fs::Output;
use crate::layer::Checkpoint;
use crate::layer::compress::{self, Compression, MEMBER, Part};
use crate::layer::metadata::Blob;
use crate::layer::segment::Sink;
use crate::layer::wheel::Stream;

/// Hash what was read while it is still in the processor's cache, but not in crumbs.
const HASH: usize = 64 << 10;

/// Where a layer's hashes stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Hashes {
    pub(super) archive: Hasher,
    blob: Hasher,
}

impl Hashes {
    pub(super) fn save(&self) -> Vec<u8> {
        let archive = self.archive.save();
        let mut bytes = vec![u8::try_from(archive.len()).unwrap_or(0)];
        bytes.extend_from_slice(&archive);
        bytes.extend_from_slice(&self.blob.save());
        bytes
    }

    pub(super) fn restore(bytes: &[u8]) -> Option<Self> {
        let (&length, rest) = bytes.split_first()?;
        let (archive, blob) = rest.split_at_checked(length.into())?;
        Some(Self { archive: Hasher::restore(archive)?, blob: Hasher::restore(blob)? })
    }

    /// What is known about a blob that ends here.
    pub(super) fn finish(self) -> Blob {
        let size = self.blob.length();
        Blob { digest: self.blob.finish(), size, diff_id: self.archive.finish() }
    }
}

/// What is to be written, in order.
enum Next {
    /// A batch that is being compressed, and the lengths of its members.
    Batch(Ticket<Vec<(usize, usize)>>),
    /// From here on members are recorded for the cache.
    Record,
    /// The recorded members are this segment.
    Store(Key, Flight),
    /// The archive's hash stands so where the members before end: a border for the cache.
    Border(Key, Hasher),
}

/// A blob in the making.
pub(super) struct Assembly<'a> {
    output: Output,
    written: u64,
    pub(super) compression: Compression,
    pub(super) crew: &'a Crew,
    cache: Option<&'a Cache>,
    pub(super) check: Checkpoint<'a>,
    /// The batch that is being filled; none before its first byte.
    pub(super) batch: Option<Batch>,
    /// Its parts but the one that is being filled.
    parts: Vec<Part>,
    filled: usize,
    hashed: usize,
    next: VecDeque<Next>,
    in_flight: usize,
    recording: Option<Recording>,
    /// None while what is written is known to hash to what the cache says.
    pub(super) hashes: Option<Hashes>,
}

/// Where a blob stood: what is appended after it can be taken back.
pub(super) struct Stand {
    written: u64,
    hashes: Option<Hashes>,
    recording: Option<Mark>,
}

impl<'a> Assembly<'a> {
    pub(super) fn start(
        output: Output,
        compression: Compression,
        means: &Means<'a>,
        hashing: bool,
    ) -> Self {
        let Means { crew, cache, check, .. } = *means;
        Self {
            output,
            written: 0,
            compression,
            crew,
            cache,
            check,
            batch: None,
            parts: Vec::new(),
            filled: 0,
            hashed: 0,
            next: VecDeque::new(),
            in_flight: 0,
            recording: None,
            hashes: hashing.then(Hashes::default),
        }
    }

    /// Whether what is written is hashed.
    pub(super) fn is_hashing(&self) -> bool {
        self.hashes.is_some()
    }

    /// Hashes what follows, going on from where the hashes stood here another time.
    pub(super) fn resume(&mut self, hashes: Hashes) -> Result<()> {
        self.settle()?;
        self.hashes = Some(hashes);
        Ok(())
    }

    /// The uncompressed bytes hashed so far.
    pub(super) fn hashed_bytes(&self) -> u64 {
        self.hashes.as_ref().map_or(0, |hashes| hashes.archive.length())
    }

    /// Records what follows, until [`store`](Self::store).
    pub(super) fn record(&mut self) -> Result<()> {
        self.enqueue(Next::Record)
    }

    /// Stores what was recorded, once it is all written.
    pub(super) fn store(&mut self, key: Key, flight: Flight) -> Result<()> {
        self.enqueue(Next::Store(key, flight))
    }

    /// Stores where the hashes stand here, once all before is written.
    pub(super) fn border(&mut self, key: Key) -> Result<()> {
        match &self.hashes {
            Some(hashes) => self.enqueue(Next::Border(key, hashes.archive.clone())),
            None => Ok(()),
        }
    }

    /// Where the blob stands, once all that is in flight is written.
    pub(super) fn stand(&mut self) -> Result<Stand> {
        self.settle()?;
        let recording = self.recording.as_ref().map(Recording::mark);
        Ok(Stand { written: self.written, hashes: self.hashes.clone(), recording })
    }

    /// Takes back what was appended since the blob stood so, with nothing in flight now.
    pub(super) fn rewind(&mut self, stand: Stand) -> Result<()> {
        let Stand { written, hashes, recording } = stand;
        self.output.truncate(written)?;
        (self.written, self.hashes) = (written, hashes);
        if let (Some(recording), Some(mark)) = (&mut self.recording, recording) {
            recording.rewind(mark);
        }
        Ok(())
    }

    /// Writes all that is in flight.
    pub(super) fn settle(&mut self) -> Result<()> {
        while !self.next.is_empty() {
            self.write_next()?;
        }
        Ok(())
    }

    /// The finished blob, and what is known about it, if it was hashed.
    pub(super) fn finish(mut self) -> Result<(Output, u64, Option<Hashes>)> {
        self.settle()?;
        Ok((self.output, self.written, self.hashes))
    }

    fn enqueue(&mut self, next: Next) -> Result<()> {
        self.next.push_back(next);
        while self.next.front().is_some_and(|next| !matches!(next, Next::Batch(_))) {
            self.write_next()?;
        }
        Ok(())
    }

    fn write_next(&mut self) -> Result<()> {
        match self.next.pop_front() {
            None => {}
            Some(Next::Batch(ticket)) => {
                self.in_flight -= 1;
                let (batch, lengths) = self.crew.wait(&ticket, self.check)?;
                let compressed = lengths.iter().map(|(compressed, _)| compressed).sum();
                self.write_piece(&batch.output()[..compressed])?;
                for (compressed, uncompressed) in lengths {
                    self.end_member(compressed as u64, uncompressed as u64);
                }
            }
            Some(Next::Record) => self.recording = self.cache.map(Cache::record),
            Some(Next::Store(key, _flight)) => {
                if let (Some(cache), Some(recording)) = (self.cache, self.recording.take()) {
                    cache.store(&key, recording);
                }
            }
            Some(Next::Border(key, archive)) => {
                if let (Some(cache), Some(hashes)) = (self.cache, &self.hashes) {
                    let hashes = Hashes { archive, blob: hashes.blob.clone() };
                    cache.put_border(&key, hashes.save());
                }
            }
        }
        Ok(())
    }

    /// Appends the next bytes of members.
    pub(super) fn write_piece(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(hashes) = &mut self.hashes {
            hashes.blob.update(bytes);
        }
        if let Some(recording) = &mut self.recording {
            recording.write(bytes);
        }
        self.written += bytes.len() as u64;
        self.output.write(bytes)
    }

    /// Says that a member of this length, compressed and uncompressed in bytes, is written.
    pub(super) fn end_member(&mut self, compressed: u64, uncompressed: u64) {
        if let Some(recording) = &mut self.recording {
            recording.member(compressed, uncompressed);
        }
    }

    /// The batch to fill: those in flight come back as they are written.
    fn batch(&mut self) -> Result<&mut Batch> {
        let batch = match self.batch.take() {
            Some(batch) => batch,
            None => loop {
                if let Some(batch) = self.crew.try_batch() {
                    break batch;
                }
                if self.in_flight == 0 {
                    break self.crew.batch(self.check)?;
                }
                self.write_next()?;
            },
        };
        Ok(self.batch.insert(batch))
    }

    fn hash(&mut self) {
        if let (Some(batch), Some(hashes)) = (&mut self.batch, &mut self.hashes) {
            hashes.archive.update(&batch.input()[self.hashed..self.filled]);
        }
        self.hashed = self.filled;
    }

    /// Ends a part of the batch, if it has begun: what follows begins a new member.
    fn cut(&mut self, stream: Option<Stream>) {
        let start = self.parts.last().map_or(0, |part| part.end);
        if self.filled > start {
            self.parts.push(Part { end: self.filled, stream });
        }
    }

    /// Has the batch compressed.
    pub(super) fn end_batch(&mut self) -> Result<()> {
        self.cut(None);
        self.hash();
        let (length, parts) = (std::mem::take(&mut self.filled), std::mem::take(&mut self.parts));
        self.hashed = 0;
        let Some(mut batch) = self.batch.take() else {
            return Ok(());
        };
        let compression = self.compression;
        if compression == Compression::None {
            self.write_piece(&batch.input()[..length])?;
            self.end_member(length as u64, length as u64);
            self.batch = Some(batch);
            return Ok(());
        }
        let work = move |batch: &mut Batch| {
            let (archive, output) = batch.both();
            compress::compress(compression, archive, &parts, output)
        };
        self.next.push_back(Next::Batch(self.crew.submit(batch, work)));
        self.in_flight += 1;
        while self.in_flight >= self.crew.depth() {
            self.write_next()?;
        }
        Ok(())
    }
}

impl Sink for Assembly<'_> {
    fn room(&mut self) -> Result<&mut [u8]> {
        if self.filled == MEMBER {
            self.end_batch()?;
        }
        let filled = self.filled;
        Ok(&mut self.batch()?.input()[filled..])
    }

    fn filled(&mut self, length: usize) {
        self.filled += length;
        if self.filled - self.hashed >= HASH {
            self.hash();
        }
    }

    fn take(
        &mut self,
        stream: Stream,
        size: u64,
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<bool> {
        let mut left = match usize::try_from(size) {
            Ok(size) if size <= MEMBER => size,
            _ => return self.take_large(stream, read),
        };
        self.cut(None);
        if MEMBER - self.filled < left {
            self.end_batch()?;
        }
        while left > 0 {
            let length = read(self.room()?)?;
            self.filled(length);
            left -= length;
        }
        self.cut(Some(stream));
        Ok(true)
    }

    fn end_segment(&mut self) -> Result<()> {
        if self.filled > 0 { self.end_batch() } else { Ok(()) }
    }
}
