//! A file that holds one package's finished segment and an index of it: what `pylayer segment`
//! writes, and what `--segment` puts into a layer.
//!
//! ```text
//! members │ index │ seal, 32 bytes │ length of the index, u64 │ version, u32 │ magic, 12 bytes
//! ```
//!
//! Numbers are little-endian. The members are those of a layer, byte for byte. The index is a
//! protobuf message (`index.rs`). The seal is the BLAKE3 hash of the version and the index, and the
//! index has the BLAKE3 hash of the members: so the seal stands for the whole file. The index is
//! read without the members; they are checked as they are copied.

mod headers;
mod index;

use std::path::Path;

pub use headers::HeaderCheck;
use index::Index;

use crate::error::{Error, Result};
use crate::fs::{Input, Stamp};
use crate::layer::plan::{PackagePlan, SegmentRef};
use crate::layer::spec::{Common, SourcePath};

/// The version of the file's form. It changes with it.
const VERSION: u32 = 1;

/// What a segment file ends with.
const MAGIC: [u8; 12] = *b"pylayer-segm";

/// The length of what follows the index, in bytes.
const FOOTER: usize = 32 + 8 + 4 + MAGIC.len();

/// The longest index that is read, in bytes: more than a million entries.
const LONGEST: u64 = 256 << 20;

/// What the members of a segment are, apart from their bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Members {
    /// The BLAKE3 hash of all of them, compressed.
    pub hash: [u8; 32],
    /// The length of each, in order: compressed and uncompressed, in bytes.
    pub lengths: Vec<(u32, u32)>,
}

impl Members {
    /// No members.
    pub fn none() -> Self {
        Self { hash: *blake3::hash(&[]).as_bytes(), lengths: Vec::new() }
    }
}

/// A segment file of which the index has been read.
#[derive(Debug)]
pub struct SegmentFile {
    path: SourcePath,
    stamp: Stamp,
    name: String,
    seal: [u8; 32],
    members: Members,
}

/// The bytes that follow the members in the file of a segment.
pub fn trailer(package: &PackagePlan, common: Common, members: &Members) -> Vec<u8> {
    let mut bytes = Index::new(package, common, members).encode();
    let (seal, length) = (seal(VERSION, &bytes), bytes.len() as u64);
    bytes.extend_from_slice(&seal);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&MAGIC);
    bytes
}

fn seal(version: u32, index: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(&version.to_le_bytes()).update(index).finalize().as_bytes()
}

/// Reads the indexes of files whose segments go into a layer. Files with the same index count once.
/// The packages come in the order of their names.
pub fn open_all(
    paths: &[SourcePath],
    common: Common,
) -> Result<(Vec<SegmentFile>, Vec<PackagePlan>)> {
    let opened = paths.iter().map(|path| open(path, common));
    let mut opened = opened.collect::<Result<Vec<_>>>()?;
    opened.sort_by(|(a, one), (b, other)| (&one.name, a.seal).cmp(&(&other.name, b.seal)));
    opened.dedup_by(|(a, _), (b, _)| a.seal == b.seal);
    let numbered = opened.into_iter().enumerate().map(|(index, (file, mut package))| {
        let path = file.path.typed().to_owned();
        package.segment = Some(SegmentRef { index, file: path });
        (file, package)
    });
    Ok(numbered.unzip())
}

/// Reads the index of the file of a segment that goes into a layer with `common`.
fn open(path: &SourcePath, common: Common) -> Result<(SegmentFile, PackagePlan)> {
    let (index, file, package) = read(path)?;
    match index.difference(common) {
        Some((own, layers)) => {
            let name = &file.name;
            let what = format!("the segment of package `{name}` has {own}, the layer {layers}:");
            let hint = "make both with the same flags, by the same version of pylayer";
            Err(Error::input(what).at(path.typed()).hint(hint))
        }
        None => Ok((file, package)),
    }
}

/// What a segment file holds, of whatever layers it is a part.
pub fn contents(path: &SourcePath) -> Result<PackagePlan> {
    let (_, _, package) = read(path)?;
    Ok(package)
}

/// The package's name and the length of the members, if a file is a segment's.
pub fn glance(input: &Input) -> Result<Option<(String, u64)>> {
    let mut end = MAGIC;
    let Some(offset) = input.size().checked_sub(FOOTER as u64) else { return Ok(None) };
    read_exact_at(input, &mut end, offset + (FOOTER - MAGIC.len()) as u64)?;
    if end != MAGIC {
        return Ok(None);
    }
    let (index, _, length) = read_index(input, input.path())?;
    Ok(Some((index.name(), length)))
}

