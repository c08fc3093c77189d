//! The cache of segments: a package is compressed once.
//!
//! Knows bytes and keys, never an archive. A segment's bytes are a function of its key, so an
//! entry is never wrong, only missing; whatever goes wrong with the cache is a miss.
//!
//! On disk, where any number of processes share it:
//!
//! ```text
//! CACHEDIR.TAG
//! v2/                     one folder for each FORMAT
//!   blobs/ab/abcd…        compressed segments, named by their BLAKE3 hash
//!   segments/12/1234…     by key: the blob's hash and its members' lengths, sealed
//!   checkpoints/56/5678…  by key: where a layer's hashes stood after a segment, sealed
//!   locks/1234…           held by whoever builds the segment of this key
//!   hits, misses          counted, eight bytes each
//! ```
//!
//! A blob is written before the entry that names it. Every file appears whole, by a link or a
//! rename, and is checked against its name or seal when a process first reads it, and again once the
//! file is another or some time has passed: so nothing has to be synced, and a crash of the machine,
//! too, costs no more than what was last written.

mod entry;
mod flight;
pub mod gc;
mod key;
mod memory;
mod recording;
mod source;
mod store;
mod verified;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use entry::SegmentIndex;
use flight::Flights;
pub use flight::{Flight, Start, Waiting};
pub use key::{FORMAT, Key, KeyBuilder};
use memory::Memory;
pub use recording::{Mark, Recording};
use source::Source;
use store::{Kind, Store};
pub use verified::Verified;

use crate::cancel::Waiter;
use crate::error::Result;

/// The bytes of segments that are kept in memory.
const SEGMENTS: usize = 24 << 20;

/// The bytes of checkpoints that are kept in memory.
const CHECKPOINTS: usize = 2 << 20;

/// A segment up to this many bytes is read whole and kept in memory.
const SMALL: u64 = 2 << 20;

/// The cache of a process.
#[derive(Debug)]
pub struct Cache {
    segments: Memory<(SegmentIndex, Vec<u8>)>,
    checkpoints: Memory<Vec<u8>>,
    store: Option<Store>,
    flights: Flights,
    /// Segment files that were found intact.
    files: Verified,
    /// Look-ups that are not written down yet.
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a look-up came to.
#[derive(Debug)]
pub enum Lookup {
    /// The segment.
    Hit(Segment),
    /// Nothing, and why.
    Miss(MissReason),
}

/// Why there was no segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MissReason {
    /// Nobody has stored it, or it was collected.
    Unknown,
    /// It was damaged and has been removed.
    Damaged,
}

/// A segment in the cache, to be read once.
#[derive(Debug)]
pub struct Segment {
    bytes: Bytes,
    in_memory: bool,
}

#[derive(Debug)]
enum Bytes {
    /// Those from an index on are still to be read.
    Memory(Arc<(SegmentIndex, Vec<u8>)>, usize),
    Disk(Box<(SegmentIndex, Source)>),
}

impl Segment {
    /// Whether the segment was in memory already.
    pub fn in_memory(&self) -> bool {
        self.in_memory
    }

    /// What the index knows about the segment.
    pub fn index(&self) -> &SegmentIndex {
        match &self.bytes {
            Bytes::Memory(kept, _) => &kept.0,
            Bytes::Disk(found) => &found.0,
        }
    }

    /// All bytes that are still to be read, if they are in memory and known to be intact.
    pub fn whole(&self) -> Option<&[u8]> {
        match &self.bytes {
            Bytes::Memory(kept, at) => kept.1.get(*at..),
            Bytes::Disk(_) => None,
        }
    }

    /// Reads the next bytes; gives how many: none at the end, or where they cannot be read.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        match &mut self.bytes {
            Bytes::Memory(kept, at) => {
                let left = &kept.1[*at..];
                let read = left.len().min(buffer.len());
                buffer[..read].copy_from_slice(&left[..read]);
                *at += read;
                read
            }
            Bytes::Disk(found) => found.1.read(buffer),
        }
    }

    /// Whether all was read and is as it was stored. If not, what was read is worthless.
    pub fn finish(self) -> bool {
        match self.bytes {
            Bytes::Memory(kept, at) => at == kept.1.len(),
            Bytes::Disk(found) => found.1.finish(),
        }
    }
}

