//! From planned entries to archive bytes.
//!
//! A layer is a head (its directories), a segment for each package, and a tail (the end of the
//! archive). Each part begins a new member, so a segment's bytes depend on its own package alone.

use super::plan::{self, Directory, Entry, PackagePlan};
use super::spec::Attributes;
use super::tar::{self, Header, Kind};
use super::{Checkpoint, paths};
use crate::digest::{ContentHasher, Digest, Function};
use crate::error::{Error, Result};
use crate::fs::Input;

/// The most bytes read from a file at once: they are hashed while the cache still holds them.
const READ: usize = 256 << 10;

/// Takes in an archive's bytes, in order.
pub trait Sink {
    /// Room for the next bytes, at least one.
    fn room(&mut self) -> Result<&mut [u8]>;

    /// Says that the first `length` bytes of the room are filled.
    fn filled(&mut self, length: usize);

    /// Ends a part of the layer: what follows begins a new member.
    fn end_segment(&mut self) -> Result<()>;

    /// Takes in bytes.
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = self.room()?;
            let length = bytes.len().min(room.len());
            room[..length].copy_from_slice(&bytes[..length]);
            self.filled(length);
            bytes = &bytes[length..];
        }
        Ok(())
    }
}

/// A layer's head: its directories.
pub fn head(directories: &[Directory], attributes: Attributes) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(directories.len() * tar::BLOCK);
    for Directory { path, base_mode } in directories {
        let (owner, group) = match base_mode {
            Some(_) => (0, 0),
            None => (attributes.owner, attributes.group),
        };
        let mode = base_mode.unwrap_or(0o755);
        let kind = Kind::Directory;
        Header { path, kind, mode, owner, group, mtime: attributes.mtime }.write_to(&mut bytes);
    }
    bytes
}

/// Writes a package's segment; gives the digests of its files' contents, in order, if a function
/// for them is given.
pub fn write_package(
    package: &PackagePlan,
    attributes: Attributes,
    sink: &mut impl Sink,
    check: Checkpoint<'_>,
    hash: Option<Function>,
) -> Result<Vec<Digest>> {
    let mut bytes = Vec::new();
    let mut digests = Vec::new();
    for entry in &package.entries {
        check()?;
        let mut write_header = |kind, sink: &mut _| {
            bytes.clear();
            header(entry, kind, attributes).write_to(&mut bytes);
            Sink::write(sink, &bytes)
        };
        match &entry.kind {
            plan::Kind::Empty => write_header(Kind::File { size: 0 }, sink)?,
            plan::Kind::Symlink(target) => write_header(Kind::Symlink { target }, sink)?,
            plan::Kind::File(content) => {
                let path = content.path(&entry.dest);
                let mut input = Input::open(&path).map_err(|error| located(error, entry))?;
                let size = input.size();
                write_header(Kind::File { size }, sink)?;
                let mut hasher = hash.map(ContentHasher::new);
                copy(&mut input, sink, check, hasher.as_mut())?;
                digests.extend(hasher.map(ContentHasher::finish));
                sink.write(&[0; tar::BLOCK][..tar::padding(size)])?;
            }
        }
    }
    sink.end_segment()?;
    Ok(digests)
}

/// Writes a layer's tail.
pub fn write_tail(sink: &mut impl Sink) -> Result<()> {
    sink.write(&tar::END)?;
    sink.end_segment()
}

fn header<'a>(entry: &'a Entry, kind: Kind<'a>, attributes: Attributes) -> Header<'a> {
    let Attributes { owner, group, mtime } = attributes;
    Header { path: &entry.dest, kind, mode: entry.mode, owner, group, mtime }
}

fn located(error: Error, entry: &Entry) -> Error {
    error.hint(format!("it was to be `{}` in the image", paths::as_path(&entry.dest).display()))
}

/// Copies exactly as many bytes as the file had when it was opened; fewer or more are an error,
/// for the header with the size is written.
fn copy(
    input: &mut Input,
    sink: &mut impl Sink,
    check: Checkpoint<'_>,
    mut hasher: Option<&mut ContentHasher>,
) -> Result<()> {
    let mut left = input.size();
    let mut at_end = false;
    while left > 0 {
        let room = sink.room()?;
        // One byte more than there should be shows in the same call that the file has ended.
        let want = usize::try_from(left + 1).unwrap_or(usize::MAX).min(room.len()).min(READ);
        let read = input.read(&mut room[..want])?;
        if read == 0 || read as u64 > left {
            return Err(input.changed());
        }
        at_end = read < want;
        if let Some(hasher) = &mut hasher {
            hasher.update(&room[..read]);
        }
        sink.filled(read);
        left -= read as u64;
        if left > 0 {
            check()?;
        }
    }
    if !at_end && input.read(&mut [0])? > 0 {
        return Err(input.changed());
    }
    Ok(())
}
