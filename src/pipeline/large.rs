//! Files with a wheel's deflate stream that are larger than a batch: they go by in pieces, one
//! being read and hashed while the one before is compared.

use super::assembly::Assembly;
use crate::crew::Batch;
use crate::error::Result;
use crate::layer::compress::{self, Comparison};
use crate::layer::wheel::Stream;

/// Bytes of a file that are compared at a time: enough to be worth handing over, few enough to
/// stay in the processor's cache.
const PIECE: usize = 1 << 20;

impl Assembly<'_> {
    /// Takes in a file with its stream; false, and nothing taken in, if the stream is another one.
    pub(super) fn take_large(
        &mut self,
        stream: Stream,
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<bool> {
        self.end_batch()?;
        let before = self.stand()?;
        let taken = match Comparison::new(stream) {
            Some(comparison) => self.take_compared(comparison, read)?,
            None => false,
        };
        if !taken {
            self.rewind(before)?;
        }
        Ok(taken)
    }

    fn take_compared(
        &mut self,
        mut comparison: Comparison,
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<bool> {
        let (mut compressed, mut uncompressed) = (0, 0);
        let mut write = |assembly: &mut Self, bytes: &[u8]| {
            compressed += bytes.len() as u64;
            assembly.write_piece(bytes)
        };
        write(self, &compress::HEADER)?;
        let mut batch = self.crew.batch(self.check)?;
        let mut length = self.read_piece(&mut batch, read)?;
        while length > 0 {
            uncompressed += length as u64;
            let work = move |batch: &mut Batch| {
                let (content, output) = batch.both();
                let taken = comparison.compare(&content[..length], output);
                Ok(taken.map(|taken| (comparison, taken)))
            };
            let ticket = self.crew.submit(batch, work);
            // One who has a batch may not wait for another: then the same one serves again.
            let ahead = match self.crew.try_batch() {
                Some(mut ahead) => Some((self.read_piece(&mut ahead, read)?, ahead)),
                None => None,
            };
            let (mut done, compared) = self.crew.wait(&ticket, self.check)?;
            let Some((further, taken)) = compared else {
                return Ok(false);
            };
            comparison = further;
            write(self, &done.output()[..taken])?;
            (length, batch) = match ahead {
                Some(ahead) => ahead,
                None => (self.read_piece(&mut done, read)?, done),
            };
        }
        let mut rest = Vec::new();
        let Some(trailer) = comparison.finish(&mut rest) else {
            return Ok(false);
        };
        write(self, &rest)?;
        write(self, &trailer)?;
        self.end_member(compressed, uncompressed);
        Ok(true)
    }

    /// Fills a batch with the file's next piece and hashes it; gives its length, 0 at the end.
    fn read_piece(
        &mut self,
        batch: &mut Batch,
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        let room = &mut batch.input()[..PIECE];
        let mut filled = 0;
        while filled < room.len() {
            match read(&mut room[filled..])? {
                0 => break,
                length => {
                    if let Some(hashes) = &mut self.hashes {
                        hashes.archive.update(&room[filled..filled + length]);
                    }
                    filled += length;
                }
            }
        }
        Ok(filled)
    }
}
