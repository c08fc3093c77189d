//! Which blobs were found intact by this process, and as which files.
//!
//! A blob is hashed when this process first reads it. Later the file is taken at its word while it
//! is the same one: file systems give every file that is made or written to another [`Stamp`].
//! What this cannot see is a disk that decays while the process runs, so no word holds for long.

#![expect(clippy::disallowed_methods, reason = "when blobs are hashed again; never in a layer")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dashmap::DashMap;

use crate::fs::Stamp;

/// How long a blob is believed to be intact.
const TRUST: Duration = Duration::from_secs(60 * 60);

/// How old a file is, at least, before its stamp tells it from what it may become: file systems
/// count in steps of up to two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// How many blobs are remembered.
const MOST: usize = 1 << 14;

/// A file that is about to be hashed.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub(super) stamp: Stamp,
    pub(super) start: SystemTime,
}

/// The blobs found intact, by name.
#[derive(Debug, Default)]
pub struct Verified(DashMap<[u8; 32], (Stamp, Instant)>);

impl Verified {
    /// The look that has to be taken at a blob in a file of this stamp; none if it was found
    /// intact, not long ago, as this very file.
    pub fn look(&self, blob: &[u8; 32], stamp: Stamp) -> Option<Look> {
        let known = self.0.get(blob);
        let believed = known.is_some_and(|known| known.0 == stamp && known.1.elapsed() < TRUST);
        (!believed).then(|| Look { stamp, start: SystemTime::now() })
    }

    /// Remembers that this blob was found.
    pub fn add(&self, blob: [u8; 32], look: Look) {
        let Look { stamp, start } = look;
        let start = start.duration_since(UNIX_EPOCH).unwrap_or_default();
        if stamp.changed() + SETTLED > start {
            return;
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(blob, (stamp, Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::Input;
    use std::fs::{self, File};
    use std::path::Path;

    const BLOB: [u8; 32] = [7; 32];

    fn stamp(path: &Path) -> Stamp {
        Input::open(path).unwrap().stamp()
    }

    #[test]
    fn a_file_is_believed_while_it_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob");
        let start = SystemTime::now() + 2 * SETTLED;
        let rewrite = |bytes: &str| fs::write(&path, bytes).unwrap();
        let replace = |bytes: &str| {
            fs::write(folder.path().join("new"), bytes).unwrap();
            fs::rename(folder.path().join("new"), &path).unwrap();
        };
        let turn_back = |_: &str| {
            let file = File::options().write(true).open(&path).unwrap();
            let modified = file.metadata().unwrap().modified().unwrap();
            rewrite("two");
            file.set_modified(modified).unwrap();
        };
        let changes: [&dyn Fn(&str); 3] = [&rewrite, &replace, &turn_back];
        for (change, name) in changes.iter().zip(["rewritten", "replaced", "turned back"]) {
            fs::write(&path, "one").unwrap();
            let verified = Verified::default();
            let before = stamp(&path);
            verified.add(BLOB, Look { stamp: before, start });
            assert!(verified.look(&BLOB, stamp(&path)).is_none());
            assert!(verified.look(&[8; 32], before).is_some());
            // The clock of a file system goes in steps.
            while stamp(&path).changed() == before.changed() {
                change("two");
            }
            assert!(verified.look(&BLOB, stamp(&path)).is_some(), "{name}");
        }
    }

    #[test]
    fn what_has_just_changed_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob");
        fs::write(&path, "one").unwrap();
        let changed = UNIX_EPOCH + stamp(&path).changed();
        for (start, believed) in [
            (changed, false),
            // The clock went back.
            (changed - SETTLED, false),
            (changed + SETTLED, true),
        ] {
            let verified = Verified::default();
            let stamp = stamp(&path);
            verified.add(BLOB, Look { stamp, start });
            assert_eq!(verified.look(&BLOB, stamp).is_none(), believed, "{start:?}");
        }
    }
}
