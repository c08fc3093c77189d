//! Whether the archive in a segment's members is the one that its index tells of.

use crate::layer::plan::Entry;
use crate::layer::segment::write_header;
use crate::layer::spec::Attributes;
use crate::layer::tar;

/// Compares an archive that comes in pieces with the entries that it should have: headers byte for
/// byte, contents by length, padding by its zeros.
#[derive(Debug)]
pub struct HeaderCheck<'a> {
    entries: std::slice::Iter<'a, Entry>,
    attributes: Attributes,
    /// The header blocks that are expected, from an index on.
    header: Vec<u8>,
    at: usize,
    content: u64,
    padding: usize,
}

impl<'a> HeaderCheck<'a> {
    /// Expects these entries with these attributes.
    pub fn new(entries: &'a [Entry], attributes: Attributes) -> Self {
        let (header, at, content, padding) = (Vec::new(), 0, 0, 0);
        Self { entries: entries.iter(), attributes, header, at, content, padding }
    }

    /// Takes in the next bytes; says whether they are as expected.
    pub fn update(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.at < self.header.len() {
                let expected = &self.header[self.at..];
                let length = expected.len().min(bytes.len());
                if bytes[..length] != expected[..length] {
                    return false;
                }
                self.at += length;
                bytes = &bytes[length..];
            } else if self.content > 0 {
                let length = usize::try_from(self.content).unwrap_or(usize::MAX).min(bytes.len());
                self.content -= length as u64;
                bytes = &bytes[length..];
            } else if self.padding > 0 {
                let length = self.padding.min(bytes.len());
                if bytes[..length].iter().any(|&byte| byte != 0) {
                    return false;
                }
                self.padding -= length;
                bytes = &bytes[length..];
            } else if let Some(entry) = self.entries.next() {
                self.header.clear();
                self.content = write_header(entry, self.attributes, &mut self.header);
                (self.at, self.padding) = (0, tar::padding(self.content));
            } else {
                return false;
            }
        }
        true
    }

    /// Whether all entries have come.
    pub fn is_complete(&self) -> bool {
        self.at == self.header.len()
            && self.content == 0
            && self.padding == 0
            && self.entries.len() == 0
    }
}
