//! Segments from the cache and from files. What is not hashed is only copied; of what is, one piece
//! is read and unpacked while the one before is written and hashed.

use super::queue::CompressionQueue;
use crate::cache::Segment;
use crate::error::Result;
use crate::layer::compress::Unpacking;
use crate::segment_file::{HeaderCheck, Reader};
use crate::workers::BufferLease;

/// How much is copied at a time: enough for BLAKE3's widest path, little enough for the processor's
/// cache.
const PIECE: usize = 256 << 10;

/// How much is unpacked at a time: enough to be worth handing over from thread to thread.
const UNPACKED: usize = 2 << 20;

/// A finished segment, to be read once.
pub(super) enum FinishedSegment {
    /// From the cache, which may have lost it.
    Cached(Segment),
    /// From a file.
    File(Box<Reader>),
}

impl FinishedSegment {
    /// The length of each member, compressed and uncompressed, in bytes.
    fn lengths(&self) -> &[(u32, u32)] {
        match self {
            Self::Cached(segment) => &segment.index().members,
            Self::File(reader) => reader.lengths(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Cached(segment) => Ok(segment.read(buffer)),
            Self::File(reader) => reader.read(buffer),
        }
    }

    fn finish(self) -> bool {
        match self {
            Self::Cached(segment) => segment.finish(),
            Self::File(reader) => reader.finish(),
        }
    }
}

/// A segment that is being unpacked.
struct Fetch {
    segment: FinishedSegment,
    unpacking: Unpacking,
    /// What was read and, from an index on, had no room when it was unpacked.
    rest: Vec<u8>,
    at: usize,
}

/// The lengths of what was fetched into a buffer, in bytes.
struct Piece {
    compressed: usize,
    content: usize,
}

impl Piece {
    fn is_empty(&self) -> bool {
        self.compressed == 0 && self.content == 0
    }
}

impl Fetch {
    /// Fetches the next piece, which is empty at the end; none if it is damaged.
    fn next(&mut self, lease: &mut BufferLease) -> Result<Option<Piece>> {
        let Self { segment, unpacking, rest, at } = self;
        while *at < rest.len() {
            let Some((taken, content)) = unpacking.unpack(&rest[*at..], lease.both().0) else {
                return Ok(None);
            };
            *at += taken;
            if content > 0 {
                return Ok(Some(Piece { compressed: 0, content }));
            }
        }
        let (content, output) = lease.both();
        let compressed = segment.read(&mut output[..UNPACKED])?;
        let read = &output[..compressed];
        let Some((taken, content)) = unpacking.unpack(read, content) else {
            return Ok(None);
        };
        (*rest, *at) = (read[taken..].to_vec(), 0);
        Ok(Some(Piece { compressed, content }))
    }

    /// Whether all is there and as it was stored.
    fn finish(self) -> bool {
        self.segment.finish() && self.unpacking.is_complete()
    }
}

impl CompressionQueue<'_> {
    /// Appends a finished segment; false, and nothing appended, if it is damaged, or not what
    /// `headers` expects as far as it is unpacked.
    pub(super) fn append(
        &mut self,
        segment: FinishedSegment,
        headers: Option<HeaderCheck<'_>>,
    ) -> Result<bool> {
        let before = self.stand()?;
        let sound = if self.writer.is_hashing() {
            self.unpack(segment, headers)?
        } else {
            self.copy(segment)?
        };
        if !sound {
            self.rewind(before)?;
        }
        Ok(sound)
    }

    fn copy(&mut self, mut segment: FinishedSegment) -> Result<bool> {
        if let FinishedSegment::Cached(segment) = &segment
            && let Some(bytes) = segment.whole()
        {
            return self.writer.write(bytes).map(|()| true);
        }
        if let FinishedSegment::File(reader) = &mut segment
            && let Some((input, left)) = reader.unseen()
        {
            while *left > 0 {
                match self.writer.copy(input, *left)? {
                    0 => return Err(input.changed()),
                    length => *left -= length,
                }
                self.turn.check()?;
            }
            return Ok(segment.finish());
        }
        // Not a lease: what is known does not wait for what is compressed.
        let mut piece = vec![0; PIECE];
        loop {
            match segment.read(&mut piece)? {
                0 => return Ok(segment.finish()),
                length => self.writer.write(&piece[..length])?,
            }
            self.turn.check()?;
        }
    }

