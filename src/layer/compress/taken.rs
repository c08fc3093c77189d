//! Gzip members around a wheel's own deflate stream, for files that fit a member.

use memchr::memmem;

use super::gzip;
use crate::layer::wheel::Stream;

/// Proves that streams are what they claim to be, and makes members of them.
pub(super) struct Taker {
    inflater: libdeflater::Decompressor,
    inflated: Vec<u8>,
}

impl Default for Taker {
    fn default() -> Self {
        Self { inflater: libdeflater::Decompressor::new(), inflated: Vec::new() }
    }
}

impl Taker {
    /// A member of `content` with this deflate stream, to the start of `output`, and its length;
    /// none if the stream is not exactly that.
    pub(super) fn take(
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
        self.is_member_of(member, content, &trailer).then_some(length)
    }

    /// Whether the member's content is `content`, and nothing stands behind it.
    ///
    /// The inflater does not say where it stopped, but it stopped in front of a right trailer: if
    /// there is only one, at the end, it stopped there.
    fn is_member_of(&mut self, member: &[u8], content: &[u8], trailer: &[u8]) -> bool {
        if self.inflated.len() < content.len() {
            self.inflated.resize(content.len(), 0);
        }
        let inflated = &mut self.inflated[..content.len()];
        let written = self.inflater.gzip_decompress(member, inflated);
        written == Ok(content.len())
            && inflated == content
            && memmem::find(&member[gzip::HEADER.len()..member.len() - 1], trailer).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::compress::{Compression, Compressor};

    fn member(content: &[u8]) -> Vec<u8> {
        let mut output = vec![0; content.len() + 1024];
        let mut compressor = Compressor::new(Compression::Gzip(6)).unwrap().unwrap();
        let length = compressor.compress(content, &mut output).unwrap();
        output.truncate(length);
        output
    }

    #[test]
    fn a_member_is_what_it_seems_and_nothing_more() {
        let content = b"some text, some more text, and some more".repeat(40);
        let trailer = gzip::trailer(libdeflater::crc32(&content), content.len() as u64);
        let right = member(&content);
        // What a wheel would say whose stream goes on behind its end, with and without the
        // bytes that an inflater takes for a trailer.
        let longer = [&right[..], b"garbage", &trailer].concat();
        let hidden = [&right[..right.len() - 8], b"garbage", &trailer].concat();
        let mut flipped = right.clone();
        flipped[20] ^= 1;
        for (name, candidate, holds) in [
            ("right", &right[..], true),
            ("another content", &member(&content[1..]), false),
            ("bytes behind a trailer", &longer, false),
            ("bytes behind the stream", &hidden, false),
            ("a flipped bit", &flipped, false),
        ] {
            let found = Taker::default().is_member_of(candidate, &content, &trailer);
            assert_eq!(found, holds, "{name}");
        }
    }
}
