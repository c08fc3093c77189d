//! Programs that Debian stable has no package of: installed in the root of Debian sid, once.

use std::fs;
use std::path::PathBuf;

use xshell::{Shell, cmd};

use crate::shell::{Context as _, Result};
use crate::ui;

/// Installs programs, each from the package of its name, where Bazel runs in a root of Debian sid.
/// Elsewhere they have to be there.
pub fn install(names: &[&str]) -> Result<()> {
    if !super::is_used()? {
        return Ok(());
    }
    super::bazel()?;
    let (folder, root) = (super::cache()?.join("pylayer-sid"), super::root()?);
    let _lock = super::lock(&folder.join("lock"))?;
    if names.iter().all(|name| root.join("usr/bin").join(name).exists()) {
        return Ok(());
    }
    ui::say(format_args!("install {} in the root of Debian sid", names.join(", ")));
    let apt = "apt-get update -q && \
               apt-get -o DPkg::Lock::Timeout=300 install --yes --quiet --no-install-recommends \"$@\"";
    let sh = Shell::new()?;
    let enter = cmd!(sh, "sh {folder}/enter.sh {root} sh -ec {apt} apt {names...}");
    Ok(enter.env("DEBIAN_FRONTEND", "noninteractive").quiet().run()?)
}

/// Installs programs in the root of Debian sid, which has to be there; gives a folder with a script
/// for each that runs it there.
pub(crate) fn programs(names: &[&str]) -> Result<PathBuf> {
    install(names)?;
    let folder = super::cache()?.join("pylayer-sid");
    let (enter, root, bin) = (folder.join("enter.sh"), super::root()?, folder.join("bin"));
    fs::create_dir_all(&bin).context(bin.display())?;
    for name in names {
        // By its path: the folder is on PATH, and also in the root.
        let program = format!("/usr/bin/{name}");
        super::write(&bin.join(name), &super::launcher(&enter, &root, &program))?;
    }
    Ok(bin)
}
