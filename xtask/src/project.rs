//! Where things are, and the one build of the worker that they share.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use xshell::{Shell, cmd};

use crate::shell::{self, Context as _, Result, failure};

/// This checkout.
#[derive(Debug)]
pub(crate) struct Project {
    /// The repository's root.
    pub(crate) root: PathBuf,
    /// Cargo's target folder, where everything is that is not to be committed.
    pub(crate) target: PathBuf,
}

impl Project {
    /// Finds the checkout that this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or_else(|| failure("xtask is not in a folder of the checkout"))?
            .to_path_buf();
        let mut project = Self { root, target: PathBuf::new() };
        let metadata = project.metadata()?;
        let target = metadata["target_directory"].as_str();
        let target = target.ok_or_else(|| failure("`cargo metadata` names no target folder"))?;
        project.target = PathBuf::from(target);
        Ok(project)
    }

    /// What cargo knows of the workspace.
    pub(crate) fn metadata(&self) -> Result<Value> {
        let (sh, cargo) = self.cargo()?;
        let metadata = shell::capture(cmd!(sh, "{cargo} metadata --format-version=1 --no-deps"))?;
        serde_json::from_str(&metadata).context("`cargo metadata` writes no JSON")
    }

    /// A shell at the root.
    pub(crate) fn shell(&self) -> Result<Shell> {
        let sh = Shell::new()?;
        sh.change_dir(&self.root);
        Ok(sh)
    }

    /// A shell at the root, and its cargo.
    pub(crate) fn cargo(&self) -> Result<(Shell, OsString)> {
        // Cargo names itself to what it runs; so it is the same version throughout.
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok((self.shell()?, cargo))
    }

    /// Builds the worker in release; gives its path.
    pub(crate) fn worker(&self) -> Result<PathBuf> {
        let (sh, cargo) = self.cargo()?;
        cmd!(sh, "{cargo} build --release --locked --bin=pylayer").quiet().run()?;
        Ok(self.target.join("release/pylayer"))
    }

    /// A folder below the target folder, made if it is not there.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join(name);
        fs::create_dir_all(&folder).context(folder.display())?;
        Ok(folder)
    }
}

/// Empties a folder, or makes it.
pub(crate) fn fresh(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(folder.display())
        }
        _ => fs::create_dir_all(folder).context(folder.display()),
    }
}
