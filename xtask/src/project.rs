//! Where things are, and the one build of the worker that they share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        let mut command = cargo(&root);
        let metadata =
            shell::capture(command.args(["metadata", "--format-version=1", "--no-deps"]))?;
        let metadata: serde_json::Value =
            serde_json::from_str(&metadata).context("`cargo metadata` writes no JSON")?;
        let target = metadata["target_directory"]
            .as_str()
            .ok_or_else(|| failure("`cargo metadata` names no target folder"))?;
        Ok(Self { target: PathBuf::from(target), root })
    }

    /// A command of cargo's, at the root.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = cargo(&self.root);
        command.args(arguments);
        command
    }

    /// Builds the worker in release; gives its path.
    pub(crate) fn worker(&self) -> Result<PathBuf> {
        shell::run(&mut self.cargo(&["build", "--release", "--locked", "--bin=pylayer"]))?;
        Ok(self.target.join("release/pylayer"))
    }

    /// A folder below the target folder, made if it is not there.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join(name);
        fs::create_dir_all(&folder).context(folder.display())?;
        Ok(folder)
    }
}

fn cargo(root: &Path) -> Command {
    // Cargo names itself to what it runs; so it is the same version throughout.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root);
    command
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
