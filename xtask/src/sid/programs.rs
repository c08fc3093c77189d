//! Programs that Debian stable has no package of: installed in the root of Debian sid, once.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::shell::{self, Context as _, Result};
use crate::ui;

/// Installs the packages of these names; gives the folder with a script for the program of each,
/// which runs it in the root.
pub(crate) fn programs(names: &[&str]) -> Result<PathBuf> {
    super::bazel()?;
    let folder = super::cache()?.join("pylayer-sid");
    let (enter, root, bin) = (folder.join("enter.sh"), super::root()?, folder.join("bin"));
    let _lock = super::lock(&folder.join("lock"))?;
    if names.iter().any(|name| !root.join("usr/bin").join(name).exists()) {
        ui::say(format_args!("install {} in the root of Debian sid", names.join(", ")));
        let apt =
            "apt-get update -q && apt-get install --yes --quiet --no-install-recommends \"$@\"";
        let mut command = Command::new("sh");
        command.args([&enter, &root]).args(["sh", "-ec", apt, "apt"]).args(names);
        shell::run(command.env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    fs::create_dir_all(&bin).context(bin.display())?;
    for name in names {
        // By its path: the folder is on PATH, and also in the root.
        let program = format!("/usr/bin/{name}");
        super::write(&bin.join(name), &super::launcher(&enter, &root, &program))?;
    }
    Ok(bin)
}
