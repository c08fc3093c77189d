//! The archive's end of the pipe: fills buffers with the archive's bytes, has them compressed, and
//! hands the members to the writer in order.

use std::collections::VecDeque;

use super::BuildContext;
use super::writer::{LayerWriter, Position};
use crate::cache::{Flight, Key, SegmentIndex};
use crate::digest::Hasher;
use crate::error::Result;
use crate::fs::Output;
use crate::layer::compress::{self, Compression, MEMBER, Part};
use crate::layer::metadata::Blob;
use crate::layer::segment::Sink;
use crate::layer::wheel::Stream;
use crate::segment_file::Members;
use crate::workers::{BufferLease, Ticket, Turn};

/// Hash what was read while it is still in the processor's cache, but not in crumbs.
const HASH: usize = 64 << 10;

/// What is compressed sooner than another thread wakes up, in bytes: most heads, and every tail.
const SMALL: usize = 8 << 10;

/// Where a layer's hashes stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Hashes {
    pub(super) archive: Hasher,
    blob: Hasher,
}

impl Hashes {
    fn save(&self) -> Vec<u8> {
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
enum Step {
    /// A buffer that is being compressed, and the lengths of its members.
    Members(Ticket<Vec<(usize, usize)>>),
    /// From here on members are recorded for the cache.
    Record(Option<Flight>),
    /// The recorded members are this segment.
    Store(Option<Key>),
    /// The archive's hash stands so where the members before end.
    Checkpoint(Key, Hasher),
}

/// Bytes of an archive on their way to a blob.
pub(super) struct CompressionQueue<'a> {
    pub(super) writer: LayerWriter<'a>,
    pub(super) compression: Compression,
    pub(super) turn: &'a Turn,
    /// The archive's hash, while the writer hashes, too.
    pub(super) archive: Hasher,
    /// The buffer that is being filled; none before its first byte.
    pub(super) lease: Option<BufferLease>,
    /// Its parts but the one that is being filled.
    parts: Vec<Part>,
    filled: usize,
    hashed: usize,
    steps: VecDeque<Step>,
    in_work: usize,
}

/// Where the queue and the writer stood, with nothing in work.
pub(super) struct Stand {
    archive: Hasher,
    position: Position,
}

impl<'a> CompressionQueue<'a> {
    pub(super) fn new(
        output: Output,
        compression: Compression,
        context: &BuildContext<'a>,
        hashing: bool,
    ) -> Self {
        Self {
            writer: LayerWriter::new(output, context, hashing),
            compression,
            turn: context.turn,
            archive: Hasher::default(),
            lease: None,
            parts: Vec::new(),
            filled: 0,
            hashed: 0,
            steps: VecDeque::new(),
            in_work: 0,
        }
    }

    /// Hashes what follows, going on from where the hashes stood here another time.
    pub(super) fn resume(&mut self, hashes: Hashes) -> Result<()> {
        self.settle()?;
        self.archive = hashes.archive;
        self.writer.resume(hashes.blob);
        Ok(())
    }

    /// The uncompressed bytes hashed so far.
    pub(super) fn hashed_bytes(&self) -> u64 {
        self.archive.length()
    }

    /// Records what follows, until [`store`](Self::store).
    pub(super) fn record(&mut self, flight: Option<Flight>) -> Result<()> {
        self.enqueue(Step::Record(flight))
    }

    /// Stores what was recorded, once it is all written.
    pub(super) fn store(&mut self, key: Option<Key>) -> Result<()> {
        self.enqueue(Step::Store(key))
    }

    /// Stores where the hashes stand here, once all before is written.
    pub(super) fn checkpoint(&mut self, key: Key) -> Result<()> {
        if !self.writer.is_hashing() {
            return Ok(());
        }
        self.enqueue(Step::Checkpoint(key, self.archive.clone()))
    }

    /// Where the blob stands, once all that is in work is written.
    pub(super) fn stand(&mut self) -> Result<Stand> {
        self.settle()?;
        Ok(Stand { archive: self.archive.clone(), position: self.writer.position() })
    }

    /// Takes back what was appended since the blob stood so, with nothing in work now.
    pub(super) fn rewind(&mut self, stand: Stand) -> Result<()> {
        self.archive = stand.archive;
        self.writer.rewind(stand.position)
    }

    /// Writes all that is in work.
    pub(super) fn settle(&mut self) -> Result<()> {
        while !self.steps.is_empty() {
            self.next_step()?;
        }
        Ok(())
    }

    /// Writes all that is in work and holds nothing that others may wait for.
    pub(super) fn release(&mut self) -> Result<()> {
        self.settle()?;
        self.lease = None;
        Ok(())
    }

