//! Files with a wheel's deflate stream that are larger than a buffer: they go by in pieces, one
//! being read and hashed while the one before is compared.

use super::queue::CompressionQueue;
use crate::error::Result;
use crate::layer::compress::{self, LargeStreamVerifier};
use crate::layer::wheel::Stream;
use crate::workers::BufferLease;

/// Bytes of a file that are compared at a time: enough to be worth handing over, few enough to
/// stay in the processor's cache.
const PIECE: usize = 1 << 20;

impl CompressionQueue<'_> {
    /// Takes in a file with its stream; false, and nothing taken in, if the stream is another one.
    pub(super) fn copy_large_stream(
        &mut self,
        stream: Stream,
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<bool> {
        self.flush()?;
        let before = self.stand()?;
        let taken = match LargeStreamVerifier::new(stream) {
            Some(verifier) => self.copy_verified(verifier, read)?,
            None => false,
        };
        if !taken {
            self.rewind(before)?;
        }
        Ok(taken)
    }

    fn copy_verified(
        &mut self,
        mut verifier: LargeStreamVerifier,
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<bool> {
        let (mut compressed, mut uncompressed) = (0, 0);
        let mut write = |queue: &mut Self, bytes: &[u8]| {
            compressed += bytes.len() as u64;
            queue.writer.write(bytes)
        };
        write(self, &compress::HEADER)?;
        // The one that is kept may be the last that there is.
        let mut lease = self.lease.take().map_or_else(|| self.turn.lease(), Ok)?;
        let mut length = self.read_piece(&mut lease, read)?;
        while length > 0 {
            uncompressed += length as u64;
            let work = move |lease: &mut BufferLease| {
                let (content, output) = lease.both();
                let taken = verifier.compare(&content[..length], output);
                Ok(taken.map(|taken| (verifier, taken)))
            };
            let ticket = self.turn.submit(lease, work);
            // One who has a buffer may not wait for another: then the same one serves again.
            let ahead = match self.turn.try_lease() {
                Some(mut ahead) => Some((self.read_piece(&mut ahead, read)?, ahead)),
                None => None,
            };
            let (mut done, compared) = self.turn.wait(&ticket)?;
            let Some((further, taken)) = compared else {
                return Ok(false);
            };
            verifier = further;
            write(self, &done.output()[..taken])?;
            (length, lease) = match ahead {
                Some(ahead) => ahead,
                None => (self.read_piece(&mut done, read)?, done),
            };
        }
        let rest = lease.output();
        let Some((trailer, length)) = verifier.finish(rest) else {
            return Ok(false);
        };
        write(self, &rest[..length])?;
        write(self, &trailer)?;
        self.writer.end_member(compressed, uncompressed);
        Ok(true)
    }

    /// Fills a buffer with the file's next piece and hashes it; gives its length, 0 at the end.
    fn read_piece(
        &mut self,
        lease: &mut BufferLease,
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        let room = &mut lease.input()[..PIECE];
        let mut filled = 0;
        while filled < room.len() {
            match read(&mut room[filled..])? {
                0 => break,
                length => {
                    if self.writer.is_hashing() {
                        self.archive.update(&room[filled..filled + length]);
                    }
                    filled += length;
                }
            }
        }
        Ok(filled)
    }
}
