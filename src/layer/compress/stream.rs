//! Gzip members around a wheel's own deflate stream, for files that fit a member.

use flate2::{Decompress, FlushDecompress, Status};

use super::gzip;
use crate::layer::wheel::Stream;

/// Proves that streams are what they claim to be, and makes members of them.
///
/// The inflater is zlib's: it refuses what RFC 1951 forbids. libdeflate, which is quicker, takes
/// streams that no other reader can read.
pub(super) struct StreamVerifier {
    inflate: Decompress,
    inflated: Vec<u8>,
}

impl Default for StreamVerifier {
    fn default() -> Self {
        Self { inflate: Decompress::new(false), inflated: Vec::new() }
    }
}

impl StreamVerifier {
    /// A member of `content` with this deflate stream, to the start of `output`, and its length;
    /// none if the stream is not exactly that.
    pub(super) fn member(
        &mut self,
        stream: &Stream,
        content: &[u8],
        output: &mut [u8],
    ) -> Option<usize> {
        let compressed = usize::try_from(stream.compressed()).ok()?;
        let trailer = gzip::trailer(libdeflater::crc32(content), content.len() as u64);
        let length = gzip::HEADER.len() + compressed + trailer.len();
        let member = output.get_mut(..length)?;
        let (header, rest) = member.split_at_mut(gzip::HEADER.len());
        let (body, end) = rest.split_at_mut(compressed);
        header.copy_from_slice(&gzip::HEADER);
        stream.read(body, stream.start()?)?;
        end.copy_from_slice(&trailer);
        self.is_stream_of(body, content).then_some(length)
    }

    /// Whether the stream's content is `content`, and nothing stands behind it.
    fn is_stream_of(&mut self, stream: &[u8], content: &[u8]) -> bool {
        // One byte more shows a stream that goes on.
        if self.inflated.len() <= content.len() {
            self.inflated.resize(content.len() + 1, 0);
        }
        let inflated = &mut self.inflated[..=content.len()];
        self.inflate.reset(false);
        let status = self.inflate.decompress(stream, inflated, FlushDecompress::Finish);
        matches!(status, Ok(Status::StreamEnd))
            && self.inflate.total_in() == stream.len() as u64
            && self.inflate.total_out() == content.len() as u64
            && inflated[..content.len()] == *content
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::compress::{Compression, Compressor};

    fn stream(content: &[u8]) -> Vec<u8> {
        let mut output = vec![0; content.len() + 1024];
        let mut compressor = Compressor::new(Compression::Gzip(6)).unwrap().unwrap();
        let length = compressor.compress(content, &mut output).unwrap();
        output[gzip::HEADER.len()..length - 8].to_vec()
    }

    #[test]
    fn a_stream_is_what_it_seems_and_nothing_more() {
        let content = b"some text, some more text, and some more".repeat(40);
        let right = stream(&content);
        let longer = [&right[..], b"garbage"].concat();
        let mut flipped = right.clone();
        flipped[10] ^= 1;
        for (name, candidate, holds) in [
            ("right", &right[..], true),
            ("another content", &stream(&content[1..]), false),
            ("more content", &stream(&content.repeat(2)), false),
            ("bytes behind the stream", &longer, false),
            ("a truncated stream", &right[..right.len() - 1], false),
            ("a flipped bit", &flipped, false),
        ] {
            let mut verifier = StreamVerifier::default();
            assert_eq!(verifier.is_stream_of(candidate, &content), holds, "{name}");
            assert!(verifier.is_stream_of(&right, &content), "after {name}");
        }
    }
}