    /// The finished blob, its length, and where its hashes stand, if it was hashed.
    pub(super) fn finish(mut self) -> Result<(Output, u64, Option<Hashes>)> {
        self.release()?;
        let (output, written, blob) = self.writer.finish();
        Ok((output, written, blob.map(|blob| Hashes { archive: self.archive, blob })))
    }

    /// The finished members of one segment.
    pub(super) fn finish_segment(mut self) -> Result<(Output, Members)> {
        self.release()?;
        let members = self.writer.last().map(|SegmentIndex { blob, members }| Members {
            hash: *blob,
            lengths: members.clone(),
        });
        let members = members.unwrap_or_else(Members::none);
        Ok((self.writer.finish().0, members))
    }

    fn enqueue(&mut self, step: Step) -> Result<()> {
        self.steps.push_back(step);
        while self.steps.front().is_some_and(|step| !matches!(step, Step::Members(_))) {
            self.next_step()?;
        }
        Ok(())
    }

    fn next_step(&mut self) -> Result<()> {
        match self.steps.pop_front() {
            None => {}
            Some(Step::Members(ticket)) => {
                self.in_work -= 1;
                let (mut lease, lengths) = self.turn.wait(&ticket)?;
                self.write_members(&mut lease, lengths)?;
            }
            Some(Step::Record(flight)) => self.writer.record(flight),
            Some(Step::Store(key)) => self.writer.store(key.as_ref()),
            Some(Step::Checkpoint(key, archive)) => {
                if let Some(blob) = self.writer.blob() {
                    let hashes = Hashes { archive, blob: blob.clone() };
                    self.writer.put_checkpoint(&key, hashes.save());
                }
            }
        }
        Ok(())
    }

    fn write_members(
        &mut self,
        lease: &mut BufferLease,
        lengths: Vec<(usize, usize)>,
    ) -> Result<()> {
        let compressed = lengths.iter().map(|(compressed, _)| compressed).sum();
        self.writer.write(&lease.output()[..compressed])?;
        for (compressed, uncompressed) in lengths {
            self.writer.end_member(compressed as u64, uncompressed as u64);
        }
        Ok(())
    }

    /// The buffer to fill: those in work come back as they are written.
    fn lease(&mut self) -> Result<&mut BufferLease> {
        let lease = match self.lease.take() {
            Some(lease) => lease,
            None => loop {
                if let Some(lease) = self.turn.try_lease() {
                    break lease;
                }
                if self.in_work == 0 {
                    break self.turn.lease()?;
                }
                self.next_step()?;
            },
        };
        Ok(self.lease.insert(lease))
    }

    fn hash(&mut self) {
        if let Some(lease) = &mut self.lease
            && self.writer.is_hashing()
        {
            self.archive.update(&lease.input()[self.hashed..self.filled]);
        }
        self.hashed = self.filled;
    }

    /// Ends a part of the buffer, if it has begun: what follows begins a new member.
    fn cut(&mut self, stream: Option<Stream>) {
        let start = self.parts.last().map_or(0, |part| part.end);
        if self.filled > start {
            self.parts.push(Part { end: self.filled, stream });
        }
    }

    /// Has the buffer compressed.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.cut(None);
        self.hash();
        let (length, parts) = (std::mem::take(&mut self.filled), std::mem::take(&mut self.parts));
        self.hashed = 0;
        let Some(mut lease) = self.lease.take() else {
            return Ok(());
        };
        let compression = self.compression;
        if compression == Compression::None {
            self.writer.write(&lease.input()[..length])?;
            self.writer.end_member(length as u64, length as u64);
            self.lease = Some(lease);
            return Ok(());
        }
        let work = move |lease: &mut BufferLease| {
            let (archive, output) = lease.both();
            compress::compress(compression, archive, &parts, output)
        };
        if length <= SMALL && self.in_work == 0 {
            self.settle()?;
            let lengths = work(&mut lease)?;
            self.write_members(&mut lease, lengths)?;
            self.lease = Some(lease);
            return Ok(());
        }
        self.steps.push_back(Step::Members(self.turn.submit(lease, work)));
        self.in_work += 1;
        while self.in_work >= self.turn.depth() {
            self.next_step()?;
        }
        Ok(())
    }
}

impl Sink for CompressionQueue<'_> {
    fn room(&mut self) -> Result<&mut [u8]> {
        if self.filled == MEMBER {
            self.flush()?;
        }
        let filled = self.filled;
        Ok(&mut self.lease()?.input()[filled..])
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
            _ => return self.copy_large_stream(stream, read),
        };
        self.cut(None);
        if MEMBER - self.filled < left {
            self.flush()?;
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
        if self.filled > 0 { self.flush() } else { Ok(()) }
    }
}