    fn unpack(
        &mut self,
        segment: FinishedSegment,
        mut headers: Option<HeaderCheck<'_>>,
    ) -> Result<bool> {
        let unpacking = Unpacking::new(self.compression, segment.lengths().to_vec());
        let mut fetch = Fetch { segment, unpacking, rest: Vec::new(), at: 0 };
        // The one that is kept may be the last that there is.
        let mut lease = self.lease.take().map_or_else(|| self.turn.lease(), Ok)?;
        let mut fetched: Option<(BufferLease, Piece)> = None;
        loop {
            let work = move |lease: &mut BufferLease| {
                let piece = fetch.next(lease)?;
                Ok((fetch, piece))
            };
            let ticket = self.turn.submit(lease, work);
            if let Some((mut lease, piece)) = fetched.take() {
                self.write_fetched(&mut lease, &piece)?;
            }
            let (mut done, (further, piece)) = self.turn.wait(&ticket)?;
            fetch = further;
            let Some(piece) = piece else {
                return Ok(false);
            };
            if piece.is_empty() {
                return Ok(fetch.finish() && headers.is_none_or(|headers| headers.is_complete()));
            }
            let content = &done.input()[..piece.content];
            if headers.as_mut().is_some_and(|headers| !headers.update(content)) {
                return Ok(false);
            }
            // One who has a buffer may not wait for another: then the same one serves again.
            lease = if let Some(other) = self.turn.try_lease() {
                fetched = Some((done, piece));
                other
            } else {
                self.write_fetched(&mut done, &piece)?;
                done
            };
        }
    }

    fn write_fetched(&mut self, lease: &mut BufferLease, piece: &Piece) -> Result<()> {
        self.writer.write(&lease.output()[..piece.compressed])?;
        if self.writer.is_hashing() {
            self.archive.update(&lease.input()[..piece.content]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::num::NonZeroUsize;

    use flate2::write::DeflateEncoder;

    use super::*;
    use crate::cache::{Cache, KeyBuilder, Lookup};
    use crate::cancel::Waiter;
    use crate::layer::compress::{Compression, HEADER, MEMBER};
    use crate::sync::once;
    use crate::workers::WorkerPool;

    /// A member of zeros, as it may be taken from a wheel.
    fn member(length: usize, level: flate2::Compression) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(HEADER.to_vec(), level);
        let (content, mut crc) = (vec![0; length], flate2::Crc::new());
        encoder.write_all(&content).unwrap();
        crc.update(&content);
        let mut member = encoder.finish().unwrap();
        member.extend_from_slice(&crc.sum().to_le_bytes());
        member.extend_from_slice(&crc.amount().to_le_bytes());
        member
    }

    #[test]
    fn a_segment_ends_where_all_is_unpacked_and_nowhere_before() {
        once(unpack_and_compare);
    }

    fn unpack_and_compare() {
        let stored = |length| (member(length, flate2::Compression::none()), length);
        let packed = |length| (member(length, flate2::Compression::best()), length);
        // The content of the first two fills what there is room for, and their bytes what is read
        // at a time: both end at once.
        let together = 4 * MEMBER;
        let mut first = stored(UNPACKED - (32 << 10));
        let mut second = packed(together - first.1);
        while first.0.len() + second.0.len() != UNPACKED {
            first = stored(first.1 + UNPACKED - second.0.len() - first.0.len());
            second = packed(together - first.1);
        }
        let members = [first, second, packed(1000)];

        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::on_disk(&folder.path().join("cache"), 1 << 30).unwrap();
        let mut recording = cache.record();
        for (member, length) in &members {
            recording.write(member);
            recording.member(member.len() as u64, *length as u64);
        }
        let bytes: usize = members.iter().map(|(member, _)| member.len()).sum();
        let key = KeyBuilder::new("test").finish();
        cache.store(&key, recording);
        let Lookup::Hit(segment) = cache.segment(&key) else { panic!("it was stored") };
        let segment = FinishedSegment::Cached(segment);

        let lengths = segment.lengths().to_vec();
        let unpacking = Unpacking::new(Compression::Gzip(6), lengths);
        let mut fetch = Fetch { segment, unpacking, rest: Vec::new(), at: 0 };
        let pool = WorkerPool::new(NonZeroUsize::MIN).unwrap();
        let mut lease = pool.turn(Waiter::default()).lease().unwrap();
        let (mut compressed, mut content) = (0, 0);
        loop {
            let piece = fetch.next(&mut lease).unwrap().unwrap();
            if piece.is_empty() {
                break;
            }
            compressed += piece.compressed;
            content += piece.content;
        }
        assert_eq!((compressed, content), (bytes, together + 1000));
        assert!(fetch.finish());
    }
}
