//! The wheels of a bench set, each unpacked to a tree of its own.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::project::{Project, fresh};
use crate::shell::{Context as _, Result, failure};
use crate::ui;

/// The Python of all bench sets, whatever the machine has.
const PYTHON: &str = "3.13";

/// For which the index may have wheels that run there.
const PLATFORMS: &[&str] = &[
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_26_x86_64",
    "manylinux_2_24_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
];

/// Unpacks a wheel; Rust has no need of a reader for ZIP besides.
const UNZIP: &str = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";

/// A package of a bench set.
#[derive(Debug)]
pub(crate) struct Package {
    /// As the wheel's file name has it.
    pub(crate) name: String,
    /// A folder with `lib/python3.13/site-packages`.
    pub(crate) tree: PathBuf,
    /// What the tree was unpacked from.
    pub(crate) wheel: Option<PathBuf>,
}

/// Fetches the wheels of `benches/NAME.txt` and unpacks them, unless that was done before.
pub(crate) fn packages(project: &Project, set: &str) -> Result<Vec<Package>> {
    let requirements = project.root.join("benches").join(format!("{set}.txt"));
    from(&requirements, &project.folder("bench")?.join(set))
}

/// Fetches the wheels of a requirements file to a folder and unpacks them there, unless that was
/// done before.
pub(crate) fn from(requirements: &Path, folder: &Path) -> Result<Vec<Package>> {
    let wanted = fs::read_to_string(requirements).context(requirements.display())?;
    let finished = folder.join("requirements.txt");
    if fs::read_to_string(&finished).ok().as_ref() != Some(&wanted) {
        fresh(folder)?;
        download(requirements, &folder.join("wheels"))?;
        let sh = Shell::new()?;
        for wheel in ui::progress("wheels unpacked", names(&folder.join("wheels"))?.into_iter()) {
            let tree = folder.join("trees").join(package(&wheel)?);
            let site = tree.join(format!("lib/python{PYTHON}/site-packages"));
            fs::create_dir_all(&site).context(site.display())?;
            cmd!(sh, "python3 -c {UNZIP} {folder}/wheels/{wheel} {site}").quiet().run()?;
        }
        fs::write(&finished, wanted).context(finished.display())?;
    }
    let wheels = names(&folder.join("wheels"))?.into_iter().map(|wheel| {
        let name = package(&wheel)?.to_owned();
        let (tree, wheel) = (folder.join("trees").join(&name), folder.join("wheels").join(&wheel));
        Ok(Package { name, tree, wheel: Some(wheel) })
    });
    let mut packages: Vec<Package> = wheels.collect::<Result<_>>()?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

fn download(requirements: &Path, into: &Path) -> Result<()> {
    let sh = Shell::new()?;
    let platforms = PLATFORMS.iter().map(|platform| format!("--platform={platform}"));
    let pip = cmd!(
        sh,
        "python3 -m pip download --quiet --disable-pip-version-check --no-deps
         --only-binary=:all: --require-hashes --implementation=cp --python-version={PYTHON}
         {platforms...} --requirement {requirements} --dest {into}"
    );
    Ok(pip.quiet().run()?)
}

fn package(wheel: &str) -> Result<&str> {
    let (name, _) = wheel
        .split_once('-')
        .ok_or_else(|| failure(format!("{wheel} is not the name of a wheel")))?;
    Ok(name)
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).context(folder.display())? {
        let name = entry.context(folder.display())?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
