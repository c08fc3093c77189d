//! A layer blob as it is read: its members, its content, and the digests of both.

use std::fmt;
use std::io::{self, BufRead as _, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::codec::{BLOCK, detect, is_archive, is_skippable};
use super::source::Source;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::fs::Input;
use crate::layer::CancelCheck;
use crate::layer::compress::Codec;

/// A gzip member or a zstd frame: where it is in the blob, and where its content is in the archive.
/// An uncompressed blob is one member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    /// Where it begins in the blob, in bytes.
    pub offset: u64,
    /// How long it is there.
    pub length: u64,
    /// Where its content begins in the archive.
    pub content_offset: u64,
    /// How long its content is.
    pub content_length: u64,
}

/// A layer blob that is being read: gives its archive's bytes.
pub struct Blob<'a> {
    state: State<'a>,
    codec: Codec,
    members: Vec<Member>,
    content: Hasher,
    /// The archive's first block, as far as it has come.
    first: Vec<u8>,
    /// How many bytes there are up to the last one that is no zero.
    said: u64,
    /// What went wrong first.
    error: Option<Error>,
}

enum State<'a> {
    Between(Source<'a>),
    Plain(Source<'a>),
    Gzip(Box<GzDecoder<Source<'a>>>),
    Zstd(Box<ZstdDecoder<'static, Source<'a>>>),
    Broken,
}

/// A blob that was read to its end.
#[derive(Debug)]
pub struct FinishedBlob {
    /// How it is compressed.
    pub codec: Codec,
    /// The digest of the blob.
    pub digest: Digest,
    /// The blob's length in bytes.
    pub size: u64,
    /// The digest of its archive.
    pub diff_id: Digest,
    /// The archive's length in bytes.
    pub content_size: u64,
    /// The length of the archive without the zeros at its end; 0 if it has no entries.
    pub said: u64,
    /// Its members, in order.
    pub members: Vec<Member>,
}

impl<'a> Blob<'a> {
    /// Reads a blob that was opened.
    pub fn new(input: Input, check: CancelCheck<'a>) -> Result<Self> {
        let length = input.size();
        Self::of_first(input, length, check)
    }

    /// Reads the first `length` bytes of a file: the members of a segment.
    pub fn of_first(input: Input, length: u64, check: CancelCheck<'a>) -> Result<Self> {
        let path = input.path().to_owned();
        let mut source = Source::new(input, length, check);
        let start = source.fill_buf().map_err(|source| Error::io("cannot read", &path, source))?;
        let codec = detect(start).ok_or_else(|| not_a_layer(start, &path))?;
        let state = match codec {
            Codec::None => State::Plain(source),
            Codec::Gzip | Codec::Zstd => State::Between(source),
        };
        Ok(Self {
            state,
            codec,
            members: Vec::new(),
            content: Hasher::new(),
            first: Vec::with_capacity(BLOCK),
            said: 0,
            error: None,
        })
    }

    /// Reads what is left, and gives what was learned.
    pub fn finish(mut self) -> Result<FinishedBlob> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(source) => {
                    let unknown = || Error::input("the layer is damaged").because(source);
                    return Err(self.error.take().unwrap_or_else(unknown));
                }
            }
        }
        let State::Between(source) = self.state else {
            return Err(Error::input("the layer ends within a member"));
        };
        if !is_archive(&self.first) {
            return Err(not_a_layer(&[], source.input.path()));
        }
        source.input.expect_unchanged()?;
        let size = source.hasher.length();
        Ok(FinishedBlob {
            codec: self.codec,
            digest: source.hasher.finish(),
            size,
            content_size: self.content.length(),
            diff_id: self.content.finish(),
            said: self.said,
            members: self.members,
        })
    }

    /// What went wrong, if reading failed.
    pub fn failure(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Begins the next member; says whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        let State::Between(mut source) = std::mem::replace(&mut self.state, State::Broken) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let start = source.fill_buf()?;
        if start.is_empty() {
            self.state = State::Between(source);
            return Ok(false);
        }
        let fits = match self.codec {
            Codec::None => false,
            Codec::Gzip => start.starts_with(&[0x1f, 0x8b]) || start == [0x1f],
            // A skippable frame is one, too, but for the first.
            Codec::Zstd => {
                start.len() < 4
                    || start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
                    || is_skippable(start)
            }
        };
        if !fits {
            let at = source.hasher.length();
            let what = format!("what follows byte {at} is no {} data in", self.codec.name());
            let path = source.input.path();
            self.error =
                Some(Error::input(what).at(path).hint(
                    "container tools refuse such a layer: nothing may follow the last member",
                ));
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.members.push(Member {
            offset: source.hasher.length(),
            length: 0,
            content_offset: self.content.length(),
            content_length: 0,
        });
        self.state = match self.codec {
            Codec::None => State::Plain(source),
            Codec::Gzip => State::Gzip(Box::new(GzDecoder::new(source))),
            Codec::Zstd => State::Zstd(Box::new(ZstdDecoder::with_buffer(source)?.single_frame())),
        };
        Ok(true)
    }

    /// Ends the member that is being read.
    fn end(&mut self) {
        let source = match std::mem::replace(&mut self.state, State::Broken) {
            State::Between(source) | State::Plain(source) => source,
            State::Gzip(decoder) => decoder.into_inner(),
            State::Zstd(decoder) => decoder.finish(),
            State::Broken => return,
        };
        if self.codec == Codec::None && self.members.is_empty() {
            self.members.push(Member {
                offset: 0,
                length: 0,
                content_offset: 0,
                content_length: 0,
            });
        }
        if let Some(member) = self.members.last_mut() {
            member.length = source.hasher.length() - member.offset;
            member.content_length = self.content.length() - member.content_offset;
        }
        self.state = State::Between(source);
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match &mut self.state {
                State::Between(_) => {
                    if !self.begin()? {
                        return Ok(0);
                    }
                    continue;
                }
                State::Plain(source) => source.read(buffer)?,
                State::Gzip(decoder) => decoder.read(buffer)?,
                State::Zstd(decoder) => decoder.read(buffer)?,
                State::Broken => return Err(io::ErrorKind::InvalidData.into()),
            };
            if read > 0 {
                return Ok(read);
            }
            self.end();
            if self.codec == Codec::None {
                return Ok(0);
            }
        }
    }

    /// What the source ran into, if that is why reading failed.
    fn source(&mut self) -> Option<&mut Source<'a>> {
        match &mut self.state {
            State::Between(source) | State::Plain(source) => Some(source),
            State::Gzip(decoder) => Some(decoder.get_mut()),
            State::Zstd(decoder) => Some(decoder.get_mut()),
            State::Broken => None,
        }
    }
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.read_some(buffer) {
            Ok(read) => {
                if let Some(last) = buffer[..read].iter().rposition(|&byte| byte != 0) {
                    self.said = self.content.length() + last as u64 + 1;
                }
                let missing = read.min(BLOCK - self.first.len());
                self.first.extend_from_slice(&buffer[..missing]);
                self.content.update(&buffer[..read]);
                Ok(read)
            }
            Err(source) => {
                let codec = self.codec.name();
                let found = self.source().map(|at| {
                    at.error.take().unwrap_or_else(|| {
                        let read = at.hasher.length();
                        Error::input(format!("damaged {codec} data, {read} bytes into"))
                            .at(at.input.path())
                            .because(source.to_string())
                    })
                });
                self.error = self.error.take().or(found);
                Err(source)
            }
        }
    }
}

impl fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// The error for a file that begins with these bytes.
fn not_a_layer(start: &[u8], path: &Path) -> Error {
    let (what, hint) = if is_skippable(start) {
        (
            "a zstd layer begins with a skippable frame:",
            "skopeo and podman take it for uncompressed: compress the archive anew",
        )
    } else {
        ("not a layer:", "a layer is a tar archive, uncompressed or compressed by gzip or zstd")
    };
    Error::input(what).at(path).hint(hint)
}
