//! The sets of packages that layers are made of.

use std::fs;
use std::path::{Path, PathBuf};

use crate::mtree;
use crate::project::{Project, fresh};
use crate::shell::{Context as _, Result, failure};
use crate::ui;
use crate::wheels::{self, Package};

use super::DESTINATION;

/// Packages, and the lists of their files that other programs need.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) packages: Vec<Package>,
    /// The folder of their trees.
    pub(super) trees: PathBuf,
    /// The files as bsdtar takes them.
    pub(super) mtree: PathBuf,
    /// The files below the folder of trees, each ended by a NUL.
    pub(super) names: PathBuf,
}

/// The packages of a list of wheels.
pub(super) fn wheels(project: &Project, name: &str) -> Result<Set> {
    ui::heading(format_args!("fetch and unpack the wheels of `{name}`"));
    let packages = wheels::packages(project, name)?;
    set(&project.folder("bench")?.join(name), packages)
}

fn set(folder: &Path, packages: Vec<Package>) -> Result<Set> {
    let first = packages.first().ok_or_else(|| failure("a set without packages"))?;
    let trees = first.tree.parent().unwrap_or(folder).to_path_buf();
    let (mtree, names) = (folder.join("files.mtree"), folder.join("files.names"));
    fs::write(&mtree, mtree::list(&packages, DESTINATION)?).context(mtree.display())?;
    let mut list = Vec::new();
    for package in &packages {
        for file in mtree::files(package)? {
            let name = file.strip_prefix(&trees).context(file.display())?;
            list.extend_from_slice(name.as_os_str().as_encoded_bytes());
            list.push(0);
        }
    }
    fs::write(&names, list).context(names.display())?;
    Ok(Set { packages, trees, mtree, names })
}

/// 100,000 files of about 1,300 bytes in 200 packages, cut out of the sources of the set `pure`.
pub(super) fn many(project: &Project) -> Result<Set> {
    let sources = wheels(project, "pure")?;
    ui::heading("cut sources into 100,000 files");
    let folder = project.folder("bench")?.join("many");
    let (trees, finished) = (folder.join("trees"), folder.join("finished"));
    if !finished.exists() {
        fresh(&folder)?;
        cut(text(&sources)?, &trees)?;
        fs::write(&finished, "").context(finished.display())?;
    }
    let package = |number: u32| {
        let name = format!("p{number:03}");
        Package { tree: trees.join(&name), name, wheel: None }
    };
    set(&folder, (0..200).map(package).collect())
}

/// All Python sources of a set, one after the other, again and again. Not read at once: what this
/// process holds in memory, a program that it starts is taken to hold, too.
fn text(set: &Set) -> Result<impl Iterator<Item = Result<u8>>> {
    let mut sources = Vec::new();
    for package in &set.packages {
        let files = mtree::files(package)?.into_iter();
        sources.extend(files.filter(|file| file.extension().is_some_and(|kind| kind == "py")));
    }
    Ok(sources.into_iter().cycle().flat_map(|file| {
        let bytes = fs::read(&file).context(file.display());
        let (bytes, error) =
            bytes.map_or_else(|error| (Vec::new(), Some(Err(error))), |b| (b, None));
        bytes.into_iter().map(Ok).chain(error)
    }))
}

fn cut(mut text: impl Iterator<Item = Result<u8>>, trees: &Path) -> Result<()> {
    for number in ui::progress("files", 0..100_000_usize) {
        let length = 500 + number * 7919 % 1600;
        let (package, file) = (number / 500, number % 500);
        let path = trees.join(format!("p{package:03}/d{}/m{file}.py", file % 20));
        let bytes: Vec<u8> = text.by_ref().take(length).collect::<Result<_>>()?;
        write(&path, &bytes)?;
    }
    Ok(())
}

/// Writes a file, and the folders above it.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(folder.display())?;
    }
    fs::write(path, bytes).context(path.display())
}

/// Bytes that no codec makes smaller.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    bytes.take(length).collect()
}
