//! The cache on disk. The folder's layout is drawn in [`cache`](super).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::entry::{self, SegmentIndex};
use super::source::Source;
use super::verified::Verified;
use super::{FORMAT, Key, MissReason, gc};
use crate::digest::hex;
use crate::error::{Error, Fault, Result};
use crate::fs::{self, Input, Output, directory};

/// The file that marks a folder of ours, which backups may leave out (bford.info/cachedir).
const TAG_NAME: &str = "CACHEDIR.TAG";
const TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n\
    # This directory holds layers that pylayer can build again.\n";

/// A cache folder.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
    limit: u64,
    verified: Arc<Verified>,
    /// Bytes stored by this process that the others do not know of yet.
    stored: AtomicU64,
    /// Another process has kept the room to store anything for too long.
    is_full: AtomicBool,
    /// Held with the room.
    storing: Mutex<()>,
}

/// The kinds of files, each in a folder of its own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Blob,
    Segment,
    Checkpoint,
}

impl Kind {
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Blob => "blobs",
            Self::Segment => "segments",
            Self::Checkpoint => "checkpoints",
        }
    }

    pub(super) const fn tag(self) -> u8 {
        match self {
            Self::Blob => 1,
            Self::Segment => 2,
            Self::Checkpoint => 3,
        }
    }

    /// The most bytes of an entry of this kind that is read whole; blobs never are.
    pub(super) const fn limit(self) -> u64 {
        match self {
            Self::Blob => 0,
            Self::Segment => 64 << 20,
            Self::Checkpoint => 4 << 10,
        }
    }
}

/// The entry of this kind and key; none if there is none, or it is damaged.
pub(super) fn read_entry(path: &Path, kind: Kind) -> Option<Vec<u8>> {
    fs::read(path, kind.limit()).ok()
}

/// The folder of this version below a cache folder.
pub(super) fn version_folder(directory: &Path) -> PathBuf {
    directory.join(format!("v{FORMAT}"))
}

/// Fails unless the folder, which has no links above it, is a cache that pylayer made, and nobody
/// else can change.
pub(super) fn check(directory: &Path) -> Result<()> {
    let has_tag = || {
        let tag = fs::read(&directory.join(TAG_NAME), TAG.len() as u64);
        tag.is_ok_and(|tag| tag == TAG)
    };
    let is_untouched = fs::read_dir(directory)
        .is_ok_and(|members| members.iter().all(|member| fs::is_temporary(&member.name)));
    // In this order: the tag is the first that whoever makes the cache puts there.
    if !is_untouched && !has_tag() {
        return Err(Error::input("not a cache of pylayer's, and not empty:")
            .at(directory)
            .hint("nothing in it was touched; give an empty or a new folder as --cache-dir"));
    }
    let root = version_folder(directory);
    let kinds = [Kind::Blob, Kind::Segment, Kind::Checkpoint].map(|kind| root.join(kind.folder()));
    let own = [directory.to_owned(), root.clone(), root.join("locks")];
    for path in own.iter().chain(&kinds) {
        match directory::mistrust(path) {
            // What is not there, or damaged, costs hits alone.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            Ok(None) => {}
            Ok(Some(why)) => return Err(exposed(path, why)),
            Err(error) => return Err(Error::io("cannot use the cache directory", path, error)),
        }
    }
    match directory::exposed_parent(directory) {
        Some(parent) => Err(exposed(parent, "may be changed by others, and the cache is below it")),
        None => Ok(()),
    }
}

fn exposed(path: &Path, why: &str) -> Error {
    Error::new(Fault::Environment, format!("the cache cannot be relied on: a directory {why},"))
        .at(path)
        .hint("others could put anything into layers: give a --cache-dir of your own")
}

/// Where a file of this name lies: 256 folders keep each of them small.
pub(super) fn place(root: &Path, kind: Kind, name: &str) -> PathBuf {
    root.join(kind.folder()).join(name.get(..2).unwrap_or("00")).join(name)
}

