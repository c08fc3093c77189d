//! A blob in the making: takes in the archive, has members compressed, and writes them in order.

use std::collections::VecDeque;

use super::Means;
use crate::cache::{Cache, Flight, Key, Recording, Segment};
use crate::crew::{Crew, Member, Ticket};
use crate::digest::Hasher;
use crate::error::Result;
use crate::fs::Output;
use crate::layer::Checkpoint;
use crate::layer::compress::{Compression, MEMBER};
use crate::layer::metadata::Blob;
use crate::layer::segment::Sink;

/// Hash what was read while it is still in the processor's cache, but not in crumbs.
const HASH: usize = 64 << 10;

/// Where a layer's hashes stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Hashes {
    archive: Hasher,
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
    /// A member that is being compressed, and its uncompressed length in bytes.
    Member(Ticket, usize),
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
    compression: Compression,
    crew: &'a Crew,
    cache: Option<&'a Cache>,
    check: Checkpoint<'a>,
    /// The member that is being filled; none before its first byte.
    member: Option<Member>,
    filled: usize,
    hashed: usize,
    next: VecDeque<Next>,
    in_flight: usize,
    recording: Option<Recording>,
    /// None while what is written is known to hash to what the cache says.
    hashes: Option<Hashes>,
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
            member: None,
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

    /// Appends a segment from the cache; false, and nothing appended, if it is damaged.
    pub(super) fn append(&mut self, segment: Segment) -> Result<bool> {
        self.settle()?;
        let (start, before) = (self.written, self.hashes.clone());
        let mut members = Members::new(self.compression, segment.facts().members.clone());
        let Self { output, written, hashes, .. } = self;
        let mut sound = true;
        let read = segment.read(&mut |piece| {
            output.write(piece)?;
            *written += piece.len() as u64;
            if let Some(hashes) = hashes {
                hashes.blob.update(piece);
                sound &= members.hash(piece, &mut hashes.archive);
            }
            Ok(())
        })?;
        if read && sound && (self.hashes.is_none() || members.is_complete()) {
            return Ok(true);
        }
        self.output.truncate(start)?;
        (self.written, self.hashes) = (start, before);
        Ok(false)
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
        while self.next.front().is_some_and(|next| !matches!(next, Next::Member(..))) {
            self.write_next()?;
        }
        Ok(())
    }

    fn write_next(&mut self) -> Result<()> {
        match self.next.pop_front() {
            None => {}
            Some(Next::Member(ticket, length)) => {
                self.in_flight -= 1;
                let member = self.crew.wait(&ticket, self.check)?;
                self.write_member(member.output(), length)?;
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

    fn write_member(&mut self, bytes: &[u8], uncompressed: usize) -> Result<()> {
        if let Some(hashes) = &mut self.hashes {
            hashes.blob.update(bytes);
        }
        if let Some(recording) = &mut self.recording {
            recording.member(bytes, uncompressed);
        }
        self.written += bytes.len() as u64;
        self.output.write(bytes)
    }

    /// The member to fill: the buffers of members in flight come back as those are written.
    fn member(&mut self) -> Result<&mut Member> {
        let member = match self.member.take() {
            Some(member) => member,
            None => loop {
                if let Some(member) = self.crew.try_member() {
                    break member;
                }
                if self.in_flight == 0 {
                    break self.crew.member(self.check)?;
                }
                self.write_next()?;
            },
        };
        Ok(self.member.insert(member))
    }

    fn hash(&mut self) {
        if let (Some(member), Some(hashes)) = (&mut self.member, &mut self.hashes) {
            hashes.archive.update(&member.input()[self.hashed..self.filled]);
        }
        self.hashed = self.filled;
    }

    fn end_member(&mut self) -> Result<()> {
        self.hash();
        let length = std::mem::take(&mut self.filled);
        self.hashed = 0;
        let Some(mut member) = self.member.take() else {
            return Ok(());
        };
        if self.compression == Compression::None {
            self.write_member(&member.input()[..length], length)?;
            self.member = Some(member);
            return Ok(());
        }
        self.next
            .push_back(Next::Member(self.crew.submit(member, length, self.compression), length));
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
            self.end_member()?;
        }
        let filled = self.filled;
        Ok(&mut self.member()?.input()[filled..])
    }

    fn filled(&mut self, length: usize) {
        self.filled += length;
        if self.filled - self.hashed >= HASH {
            self.hash();
        }
    }

    fn end_segment(&mut self) -> Result<()> {
        if self.filled > 0 { self.end_member() } else { Ok(()) }
    }
}

/// Hashes the contents of members that come in pieces.
struct Members {
    compression: Compression,
    left: VecDeque<(u32, u32)>,
    compressed: Vec<u8>,
    content: Vec<u8>,
}

impl Members {
    fn new(compression: Compression, lengths: Vec<(u32, u32)>) -> Self {
        Self { compression, left: lengths.into(), compressed: Vec::new(), content: Vec::new() }
    }

    /// Takes in the next piece; false if it does not belong to such members.
    fn hash(&mut self, mut piece: &[u8], hasher: &mut Hasher) -> bool {
        while !piece.is_empty() {
            let Some(&(compressed, uncompressed)) = self.left.front() else {
                return false;
            };
            let missing = compressed as usize - self.compressed.len();
            let (more, rest) = piece.split_at(missing.min(piece.len()));
            piece = rest;
            self.compressed.extend_from_slice(more);
            if self.compressed.len() < compressed as usize {
                break;
            }
            let (compression, length) = (self.compression, uncompressed as usize);
            if length > MEMBER {
                return false;
            }
            match compression.decompress(&self.compressed, length, &mut self.content) {
                Some(content) => hasher.update(content),
                None => return false,
            }
            self.compressed.clear();
            self.left.pop_front();
        }
        true
    }

    fn is_complete(&self) -> bool {
        self.left.is_empty() && self.compressed.is_empty()
    }
}
