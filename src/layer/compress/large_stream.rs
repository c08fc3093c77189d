//! A wheel's stream against a file that is too large to be held: both go by piece by piece.

use flate2::{Decompress, FlushDecompress, Status};

use super::gzip;
use crate::layer::wheel::Stream;

/// Bytes of the stream read at a time.
const READ: usize = 128 << 10;

/// Bytes inflated at a time: they are compared while the processor's cache still holds them.
const INFLATE: usize = 64 << 10;

/// A stream that has been what it claims to be so far.
pub struct LargeStreamVerifier {
    stream: Stream,
    inflate: Decompress,
    /// Where in the wheel the stream is read next, and how much of it is left there.
    next: u64,
    left: u64,
    /// What was read of the stream; from `from` on, it is not inflated yet.
    read: Vec<u8>,
    from: usize,
    inflated: Vec<u8>,
    crc: libdeflater::Crc,
    length: u64,
    ended: bool,
}

impl std::fmt::Debug for LargeStreamVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LargeStreamVerifier").field("length", &self.length).finish_non_exhaustive()
    }
}

impl LargeStreamVerifier {
    /// Begins with a stream; none if the archive lies about where it is.
    pub fn new(stream: Stream) -> Option<Self> {
        Some(Self {
            next: stream.start()?,
            left: stream.compressed(),
            stream,
            inflate: Decompress::new(false),
            read: Vec::with_capacity(READ),
            from: 0,
            inflated: vec![0; INFLATE],
            crc: libdeflater::Crc::new(),
            length: 0,
            ended: false,
        })
    }

    /// Compares the file's next bytes. Puts the part of the stream that was inflated for them at
    /// the start of `output`, and gives its length; none if the file is another one, or that part
    /// is longer than `output`, as no compressor makes it.
    pub fn compare(&mut self, mut content: &[u8], output: &mut [u8]) -> Option<usize> {
        self.crc.update(content);
        self.length += content.len() as u64;
        let mut written = 0;
        while !content.is_empty() && !self.ended {
            let inflated = self.step(content.len(), output, &mut written)?;
            let (same, rest) = content.split_at_checked(inflated)?;
            if same != &self.inflated[..inflated] {
                return None;
            }
            content = rest;
        }
        content.is_empty().then_some(written)
    }

    /// The member's trailer, if the stream ends here, too, and how many last bytes of it are at
    /// the start of `output`; none if it goes on.
    pub fn finish(mut self, output: &mut [u8]) -> Option<([u8; 8], usize)> {
        let mut written = 0;
        while !self.ended {
            if self.step(1, output, &mut written)? > 0 {
                return None;
            }
        }
        Some((gzip::trailer(self.crc.sum(), self.length), written))
    }

    /// Inflates up to `most` bytes, adds what that took of the stream to the `written` bytes of
    /// `output`, and gives their number; none if that cannot be, or the archive has more than the
    /// stream.
    fn step(&mut self, most: usize, output: &mut [u8], written: &mut usize) -> Option<usize> {
        if self.from == self.read.len() && self.left > 0 {
            let length = usize::try_from(self.left).unwrap_or(READ).min(READ);
            self.read.resize(length, 0);
            self.stream.read(&mut self.read, self.next)?;
            self.from = 0;
            self.next += length as u64;
            self.left -= length as u64;
        }
        let room = &mut self.inflated[..most.min(INFLATE)];
        let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
        let status =
            self.inflate.decompress(&self.read[self.from..], room, FlushDecompress::None).ok()?;
        let taken = usize::try_from(self.inflate.total_in() - taken).ok()?;
        let given = usize::try_from(self.inflate.total_out() - given).ok()?;
        let took = &self.read[self.from..self.from + taken];
        output.get_mut(*written..*written + taken)?.copy_from_slice(took);
        *written += taken;
        self.from += taken;
        self.ended = status == Status::StreamEnd;
        let stuck = !self.ended && taken == 0 && given == 0;
        let goes_on = self.left > 0 || self.from < self.read.len();
        (!stuck && (!self.ended || !goes_on)).then_some(given)
    }
}
