//! A file whose bytes are hashed as a decoder takes them.

use std::io::{self, BufRead, Read};
use std::ops::Range;

use crate::digest::Hasher;
use crate::error::Error;
use crate::fs::Input;
use crate::layer::CancelCheck;

/// How much is read at a time, in bytes.
const BUFFER: usize = 256 << 10;

/// A file whose bytes are hashed as they are taken.
pub(super) struct Source<'a> {
    pub(super) input: Input,
    buffer: Vec<u8>,
    /// How many bytes are still to be read.
    unread: u64,
    /// What of the buffer is not taken yet.
    left: Range<usize>,
    pub(super) hasher: Hasher,
    check: CancelCheck<'a>,
    /// What went wrong.
    pub(super) error: Option<Error>,
}

impl<'a> Source<'a> {
    /// Reads the first `length` bytes of a file.
    pub(super) fn new(input: Input, length: u64, check: CancelCheck<'a>) -> Self {
        let buffer = vec![0; BUFFER];
        Self {
            input,
            buffer,
            unread: length,
            left: 0..0,
            hasher: Hasher::new(),
            check,
            error: None,
        }
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left.is_empty() {
            let length = usize::try_from(self.unread).unwrap_or(BUFFER).min(BUFFER);
            let read = (self.check)().and_then(|()| self.input.read(&mut self.buffer[..length]));
            match read {
                Ok(read) => {
                    self.unread -= read as u64;
                    self.left = 0..read;
                }
                Err(error) => {
                    let text = error.to_string();
                    self.error = Some(error);
                    return Err(io::Error::other(text));
                }
            }
        }
        Ok(&self.buffer[self.left.clone()])
    }

    fn consume(&mut self, amount: usize) {
        let end = self.left.end.min(self.left.start + amount);
        self.hasher.update(&self.buffer[self.left.start..end]);
        self.left.start = end;
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}