impl Store {
    pub(super) fn open(directory: &Path, limit: u64) -> Result<Self> {
        let fail = |source: io::Error| {
            Error::new(Fault::Environment, "cannot use the cache directory")
                .at(directory)
                .because(source)
                .hint("give another --cache-dir, or --cache-dir=none")
        };
        directory::create_private(directory).map_err(fail)?;
        let directory = &fs::canonical(directory).unwrap_or_else(|| directory.to_owned());
        if directory::is_empty(directory) {
            // A cache that cannot be written to can still be read; an empty one serves for nothing.
            // Another process may do so at the same time.
            drop(Output::create(&directory.join(TAG_NAME)).map(|mut tag| {
                drop(tag.write(TAG).map(|()| tag.publish_new()));
            }));
        }
        check(directory)?;
        let root = version_folder(directory);
        let verified = Arc::default();
        Ok(Self {
            root,
            limit,
            verified,
            stored: AtomicU64::new(0),
            is_full: AtomicBool::new(false),
            storing: Mutex::default(),
        })
    }

    /// A segment's index and where its bytes are.
    pub(super) fn segment(
        &self,
        key: &Key,
    ) -> std::result::Result<(SegmentIndex, Source), MissReason> {
        let path = place(&self.root, Kind::Segment, &key.hex());
        if !fs::exists(&path) || !is_private(&path) {
            return Err(MissReason::Unknown);
        }
        let index =
            read_entry(&path, Kind::Segment).and_then(|bytes| SegmentIndex::decode(key, &bytes));
        let found = index.and_then(|index| {
            let blob = place(&self.root, Kind::Blob, &hex(&index.blob));
            let blob = Some(blob).filter(|blob| is_private(blob))?;
            let input = Input::open(&blob).ok().filter(|input| input.size() == index.size())?;
            let source = Source::new(input, &self.root, *key, &self.verified, &index);
            Some((index, source))
        });
        let Some(found) = found else {
            self.remove(key);
            return Err(MissReason::Damaged);
        };
        directory::touch(&path);
        Ok(found)
    }

    /// Says that a segment was used.
    pub(super) fn touch(&self, key: &Key) {
        directory::touch(&place(&self.root, Kind::Segment, &key.hex()));
    }

    /// Removes a segment whose entry or blob is damaged.
    pub(super) fn remove(&self, key: &Key) {
        remove(&self.root, key);
    }

    /// A file to write a blob to; none where that cannot be.
    pub(super) fn blob(&self) -> Option<Output> {
        let blobs = self.root.join(Kind::Blob.folder());
        // The name is known at the end alone; a link or rename may cross folders.
        Output::create_in(&blobs)
            .or_else(|_| {
                directory::create_private(&blobs)?;
                Output::create_in(&blobs)
            })
            .ok()
    }

    /// Stores a segment: the blob, then the entry that names it. What cannot be stored is built
    /// again.
    pub(super) fn put(&self, key: &Key, index: &SegmentIndex, blob: Output) {
        let size = index.size().next_multiple_of(BLOCK) + BLOCK;
        if size > self.limit {
            return;
        }
        // It is counted, and has its room, before it is there: a process may be killed in between.
        let stored = self.stored.fetch_add(size, Ordering::Relaxed) + size;
        let room = (stored > self.limit / 1600).then(|| self.room());
        if matches!(room, Some(None)) {
            self.stored.fetch_sub(size, Ordering::Relaxed);
            return;
        }
        let name = hex(&index.blob);
        drop(publish(blob, &place(&self.root, Kind::Blob, &name)).and_then(|()| {
            write(&place(&self.root, Kind::Segment, &key.hex()), &index.encode(key))
        }));
    }

    pub(super) fn checkpoint(&self, key: &Key) -> Option<Vec<u8>> {
        let path = place(&self.root, Kind::Checkpoint, &key.hex());
        if !fs::exists(&path) || !is_private(&path) {
            return None;
        }
        let bytes = read_entry(&path, Kind::Checkpoint).unwrap_or_default();
        let checkpoint = entry::open(Kind::Checkpoint, key, &bytes).map(<[u8]>::to_vec);
        match checkpoint {
            Some(_) => directory::touch(&path),
            None => fs::remove(&path),
        }
        checkpoint
    }

    pub(super) fn put_checkpoint(&self, key: &Key, checkpoint: &[u8]) {
        let path = place(&self.root, Kind::Checkpoint, &key.hex());
        // What cannot be stored is found out again.
        drop(write(&path, &entry::seal(Kind::Checkpoint, key, checkpoint.to_vec())));
        self.stored.fetch_add(BLOCK, Ordering::Relaxed);
    }

    pub(super) fn lock_file(&self, key: &Key) -> PathBuf {
        self.root.join("locks").join(key.hex())
    }

    /// Adds to the counters that all processes share.
    pub(super) fn count(&self, [hits, misses]: [u64; 2]) {
        gc::count(&self.root, [("hits", hits), ("misses", misses)]);
    }

