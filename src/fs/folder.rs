//! Outputs that are folders: filled out of sight, published whole.

use std::fs::{self as std_fs, File};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, RenameFlags};
use rustix::io::Errno;

use super::output::Temporary;
use super::{Input, Kind, directory, system};
use crate::error::{Error, Result};

/// How much is copied between two questions whether the work is still wanted, in bytes.
const PIECE: u64 = 16 << 20;

/// A folder that is being filled for a target. It has a hidden name beside the target until it is
/// published, and is removed on drop.
#[derive(Debug)]
pub struct OutputFolder {
    staged: Temporary,
    target: PathBuf,
}

/// How a file may be put into a folder without copying it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Placing {
    /// By sharing its blocks, where the file system can (reflinks).
    Reflink,
    /// Else by another name of the same file (a hard link).
    Link,
}

impl OutputFolder {
    /// Starts a folder that will become `target`, whose own folder must exist. An empty folder
    /// there gives way, and one of which `may_go` is true.
    pub fn create(target: &Path, may_go: impl Fn(&Path) -> bool) -> Result<Self> {
        let in_the_way = |what: &str| {
            Error::input(format!("the output would replace {what}:"))
                .at(target)
                .hint("name a folder that does not exist, that is empty, or that pylayer made")
        };
        if target.file_name().is_none() {
            return Err(Error::input("cannot write a folder at").at(target));
        }
        match std_fs::symlink_metadata(target).map(|metadata| Kind::from(metadata.file_type())) {
            Err(_) => {}
            Ok(Kind::Directory) if directory::is_empty(target) || may_go(target) => {}
            Ok(Kind::Directory) => return Err(in_the_way("a folder with other files")),
            Ok(Kind::File) => return Err(in_the_way("a file")),
            Ok(Kind::Symlink) => return Err(in_the_way("a link")),
            Ok(Kind::Other(what)) => return Err(in_the_way(what)),
        }
        let stage = || {
            let staged = Temporary::beside(target)?;
            std_fs::create_dir(staged.path())?;
            staged.made();
            Ok(staged)
        };
        let staged = stage().map_err(|source| {
            Error::io("cannot write", target, source)
                .hint("the output's parent folder must exist and be writable")
        })?;
        Ok(Self { staged, target: target.to_owned() })
    }

    /// Where it is while it is being filled.
    pub fn path(&self) -> &Path {
        self.staged.path()
    }

    /// Where `name` is while the folder is being filled.
    fn staged(&self, name: &str) -> PathBuf {
        self.staged.path().join(name)
    }

    fn fail(&self, name: &str) -> impl Fn(io::Error) -> Error {
        let path = self.target.join(name);
        move |source| Error::io("cannot write", &path, source)
    }

    /// Makes a folder in it, and those above.
    pub fn create_dir(&self, name: &str) -> Result<()> {
        std_fs::create_dir_all(self.staged(name)).map_err(self.fail(name))
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        std_fs::write(self.staged(name), bytes).map_err(self.fail(name))
    }

    /// Puts a file with the bytes of `input` there, unless one has the name: without reading them,
    /// where that can be, else by a copy.
    pub fn place(
        &self,
        name: &str,
        input: &Input,
        placing: Placing,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let fail = self.fail(name);
        let path = self.staged(name);
        if super::exists(&path) {
            return Ok(());
        }
        let output = File::create_new(&path).map_err(&fail)?;
        if input.size() == 0 || system::share(&input.file, &output) {
            return Ok(());
        }
        if placing == Placing::Link {
            std_fs::remove_file(&path).map_err(&fail)?;
            // By the open file, not its path: another one may be there by now.
            let opened = format!("/proc/self/fd/{}", input.file.as_raw_fd());
            if rustix::fs::linkat(CWD, &*opened, CWD, &path, AtFlags::SYMLINK_FOLLOW).is_ok() {
                return Ok(());
            }
        }
        let mut output = File::create(&path).map_err(&fail)?;
        let mut left = input.size();
        while left > 0 {
            check()?;
            // The standard library has the kernel copy (copy_file_range), where it can.
            let copied = io::copy(&mut (&input.file).take(PIECE.min(left)), &mut output);
            match copied.map_err(&fail)? {
                0 => return Err(input.changed()),
                copied => left -= copied,
            }
        }
        input.expect_unchanged()
    }

    /// Makes the folder appear at its target, in place of what had to give way there.
    pub fn publish(self) -> Result<()> {
        let Self { staged, target } = &self;
        let publish = || -> io::Result<()> {
            match rustix::fs::rename(staged.path(), target) {
                // There is something, which goes with the temporary name.
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                renamed => return Ok(renamed?),
            }
            match rustix::fs::renameat_with(CWD, staged.path(), CWD, target, RenameFlags::EXCHANGE)
            {
                Err(Errno::INVAL | Errno::NOSYS) => {}
                exchanged => return Ok(exchanged?),
            }
            let old = Temporary::beside(target)?;
            std_fs::rename(target, old.path())?;
            old.made();
            std_fs::rename(staged.path(), target)
        };
        publish().map_err(|source| Error::io("cannot publish", target, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let members = crate::fs::read_dir(directory).unwrap();
        members.into_iter().map(|member| member.name.into_string().unwrap()).collect()
    }

    fn fill(target: &Path) -> Result<OutputFolder> {
        let folder = OutputFolder::create(target, |folder| folder.join("ours").exists())?;
        folder.create_dir("a/b")?;
        folder.write("a/b/ours", b"new")?;
        Ok(folder)
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("out");
        drop(fill(&target).unwrap());
        assert_eq!(names(directory.path()), [""; 0]);
        fill(&target).unwrap().publish().unwrap();
        assert_eq!(names(directory.path()), ["out"]);
        assert_eq!(std_fs::read(target.join("a/b/ours")).unwrap(), b"new");
    }

    #[test]
    fn only_what_is_empty_or_ours_gives_way() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("out");
        std_fs::create_dir(&target).unwrap();
        fill(&target).unwrap().publish().unwrap();
        let error = fill(&target).unwrap_err();
        assert!(error.to_string().contains("other files"), "{error}");
        std_fs::write(target.join("ours"), "").unwrap();
        fill(&target).unwrap().publish().unwrap();
        assert_eq!(names(&target), ["a"]);
        assert_eq!(names(directory.path()), ["out"]);
        let file = directory.path().join("file");
        std_fs::write(&file, "kept").unwrap();
        std::os::unix::fs::symlink("nowhere", directory.path().join("link")).unwrap();
        for name in ["file", "link", "no/such/parent"] {
            assert!(fill(&directory.path().join(name)).is_err(), "{name}");
        }
        assert_eq!(names(directory.path()), ["file", "link", "out"]);
    }

    #[test]
    fn a_file_is_the_same_however_it_is_placed() {
        use std::os::unix::fs::MetadataExt as _;
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source");
        std_fs::write(&source, vec![7; 20 << 20]).unwrap();
        let input = Input::open(&source).unwrap();
        for placing in [Placing::Reflink, Placing::Link] {
            let target = directory.path().join(format!("{placing:?}"));
            let folder = OutputFolder::create(&target, |_| false).unwrap();
            folder.place("blob", &input, placing, &|| Ok(())).unwrap();
            folder.publish().unwrap();
            let blob = target.join("blob");
            assert!(std_fs::read(&blob).unwrap() == std_fs::read(&source).unwrap());
            let same = blob.metadata().unwrap().ino() == source.metadata().unwrap().ino();
            assert!(!same || placing == Placing::Link, "a file of its own");
        }
    }
}