fn read(path: &SourcePath) -> Result<(Index, SegmentFile, PackagePlan)> {
    let input = Input::open(path.full())?;
    let stamp = input.stamp();
    let (index, seal, rest) = read_index(&input, path.typed())?;
    let name = index.name();
    let Some((package, members)) = index.package(rest) else {
        let what = format!("the index of package `{name}` is not true of its segment:");
        return Err(Error::input(what)
            .at(path.typed())
            .hint("make it anew with `pylayer segment`"));
    };
    Ok((index, SegmentFile { path: path.clone(), stamp, name, seal, members }, package))
}

/// The file's index, its seal, and the length of the members before it.
fn read_index(input: &Input, path: &Path) -> Result<(Index, [u8; 32], u64)> {
    let fail = |what: &str, hint: &str| Error::input(format!("{what}:")).at(path).hint(hint);
    let no_segment =
        || fail("not a segment file, or a truncated one", "make it with `pylayer segment`");
    let damaged = || fail("a damaged segment", "make it anew with `pylayer segment`");
    let size = input.size();
    let end = size.checked_sub(FOOTER as u64).ok_or_else(no_segment)?;
    let mut footer = [0; FOOTER];
    read_exact_at(input, &mut footer, end)?;
    let (found, footer) = footer.split_first_chunk::<32>().ok_or_else(no_segment)?;
    let (length, footer) = footer.split_first_chunk().ok_or_else(no_segment)?;
    let (version, magic) = footer.split_first_chunk().ok_or_else(no_segment)?;
    if *magic != MAGIC {
        return Err(no_segment());
    }
    let (length, version) = (u64::from_le_bytes(*length), u32::from_le_bytes(*version));
    if version != VERSION {
        let what = format!("a segment of version {version}, where {VERSION} is known");
        return Err(fail(&what, "make all segments of a layer with one version of pylayer"));
    }
    let start = end.checked_sub(length).filter(|_| length <= LONGEST).ok_or_else(damaged)?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| damaged())?];
    read_exact_at(input, &mut bytes, start)?;
    if seal(version, &bytes) != *found {
        return Err(damaged());
    }
    let index = Index::decode(&bytes).ok_or_else(damaged)?;
    Ok((index, *found, start))
}

fn read_exact_at(input: &Input, buffer: &mut [u8], mut offset: u64) -> Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read_at(&mut buffer[filled..], offset)? {
            0 => return Err(input.changed()),
            read => {
                filled += read;
                offset += read as u64;
            }
        }
    }
    Ok(())
}

impl SegmentFile {
    /// What stands for the file's content, wherever it is.
    pub fn seal(&self) -> &[u8; 32] {
        &self.seal
    }

    /// Which file it is, in which state.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Opens the members; they are hashed unless they are known to be `intact`.
    pub fn members(&self, intact: bool) -> Result<Reader> {
        let input = Input::reopen(self.path.full(), &self.stamp)?;
        let left = self.members.lengths.iter().map(|&(length, _)| u64::from(length)).sum();
        let hash = (!intact).then(blake3::Hasher::new);
        Ok(Reader { input, left, members: self.members.clone(), hash })
    }

    /// The error for members that are not what the index says.
    pub fn damaged(&self) -> Error {
        let what = format!("the segment of package `{}` is damaged:", self.name);
        Error::input(what).at(self.path.typed()).hint("make it anew with `pylayer segment`")
    }
}

/// The members of a segment file, to be read once.
#[derive(Debug)]
pub struct Reader {
    input: Input,
    left: u64,
    members: Members,
    hash: Option<blake3::Hasher>,
}

impl Reader {
    /// The length of each member.
    pub fn lengths(&self) -> &[(u32, u32)] {
        &self.members.lengths
    }

    /// Reads the next bytes; gives how many, none at the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.input.read(&mut buffer[..most])?;
        if let Some(hash) = &mut self.hash {
            hash.update(&buffer[..read]);
        }
        self.left -= read as u64;
        Ok(read)
    }

    /// The file and how many bytes of it are left, if nobody has to look at them.
    pub fn unseen(&mut self) -> Option<(&mut Input, &mut u64)> {
        if self.hash.is_some() { None } else { Some((&mut self.input, &mut self.left)) }
    }

    /// Whether all was read and is what the index says.
    pub fn finish(self) -> bool {
        let is_hash = |hash: blake3::Hasher| *hash.finalize().as_bytes() == self.members.hash;
        self.left == 0 && self.hash.is_none_or(is_hash)
    }
}
