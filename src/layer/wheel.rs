//! Wheels as a source of deflate streams.
//!
//! A wheel is a ZIP archive (`PyPA`, "Binary distribution format"): nearly every file lies in it as
//! a raw deflate stream, which is what a gzip member holds. A stream that inflates to a file's
//! bytes need not be made again. What the archive says about itself is never believed: it only
//! helps to find a stream, which is then compared with the file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rawzip::{
    CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder,
    ZipLocator,
};

use super::CancelCheck;
use super::filter::from_package_root;
use crate::error::{Error, Result};
use crate::fs::Input;

/// The least bytes of a file for which a stream is taken. A member of its own costs about a
/// kilobyte, for it cannot refer to what comes before; below this that weighs more than the time
/// it spares (`docs/explanation/performance.md` has the table).
pub const LEAST: u64 = 16 << 10;

/// The wheels of a package.
#[derive(Debug, Default)]
pub struct Wheels(Vec<Wheel>);

/// A wheel and where its streams are.
#[derive(Debug)]
struct Wheel {
    file: Arc<Input>,
    archive: Option<Arc<Archive>>,
    failure: Failure,
    /// Whether it has a file of the package's.
    serves: AtomicBool,
    /// By installed path; none where the archive has two of that name, or what no member is made
    /// of.
    streams: BTreeMap<Box<[u8]>, Option<ZipArchiveEntryWayfinder>>,
}

struct Archive(ZipArchive<At>);

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Archive")
    }
}

/// The wheel's file, as the archive's reader wants it.
struct At(Arc<Input>, Failure);

/// What reading the wheel failed with: an archive that cannot be read is not a malformed one.
type Failure = Arc<OnceLock<Error>>;

impl ReaderAt for At {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset).map_err(|error| {
            let text = error.to_string();
            // The first failure tells the most.
            drop(self.1.set(error));
            io::Error::other(text)
        })
    }
}

/// A deflate stream that may be a file's content.
#[derive(Clone, Debug)]
pub struct Stream {
    archive: Arc<Archive>,
    entry: ZipArchiveEntryWayfinder,
}

impl Wheels {
    /// Opens wheels. One that is malformed has no streams; one that cannot be opened is an error.
    pub fn open(paths: &[Arc<Path>], check: CancelCheck<'_>) -> Result<Self> {
        let wheels = paths.iter().map(|path| Wheel::index(Input::open(path)?, check));
        Ok(Self(wheels.collect::<Result<_>>()?))
    }

    /// Fails if a wheel could not be read, or was written to meanwhile: then what was taken from
    /// it may not be what its digest says.
    pub fn expect_unchanged(&self) -> Result<()> {
        for wheel in &self.0 {
            if let Some(error) = wheel.failure.get() {
                return Err(Error::new(error.fault(), error.to_string()));
            }
            wheel.file.expect_unchanged()?;
        }
        Ok(())
    }

    /// The wheels that had no file of the package's, each with the reason.
    pub fn useless(&self) -> impl Iterator<Item = String> {
        let useless = self.0.iter().filter(|wheel| !wheel.serves.load(Ordering::Relaxed));
        useless.map(|wheel| {
            let why = match wheel.archive {
                None => "it is not a ZIP archive, or is truncated",
                Some(_) => "it has no file of the package",
            };
            format!("`{}`: {why}", wheel.file.path().display())
        })
    }

    /// The wheels' files, in order.
    pub fn files(&self) -> impl Iterator<Item = &Input> {
        self.0.iter().map(|wheel| &*wheel.file)
    }

    /// The stream that claims to be the file of `size` bytes that was installed at `path`, which
    /// is relative to a tree; none for a file that is better compressed with others, or so large
    /// that a member cannot tell its length. It is no longer than the file.
    pub fn stream(&self, path: &[u8], size: u64) -> Option<Stream> {
        let fits = (LEAST..=u32::MAX.into()).contains(&size);
        let path = self::path(path);
        self.0.iter().find_map(|wheel| {
            if !fits && wheel.serves.load(Ordering::Relaxed) {
                return None;
            }
            let entry = *wheel.streams.get(path)?;
            wheel.serves.store(true, Ordering::Relaxed);
            let entry = entry.filter(|_| fits)?;
            let archive = wheel.archive.clone()?;
            let fits =
                entry.uncompressed_size_hint() == size && entry.compressed_size_hint() <= size;
            fits.then_some(Stream { archive, entry })
        })
    }
}

impl Wheel {
    fn index(file: Input, check: CancelCheck<'_>) -> Result<Self> {
        let (file, failure) = (Arc::new(file), Failure::default());
        let at = At(file.clone(), failure.clone());
        let serves = AtomicBool::new(false);
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let end = file.size();
        let located = ZipLocator::new().locate_in_reader(at, &mut buffer, end);
        let Ok(archive) = located else {
            return Ok(Self { file, archive: None, failure, serves, streams: BTreeMap::new() });
        };
        let mut streams = BTreeMap::new();
        let mut entries = archive.entries(&mut buffer);
        // Of a damaged directory, what comes before the damage serves as well.
        while let Ok(Some(record)) = entries.next_entry() {
            check()?;
            let usable = record.compression_method() == CompressionMethod::DEFLATE
                && !record.flags().is_encrypted()
                && record.uncompressed_size_hint() >= LEAST;
            let path = installed(record.file_path().as_ref()).into_boxed_slice();
            match streams.entry(path) {
                Entry::Vacant(place) => _ = place.insert(usable.then(|| record.wayfinder())),
                Entry::Occupied(mut place) => _ = place.insert(None),
            }
        }
        Ok(Self { file, archive: Some(Arc::new(Archive(archive))), failure, serves, streams })
    }
}

/// The path by which a wheel knows a file that is at `path` in a tree.
pub fn path(path: &[u8]) -> &[u8] {
    from_package_root(path)
}

/// Where an installer puts a wheel's file, from `site-packages` or the installation's root.
fn installed(name: &[u8]) -> Vec<u8> {
    let mut parts = name.splitn(3, |&byte| byte == b'/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(top), Some(scheme), Some(rest)) if top.ends_with(b".data") => match scheme {
            b"purelib" | b"platlib" | b"data" => rest.to_vec(),
            b"scripts" => [b"bin/", rest].concat(),
            _ => name.to_vec(),
        },
        _ => name.to_vec(),
    }
}

impl Stream {
    /// The stream's length in bytes.
    pub fn compressed(&self) -> u64 {
        self.entry.compressed_size_hint()
    }

    /// Where the stream begins in the wheel; none if the archive lies about it.
    pub fn start(&self) -> Option<u64> {
        Some(self.archive.0.get_entry(self.entry).ok()?.compressed_data_range().0)
    }

    /// Reads from the wheel; none if it ends there.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Option<()> {
        self.archive.0.get_ref().read_exact_at(buffer, offset).ok()
    }
}