impl Cache {
    /// A cache in memory alone.
    pub fn in_memory() -> Self {
        Self {
            segments: Memory::new(SEGMENTS),
            checkpoints: Memory::new(CHECKPOINTS),
            store: None,
            flights: Flights::default(),
            files: Verified::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// A cache in `directory`, which is made if need be, of at most about `limit` bytes.
    ///
    /// Fails for a directory that others may write to: they could put anything into layers.
    pub fn on_disk(directory: &Path, limit: u64) -> Result<Self> {
        Ok(Self { store: Some(Store::open(directory, limit)?), ..Self::in_memory() })
    }

    /// Looks a segment up.
    pub fn segment(&self, key: &Key) -> Lookup {
        if let Some(kept) = self.segments.get(key) {
            if let Some(store) = &self.store {
                store.touch(key);
            }
            return Lookup::Hit(Segment { bytes: Bytes::Memory(kept, 0), in_memory: true });
        }
        let Some(store) = &self.store else {
            return Lookup::Miss(MissReason::Unknown);
        };
        match store.segment(key) {
            Err(why) => Lookup::Miss(why),
            Ok((index, source)) if index.size() <= SMALL => self.keep(key, index, source),
            Ok(found) => {
                Lookup::Hit(Segment { bytes: Bytes::Disk(Box::new(found)), in_memory: false })
            }
        }
    }

    /// Reads a small segment into memory.
    fn keep(&self, key: &Key, index: SegmentIndex, mut source: Source) -> Lookup {
        let mut bytes = vec![0; usize::try_from(index.size()).unwrap_or_default()];
        let mut filled = 0;
        loop {
            match source.read(&mut bytes[filled..]) {
                0 => break,
                read => filled += read,
            }
        }
        if !source.finish() {
            self.remove(key);
            return Lookup::Miss(MissReason::Damaged);
        }
        let size = bytes.len();
        let bytes = Bytes::Memory(self.segments.put(*key, (index, bytes), size), 0);
        Lookup::Hit(Segment { bytes, in_memory: false })
    }

    /// Forgets a segment whose bytes turned out to be damaged.
    pub fn remove(&self, key: &Key) {
        self.segments.remove(key);
        if let Some(store) = &self.store {
            store.remove(key);
        }
    }

    /// Starts to record a segment that is being built. Recording never fails: a segment that
    /// cannot be stored is not stored.
    pub fn record(&self) -> Recording {
        let file = self.store.as_ref().and_then(Store::blob);
        Recording::new(file)
    }

    /// Stores a recorded segment; gives what is known about it.
    pub fn store(&self, key: &Key, recording: Recording) -> SegmentIndex {
        let index = recording.index();
        let (file, kept) = recording.finish();
        if let (Some(store), Some(file)) = (&self.store, file) {
            store.put(key, &index, file);
        }
        if let Some(bytes) = kept {
            let size = bytes.len();
            self.segments.put(*key, (index.clone(), bytes), size);
        }
        index
    }

    /// Where a layer's hashes stood, if it is known.
    pub fn checkpoint(&self, key: &Key) -> Option<Arc<Vec<u8>>> {
        if let Some(checkpoint) = self.checkpoints.get(key) {
            return Some(checkpoint);
        }
        let checkpoint = self.store.as_ref()?.checkpoint(key)?;
        self.checkpoints.put(*key, checkpoint.clone(), checkpoint.len());
        Some(Arc::new(checkpoint))
    }

    /// Stores where a layer's hashes stand.
    pub fn put_checkpoint(&self, key: &Key, checkpoint: Vec<u8>) {
        if let Some(store) = &self.store {
            store.put_checkpoint(key, &checkpoint);
        }
        let size = checkpoint.len();
        self.checkpoints.put(*key, checkpoint, size);
    }

    /// Segment files that were found intact, by their seals.
    pub fn files(&self) -> &Verified {
        &self.files
    }

    /// Starts to build a segment, unless somebody else does.
    pub fn start(&self, key: &Key, cancel: &Waiter) -> Start {
        self.flights.start(*key, cancel, self.store.as_ref().map(|store| store.lock_file(key)))
    }

    /// Counts look-ups, for `pylayer cache stat`; [`tidy`](Self::tidy) writes them down.
    pub fn count(&self, hits: u64, misses: u64) {
        self.hits.fetch_add(hits, Ordering::Relaxed);
        self.misses.fetch_add(misses, Ordering::Relaxed);
    }

    /// Writes the counts down, and collects what is over the limit, if so much was stored that it
    /// may be. Delays no request where it is called in the background.
    pub fn tidy(&self) {
        let counts = [&self.hits, &self.misses].map(|count| count.swap(0, Ordering::Relaxed));
        if let Some(store) = &self.store {
            store.count(counts);
            store.tidy();
        }
    }
}
