//! From a member's bytes to a complete gzip member or zstd frame.
//!
//! A member is compressed by itself, so its bytes depend on its content, the codec, and the level
//! alone; any number of threads gives the same blob. The codecs' versions are part of that: they
//! are pinned in `Cargo.lock`, and a golden test notices when one changes its bytes.

mod codec;
mod gzip;
mod large_stream;
mod members;
mod stream;
mod unpack;
mod zstd;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

pub use codec::Codec;
pub use gzip::HEADER;
pub use large_stream::LargeStreamVerifier;
pub use members::{Part, compress, forget_codecs};
pub use unpack::Unpacking;

use crate::error::{Error, Result};

/// The most uncompressed bytes that one member holds.
pub const MEMBER: usize = 4 << 20;

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compression {
    /// Not at all: the blob is the archive.
    None,
    /// Gzip (RFC 1952) at level 1 to 9.
    Gzip(u8),
    /// Zstandard (RFC 8878) at level 1 to 22.
    Zstd(u8),
}

impl Compression {
    /// What decides a member's bytes besides its content: codec, version, level, and the largest
    /// member. Whoever keeps members keeps this with them.
    pub fn identity(self) -> String {
        let codec = match self {
            Self::None => String::new(),
            Self::Gzip(_) => gzip::VERSION.to_owned(),
            Self::Zstd(_) => zstd::version(),
        };
        format!("{self} {codec} {MEMBER}")
    }

    /// Whether a file of this name may have it: one that ends as those of another compression do
    /// may not.
    pub fn fits_name(self, path: &Path) -> bool {
        let endings = [
            (Codec::None, &["tar"][..]),
            (Codec::Gzip, &["gz", "tgz"]),
            (Codec::Zstd, &["zst", "zstd", "tzst"]),
        ];
        let extension = path.extension().unwrap_or_default();
        let said = endings.iter().find(|(_, all)| all.iter().any(|one| *one == extension));
        said.is_none_or(|(codec, _)| self.codec() == *codec)
    }

    /// Its format, without the level.
    pub const fn codec(self) -> Codec {
        match self {
            Self::None => Codec::None,
            Self::Gzip(_) => Codec::Gzip,
            Self::Zstd(_) => Codec::Zstd,
        }
    }

    /// Whether members may be taken from wheels.
    pub const fn takes_wheels(self) -> bool {
        matches!(self, Self::Gzip(_))
    }

    /// Decompresses one member to `content`; none if it is no member, or its content has another
    /// length.
    pub fn decompress(self, member: &[u8], content: &mut [u8]) -> Option<()> {
        let written = match self {
            Self::None if member.len() == content.len() => {
                content.copy_from_slice(member);
                member.len()
            }
            Self::None => return None,
            Self::Gzip(_) => gzip::decompress(member, content)?,
            Self::Zstd(_) => zstd::decompress(member, content)?,
        };
        (written == content.len()).then_some(())
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::Gzip(6)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.codec().name();
        match self {
            Self::None => f.write_str(name),
            Self::Gzip(level) | Self::Zstd(level) => write!(f, "{name}:{level}"),
        }
    }
}

impl FromStr for Compression {
    type Err = Error;

    /// Reads `none`, `gzip[:1..9]`, or `zstd[:1..22]`; the levels default to 6 and 3.
    fn from_str(text: &str) -> Result<Self> {
        let fail = || {
            Error::usage(format!("`{text}` is not a compression")).hint(
                "write `none`, `gzip`, `gzip:1` to `gzip:9`, `zstd`, or `zstd:1` to `zstd:22`",
            )
        };
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let level = |default: u8, most: u8| match level {
            None => Ok(default),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                let level = digits.parse().map_err(|_| fail())?;
                if (1..=most).contains(&level) { Ok(level) } else { Err(fail()) }
            }
            Some(_) => Err(fail()),
        };
        match name {
            "none" if text == "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip(level(6, 9)?)),
            "zstd" => Ok(Self::Zstd(level(3, 22)?)),
            _ => Err(fail()),
        }
    }
}

