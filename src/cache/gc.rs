//! Looking after a cache folder: collecting, checking, counting, clearing.
//!
//! All of it works beside processes that use the cache: an entry goes before its blob, and a blob
//! that is being read stays readable until it is closed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Key;
use super::entry::{self, SegmentIndex};
use super::store::{self, Kind, place, read_entry, version_folder};
use crate::digest::hex;
use crate::error::{Error, Fault, Result};
use crate::fs::{self, Input, directory};

/// A blob without an entry may be somebody's who is about to write the entry, until it is this old.
const STRAY: Duration = Duration::from_secs(3600);

/// What a cache folder holds, and how useful it has been.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Stat {
    /// The number of segments.
    pub segments: u64,
    /// The bytes of all files.
    pub bytes: u64,
    /// How often a segment was found, by all processes ever.
    pub hits: u64,
    /// How often one was not.
    pub misses: u64,
}

/// What `verify` found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Verified {
    /// Entries that are as they should be.
    pub intact: u64,
    /// Entries that were not, and have been removed.
    pub damaged: u64,
}

/// One thing that can be collected: an entry with what belongs to it.
struct Item {
    used: SystemTime,
    bytes: u64,
    /// In the order of removal.
    paths: Vec<PathBuf>,
}

/// A folder that a person asks about.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The cache in `directory`, which must be there.
    pub fn open(directory: &Path) -> Result<Self> {
        match fs::kind_followed(directory) {
            Some(fs::Kind::Directory) => {
                let directory = fs::canonical(directory).unwrap_or_else(|| directory.to_owned());
                store::check(&directory)?;
                Ok(Self { root: version_folder(&directory) })
            }
            _ => Err(Error::input("there is no cache directory")
                .at(directory)
                .hint("`pylayer layer --cache-dir=DIR` makes one, as does a worker")),
        }
    }

    /// What the folder holds.
    pub fn stat(&self) -> Stat {
        let segments = files(&self.root, Kind::Segment);
        let others = [Kind::Blob, Kind::Checkpoint].map(|kind| files(&self.root, kind));
        let bytes = segments.iter().chain(others.iter().flatten()).map(|(_, file)| file.size).sum();
        let [hits, misses] = ["hits", "misses"].map(|name| counter(&self.root.join(name)));
        Stat { segments: segments.len() as u64, bytes, hits, misses }
    }

    /// Checks every entry and every blob, and removes what is damaged.
    pub fn verify(&self) -> Verified {
        let mut verified = Verified::default();
        let mut found = |intact: bool| {
            verified.intact += u64::from(intact);
            verified.damaged += u64::from(!intact);
        };
        for (path, _) in files(&self.root, Kind::Blob) {
            let intact = is_intact_blob(&path);
            if !intact {
                fs::remove(&path);
            }
            found(intact);
        }
        for (path, _) in files(&self.root, Kind::Segment) {
            let blob =
                index(&path).map(|index| (place(&self.root, Kind::Blob, &hex(&index.blob)), index));
            let intact = blob.is_some_and(|(blob, index)| {
                Input::open(&blob).is_ok_and(|input| input.size() == index.size())
            });
            if !intact {
                fs::remove(&path);
            }
            found(intact);
        }
        for (path, _) in files(&self.root, Kind::Checkpoint) {
            let intact = key(&path).zip(read_entry(&path, Kind::Checkpoint));
            let intact = intact
                .is_some_and(|(key, bytes)| entry::open(Kind::Checkpoint, &key, &bytes).is_some());
            if !intact {
                fs::remove(&path);
            }
            found(intact);
        }
        verified
    }

    /// Removes what is over `limit` bytes, the least recently used first; gives the bytes freed.
    pub fn collect(&self, limit: u64) -> u64 {
        collect(&self.root, limit, 0)
    }

    /// Removes everything but what other versions of pylayer have in the folder.
    pub fn clear(&self) -> Result<()> {
        directory::remove_all(&self.root).map_err(|source| {
            Error::new(Fault::Environment, "cannot clear the cache in")
                .at(&*self.root)
                .because(source)
        })
    }
}

fn key(path: &Path) -> Option<Key> {
    Key::from_hex(path.file_name()?)
}

/// What the entry of a segment says; none if it is damaged.
fn index(path: &Path) -> Option<SegmentIndex> {
    SegmentIndex::decode(&key(path)?, &read_entry(path, Kind::Segment)?)
}

/// All files of one kind, with their paths.
fn files(root: &Path, kind: Kind) -> Vec<(PathBuf, directory::Listed)> {
    let folder = root.join(kind.folder());
    let shards = (0..=u8::MAX).map(|first| folder.join(format!("{first:02x}")));
    let listed = shards.flat_map(|shard| {
        let files = directory::list(&shard);
        files.into_iter().map(move |file| (shard.join(&file.name), file))
    });
    listed.collect()
}

fn is_intact_blob(path: &Path) -> bool {
    let hash = || {
        let mut input = Input::open(path).ok()?;
        let mut hash = blake3::Hasher::new();
        let mut piece = vec![0; 1 << 20];
        loop {
            match input.read(&mut piece).ok()? {
                0 => return Some(hex(hash.finalize().as_bytes())),
                read => _ = hash.update(&piece[..read]),
            }
        }
    };
    path.file_name().is_some_and(|name| hash().is_some_and(|hash| name == &*hash))
}