    /// Says what this process stores, and collects if all together have stored a good part of what
    /// the cache may hold.
    pub(super) fn tidy(&self) {
        drop(self.room());
    }

    /// Does so, and gives the room to publish what was counted, unless another process keeps it.
    fn room(&self) -> Option<(MutexGuard<'_, ()>, gc::Room)> {
        // Only other processes have to be asked again and again.
        let turn = self.storing.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = self.stored.swap(0, Ordering::Relaxed);
        let impatient = self.is_full.load(Ordering::Relaxed);
        let room = gc::make_room(&self.root, self.limit, stored, impatient);
        self.is_full.store(room.is_none(), Ordering::Relaxed);
        if room.is_none() {
            self.stored.fetch_add(stored, Ordering::Relaxed);
        }
        Some((turn, room?))
    }
}

/// Removes a segment's entry and, if it can still be told, its blob.
pub(super) fn remove(root: &Path, key: &Key) {
    let path = place(root, Kind::Segment, &key.hex());
    let index =
        read_entry(&path, Kind::Segment).and_then(|bytes| SegmentIndex::decode(key, &bytes));
    fs::remove(&path);
    if let Some(index) = index {
        fs::remove(&place(root, Kind::Blob, &hex(&index.blob)));
    }
}

/// What an entry, or the end of a blob, takes on the disk at least, in bytes.
pub(super) const BLOCK: u64 = 4096;

/// Whether nobody else can change what is in a file's folder.
fn is_private(path: &Path) -> bool {
    directory::mistrust(fs::folder(path)).is_ok_and(|why| why.is_none())
}

/// Publishes a file, making its folder if need be.
fn publish(output: Output, target: &Path) -> io::Result<()> {
    directory::create_private(target.parent().unwrap_or(target))?;
    output.publish_as(target)
}

/// Writes a small file whole or not at all.
fn write(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = target.parent().unwrap_or(target);
    let output = Output::create_in(folder).or_else(|_| {
        directory::create_private(folder)?;
        Output::create_in(folder)
    });
    let mut output = output?;
    output.write(bytes).map_err(io::Error::other)?;
    output.publish_as(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KeyBuilder;
    use crate::cache::verified::Look;
    use std::time::{Duration, UNIX_EPOCH};

    /// Whether the segment's bytes are given out.
    fn reads(store: &Store, key: &Key) -> bool {
        store.segment(key).is_ok_and(|(_, mut source)| {
            while source.read(&mut [0; 4]) > 0 {}
            source.finish()
        })
    }

    #[test]
    fn a_cache_that_is_being_made_is_one() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..500 {
            let directory = folder.path().join(number.to_string());
            directory::create_private(&directory).unwrap();
            std::thread::scope(|scope| {
                let made = scope.spawn(|| Store::open(&directory, 1 << 20).map(drop));
                while !made.is_finished() {
                    check(&directory).unwrap();
                }
                made.join().unwrap().unwrap();
            });
        }
        // Where files cannot be nameless, the tag has another name at first.
        let directory = folder.path().join("named");
        directory::create_private(&directory).unwrap();
        std::fs::write(directory.join(".pylayer-1.tmp"), "").unwrap();
        check(&directory).unwrap();
        std::fs::write(directory.join("thesis"), "").unwrap();
        assert!(check(&directory).is_err());
    }

    #[test]
    fn a_blob_is_hashed_again_once_its_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("cache"), 1 << 20).unwrap();
        let key = KeyBuilder::new("test").finish();
        let bytes = b"compressed";
        let index = SegmentIndex { blob: blake3::hash(bytes).into(), members: vec![(10, 20)] };
        let path = place(&store.root, Kind::Blob, &hex(&index.blob));
        let put = || {
            let mut blob = store.blob().unwrap();
            blob.write(bytes).unwrap();
            store.put(&key, &index, blob);
        };
        let trust = || {
            let stamp = Input::open(&path).unwrap().stamp();
            let start = UNIX_EPOCH + stamp.changed() + Duration::from_secs(60);
            store.verified.add(index.blob, Look { stamp, start });
        };

        put();
        assert!(reads(&store, &key));
        std::fs::write(&path, b"compromise").unwrap();
        assert!(!reads(&store, &key));
        put();
        trust();
        assert!(reads(&store, &key));
        // As if the disk had decayed behind the file system's back: it is not looked at.
        std::fs::write(&path, b"compromise").unwrap();
        trust();
        assert!(reads(&store, &key));
    }
}