/// A codec's state, kept by a thread from one member to the next. A used compressor gives the
/// same bytes as a fresh one.
pub struct Compressor {
    compression: Compression,
    state: State,
}

enum State {
    Gzip(gzip::Compressor),
    Zstd(zstd::Compressor),
}

impl Compressor {
    /// A compressor; none where nothing is to be compressed.
    pub fn new(compression: Compression) -> Result<Option<Self>> {
        let state = match compression {
            Compression::None => return Ok(None),
            Compression::Gzip(level) => State::Gzip(gzip::Compressor::new(level)?),
            Compression::Zstd(level) => State::Zstd(zstd::Compressor::new(level)?),
        };
        Ok(Some(Self { compression, state }))
    }

    /// What this compressor was made for.
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Compresses one member to `output`; gives the compressed length in bytes.
    pub fn compress(&mut self, member: &[u8], output: &mut [u8]) -> Result<usize> {
        match &mut self.state {
            State::Gzip(gzip) => gzip.compress(member, output),
            State::Zstd(zstd) => zstd.compress(member, output),
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("compression", &self.compression).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member(compressor: &mut Compressor, bytes: &[u8]) -> Vec<u8> {
        let mut output = vec![0; bytes.len() + bytes.len() / 64 + 1024];
        let length = compressor.compress(bytes, &mut output).unwrap();
        output.truncate(length);
        output
    }

    #[test]
    fn compressions_are_read_and_shown() {
        for (text, compression) in [
            ("none", Compression::None),
            ("gzip", Compression::Gzip(6)),
            ("gzip:1", Compression::Gzip(1)),
            ("gzip:9", Compression::Gzip(9)),
            ("zstd", Compression::Zstd(3)),
            ("zstd:22", Compression::Zstd(22)),
        ] {
            let read: Compression = text.parse().unwrap();
            assert_eq!(read, compression);
            assert_eq!(read.to_string().parse::<Compression>().unwrap(), compression);
        }
        for text in [
            "", "none:", "none:1", "gzip:", "gzip:0", "gzip:10", "gzip:+6", "zstd:23", "zstd:-1",
            "zstd:0", "xz", "Gzip", "gzip:6:6", "gzip: 6", "gzip:256",
        ] {
            let error = text.parse::<Compression>().unwrap_err();
            assert_eq!(error.fault().exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn a_gzip_header_is_the_plain_ten_bytes() {
        let mut compressor = Compressor::new(Compression::Gzip(6)).unwrap().unwrap();
        let header = &member(&mut compressor, b"abc")[..10];
        assert_eq!(header[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0], "deflate, no flags, no clock");
    }

    #[test]
    fn a_zstd_frame_is_no_skippable_one_and_its_window_is_modest() {
        let mut compressor = Compressor::new(Compression::Zstd(22)).unwrap().unwrap();
        let frame = member(&mut compressor, &vec![b'a'; MEMBER]);
        assert_eq!(frame[..4], [0x28, 0xb5, 0x2f, 0xfd], "RFC 8878, 3.1.1: the magic number");
        assert_eq!(frame[4] & 0b0010_0000, 0, "not a single segment: a window descriptor follows");
        assert!(10 + (frame[5] >> 3) <= 27, "the window's exponent");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_used_compressor_gives_the_bytes_of_a_fresh_one(
            members in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..3000), 1_usize..40), 1..6),
            which in 0..4_usize,
        ) {
            let compression =
                ["gzip:6", "gzip:9", "zstd:3", "zstd:19"][which].parse().unwrap();
            let mut used = Compressor::new(compression).unwrap().unwrap();
            for (bytes, times) in members {
                let bytes = bytes.repeat(times);
                let mut fresh = Compressor::new(compression).unwrap().unwrap();
                prop_assert!(member(&mut used, &bytes) == member(&mut fresh, &bytes));
            }
        }
    }
}
