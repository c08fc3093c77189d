//! From planned entries to archive bytes.
//!
//! A layer is a head (its directories), a segment for each package, and a tail (the end of the
//! archive). Each part begins a new member, so a segment's bytes depend on its own package alone.

use super::plan::{self, Directory, Entry, PackagePlan};
use super::spec::Attributes;
use super::tar::{self, Header, Kind};
use super::wheel::{Stream, Wheels};
use super::{CancelCheck, paths};
use crate::digest::{ContentHasher, Digest, Function};
use crate::error::{Error, Fault, Result};
use crate::fs::{Input, Opener};

/// The most bytes read from a file at once: they are hashed while the cache still holds them.
const READ: usize = 256 << 10;

/// Takes in an archive's bytes, in order.
pub trait Sink {
    /// Room for the next bytes, at least one.
    fn room(&mut self) -> Result<&mut [u8]>;

    /// Says that the first `length` bytes of the room are filled.
    fn filled(&mut self, length: usize);

    /// Takes in a file of `size` bytes that may have this deflate stream; `read` puts its next bytes
    /// to the start of a buffer, and gives none at its end. False if the stream turned out to be
    /// another one: then nothing was taken in, and the file has to be read again.
    fn take(
        &mut self,
        stream: Stream,
        size: u64,
        read: &mut dyn FnMut(&mut [u8]) -> Result<usize>,
    ) -> Result<bool>;

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
    for &Directory { ref path, mode, is_own } in directories {
        let (owner, group) = if is_own { (attributes.owner, attributes.group) } else { (0, 0) };
        let kind = Kind::Directory;
        Header { path, kind, mode, owner, group, mtime: attributes.mtime }.write_to(&mut bytes);
    }
    bytes
}

/// Writes a package's segment; gives the digests of its files' contents, in order, if a function
/// for them is given.
pub fn write_package(
    package: &PackagePlan,
    wheels: &Wheels,
    attributes: Attributes,
    sink: &mut impl Sink,
    check: CancelCheck<'_>,
    hash: Option<Function>,
) -> Result<Vec<Digest>> {
    let mut bytes = Vec::new();
    let mut digests = Vec::new();
    let mut opener = Opener::default();
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
            plan::Kind::Stored(_) => {
                return Err(Error::new(Fault::Internal, "a finished segment is built again"));
            }
            plan::Kind::File(content) => {
                let mut open = || {
                    let input = content.open_by(&mut opener, content.path(&entry.dest));
                    Reading::start(input, hash, check)
                };
                let mut file = open().map_err(|error| located(error, entry))?;
                let size = file.input.size();
                write_header(Kind::File { size }, sink)?;
                let stream = wheels.stream(entry.path_in_tree(), size);
                let taken = match stream {
                    Some(stream) => sink.take(stream, size, &mut |room| file.read(room))?,
                    None => false,
                };
                if !taken {
                    if file.left < size {
                        file = open()?.of_size(size)?;
                    }
                    while file.left > 0 {
                        let read = file.read(sink.room()?)?;
                        sink.filled(read);
                    }
                }
                digests.extend(file.digest());
                sink.write(&[0; tar::BLOCK][..tar::padding(size)])?;
            }
        }
    }
    sink.end_segment()?;
    Ok(digests)
}

/// The length of a package's segment, uncompressed, in bytes.
pub fn length(package: &PackagePlan, attributes: Attributes) -> u64 {
    let lengths = package.entries.iter().map(|entry| {
        let (header, size) = planned(entry, attributes);
        header.length() + size + tar::padding(size) as u64
    });
    lengths.sum()
}

/// Appends the header blocks of an entry as it was planned; gives the length of its content, in
/// bytes.
pub fn write_header(entry: &Entry, attributes: Attributes, bytes: &mut Vec<u8>) -> u64 {
    let (header, size) = planned(entry, attributes);
    header.write_to(bytes);
    size
}

/// An entry's header as it was planned, and the length of its content.
fn planned(entry: &Entry, attributes: Attributes) -> (Header<'_>, u64) {
    let (kind, size) = match &entry.kind {
        plan::Kind::Empty => (Kind::File { size: 0 }, 0),
        &plan::Kind::Stored(size) => (Kind::File { size }, size),
        plan::Kind::Symlink(target) => (Kind::Symlink { target }, 0),
        plan::Kind::File(content) => (Kind::File { size: content.size() }, content.size()),
    };
    (header(entry, kind, attributes), size)
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

/// A file that is being read, of exactly as many bytes as it had when it was opened; fewer or more
/// are an error, for the header with the size is written by then.
struct Reading<'a> {
    input: Input,
    left: u64,
    hasher: Option<ContentHasher>,
    check: CancelCheck<'a>,
}

impl<'a> Reading<'a> {
    fn start(input: Result<Input>, hash: Option<Function>, check: CancelCheck<'a>) -> Result<Self> {
        let input = input?;
        let mut file =
            Self { left: input.size(), input, hasher: hash.map(ContentHasher::new), check };
        if file.left == 0 {
            file.expect_end()?;
        }
        Ok(file)
    }

    /// The same file, which is not expected to have changed.
    fn of_size(self, size: u64) -> Result<Self> {
        if self.input.size() == size { Ok(self) } else { Err(self.input.changed()) }
    }

    /// Reads some bytes to the start of `room`, which is not empty; none at the file's end.
    fn read(&mut self, room: &mut [u8]) -> Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        // One byte more than there should be shows in the same call that the file has ended.
        let want = usize::try_from(self.left + 1).unwrap_or(usize::MAX).min(room.len()).min(READ);
        let read = self.input.read(&mut room[..want])?;
        if read == 0 || read as u64 > self.left {
            return Err(self.input.changed());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&room[..read]);
        }
        self.left -= read as u64;
        if self.left > 0 {
            (self.check)()?;
        } else if read == want {
            self.expect_end()?;
        }
        Ok(read)
    }

    fn expect_end(&mut self) -> Result<()> {
        if self.input.read(&mut [0])? > 0 { Err(self.input.changed()) } else { Ok(()) }
    }

    fn digest(self) -> Option<Digest> {
        self.hasher.map(ContentHasher::finish)
    }
}
