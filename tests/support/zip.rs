//! Wheels, right and wrong: a writer of ZIP archives that says what it is told to say.

use std::io::Write as _;

/// One file of an archive, and what the archive says about it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// The bytes that lie in the archive.
    pub(crate) stream: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) crc: u32,
    pub(crate) compressed: u64,
    pub(crate) size: u64,
    /// Added to the place where the local header really is.
    pub(crate) shift: u64,
    /// Whether the lengths stand in a ZIP64 field.
    pub(crate) zip64: bool,
}

/// A deflate stream of `content`, as Python's `zipfile` makes it.
pub(crate) fn deflate(content: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::new(6);
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

impl Member {
    /// A file as every wheel has it.
    pub(crate) fn new(name: &str, content: &[u8]) -> Self {
        let (stream, mut crc) = (deflate(content), flate2::Crc::new());
        crc.update(content);
        Self {
            name: name.to_owned(),
            compressed: stream.len() as u64,
            stream,
            method: 8,
            flags: 0,
            crc: crc.sum(),
            size: content.len() as u64,
            shift: 0,
            zip64: false,
        }
    }

    /// The same with another stream, of whose length the archive knows.
    pub(crate) fn with_stream(self, stream: Vec<u8>) -> Self {
        Self { compressed: stream.len() as u64, stream, ..self }
    }

    /// The fields that local and central headers share, and the ZIP64 field.
    fn fields(&self, local: bool) -> (Vec<u8>, Vec<u8>) {
        // APPNOTE 4.4.4: with a data descriptor, bit 3, the local header has zeros.
        let described = local && self.flags & 8 != 0;
        let short = |value: u64| match (described, self.zip64) {
            (true, _) => 0,
            (false, true) => u32::MAX,
            (false, false) => u32::try_from(value).unwrap_or(u32::MAX - 1),
        };
        let mut extra = Vec::new();
        if self.zip64 {
            extra.extend_from_slice(&1_u16.to_le_bytes());
            extra.extend_from_slice(&16_u16.to_le_bytes());
            extra.extend_from_slice(&self.size.to_le_bytes());
            extra.extend_from_slice(&self.compressed.to_le_bytes());
        }
        let mut fields = Vec::new();
        for value in [20, self.flags, self.method, 0, 33] {
            fields.extend_from_slice(&value.to_le_bytes());
        }
        let crc = if described { 0 } else { self.crc };
        for value in [crc, short(self.compressed), short(self.size)] {
            fields.extend_from_slice(&value.to_le_bytes());
        }
        for length in [self.name.len(), extra.len()] {
            fields.extend_from_slice(&u16::try_from(length).unwrap().to_le_bytes());
        }
        (fields, extra)
    }
}

/// An archive of these files.
pub(crate) fn archive(members: &[Member]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let at = bytes.len() as u64 + member.shift;
        let (fields, extra) = member.fields(true);
        bytes.extend_from_slice(b"PK\x03\x04");
        for part in [&fields, member.name.as_bytes(), &extra, &member.stream] {
            bytes.extend_from_slice(part);
        }
        if member.flags & 8 != 0 {
            bytes.extend_from_slice(b"PK\x07\x08");
            bytes.extend_from_slice(&member.crc.to_le_bytes());
            for length in [member.compressed, member.size] {
                bytes.extend_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
            }
        }
        let (fields, extra) = member.fields(false);
        directory.extend_from_slice(b"PK\x01\x02\x14\0");
        directory.extend_from_slice(&fields);
        // No comment, the first disk, no attributes.
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&u32::try_from(at).unwrap_or(u32::MAX - 1).to_le_bytes());
        directory.extend_from_slice(member.name.as_bytes());
        directory.extend_from_slice(&extra);
    }
    let (start, length) = (bytes.len(), directory.len());
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        bytes.extend_from_slice(&u16::try_from(members.len()).unwrap().to_le_bytes());
    }
    for value in [length, start] {
        bytes.extend_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
    }
    bytes.extend_from_slice(&[0; 2]);
    bytes
}