/// Makes room for so many more bytes: removes what is over the limit then, down to nine tenths of
/// it, so that it does not have to be done for every segment; gives the bytes freed. Several
/// processes may do so at a time: they remove the same.
#[expect(clippy::disallowed_methods, reason = "the time decides what is collected, no byte")]
fn collect(root: &Path, limit: u64, more: u64) -> u64 {
    let now = SystemTime::now();
    let mut blobs: BTreeMap<PathBuf, directory::Listed> =
        files(root, Kind::Blob).into_iter().collect();
    let mut items = Vec::new();
    for (path, file) in files(root, Kind::Segment) {
        let blob = index(&path).map(|index| place(root, Kind::Blob, &hex(&index.blob)));
        // Of two entries with one blob, the first takes it along; the other becomes a miss.
        let size = blob.as_ref().and_then(|blob| blobs.remove(blob)).map_or(0, |blob| blob.size);
        let paths = std::iter::once(path).chain(blob).collect();
        items.push(Item { used: file.used, bytes: file.size + size, paths });
    }
    for (path, file) in files(root, Kind::Checkpoint) {
        items.push(Item { used: file.used, bytes: file.size, paths: vec![path] });
    }
    // Where files cannot be nameless, a killed process leaves what it was writing.
    let unfinished = directory::list(&root.join(Kind::Blob.folder()));
    let unfinished =
        unfinished.into_iter().map(|file| (root.join(Kind::Blob.folder()).join(&file.name), file));
    for (path, file) in blobs.into_iter().chain(unfinished) {
        // A clock that went back makes a file look younger than it is, never older.
        if now.duration_since(file.used).is_ok_and(|age| age > STRAY) {
            fs::remove(&path);
        } else {
            items.push(Item { used: file.used, bytes: file.size, paths: vec![path] });
        }
    }

    let mut total: u64 = items.iter().map(|item| item.bytes).sum();
    if total.saturating_add(more) <= limit {
        return 0;
    }
    items.sort_by(|a, b| (a.used, &a.paths).cmp(&(b.used, &b.paths)));
    let before = total;
    for item in items {
        if total <= (limit / 10 * 9).saturating_sub(more) {
            break;
        }
        for path in &item.paths {
            fs::remove(path);
        }
        total -= item.bytes;
    }
    before - total
}

/// The right to publish what was counted, until dropped. Nobody else publishes or collects
/// meanwhile, so whoever collects next sees all that was counted.
#[derive(Debug)]
pub(super) struct Room(#[expect(dead_code, reason = "holds the lock")] Option<fs::File>);

/// How long is waited for another one's room, in milliseconds, before it is looked at again. That
/// is long enough for a collection; a process that is stopped must hold up no others.
const PAUSES: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

impl Room {
    /// Waits for the room, unless `impatient`; none where another process keeps it. Without locks,
    /// as on some network file systems, or in a folder that cannot be written to, it is for all.
    fn take(path: &Path, impatient: bool) -> Option<Self> {
        let pauses = if impatient { &[][..] } else { &PAUSES };
        for pause in pauses.iter().map(Some).chain([None]) {
            match directory::try_lock_file(path) {
                Ok(Some(file)) => return Some(Self(Some(file))),
                Err(_) => return Some(Self(None)),
                Ok(None) => {}
            }
            if let Some(pause) = pause {
                thread::sleep(Duration::from_millis(*pause));
            }
        }
        None
    }
}

/// Adds what is about to be stored, in bytes, to what all processes have stored since the last
/// collection, and collects if that is a good part of the limit, or the limit is another one than
/// then. None where another process keeps the room.
///
/// The sum is the length of a file, which has the limit at its start and then a byte for each block.
/// So no process loses what another one adds.
pub(super) fn make_room(root: &Path, limit: u64, stored: u64, impatient: bool) -> Option<Room> {
    let path = root.join("collected");
    let known = || {
        let mut file = Input::open(&path).ok()?;
        let mut start = [0; 8];
        file.read_exact(&mut start).ok()?;
        let blocks = file.size() - start.len() as u64;
        (u64::from_le_bytes(start) == limit).then_some(blocks * store::BLOCK)
    };
    if stored == 0 && known().is_some() {
        return Some(Room(None));
    }
    let taken = Room::take(&path, impatient)?;
    let good_part = limit / 20;
    let blocks = stored.min(good_part).div_ceil(store::BLOCK);
    let blocks = vec![0; usize::try_from(blocks).unwrap_or(0)];
    match known().map(|sum| sum.saturating_add(stored)) {
        Some(sum) if sum < good_part => drop(directory::append(&path, &blocks)),
        _ => {
            directory::overwrite(&path, &[&limit.to_le_bytes()[..], &blocks].concat());
            // A good part comes before the next collection.
            collect(root, limit - good_part, stored);
        }
    }
    Some(taken)
}

/// Adds to the counters, unless another process does, which holds the first one's file locked. They
/// are for people: a count that is lost is no loss.
pub(super) fn count(root: &Path, counts: [(&str, u64); 2]) {
    if counts.iter().all(|(_, more)| *more == 0) {
        return;
    }
    let Ok(Some(_lock)) = directory::try_lock_file(&root.join("hits")) else {
        return;
    };
    for (name, more) in counts {
        if more > 0 {
            let path = root.join(name);
            directory::overwrite(&path, &(counter(&path) + more).to_le_bytes());
        }
    }
}

fn counter(path: &Path) -> u64 {
    let bytes = fs::read(path, 8).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}
