//! Copies of workspaces, to be changed without changing the checkout.

use std::fs;
use std::path::Path;

use crate::project::fresh;
use crate::shell::{Context as _, Result};

/// Copies a workspace of the checkout at `root` to a new folder, from where it takes pylayer from
/// the checkout.
pub fn copy(root: &Path, workspace: &str, into: &Path) -> Result<()> {
    fresh(into)?;
    copy_folder(&root.join(workspace), into)?;
    // The way to the checkout is another one from here.
    let up = vec![".."; Path::new(workspace).components().count()].join("/");
    let file = into.join("MODULE.bazel");
    let text = fs::read_to_string(&file).context(file.display())?;
    let text = text.replace(&format!("\"{up}"), &format!("\"{}", root.display()));
    fs::write(&file, text).context(file.display())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).context(from.display())? {
        let entry = entry.context(from.display())?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().context(source.display())?;
        if kind.is_dir() {
            fs::create_dir(&target).context(target.display())?;
            copy_folder(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map(drop).context(source.display())?;
        }
        // Links are Bazel's own (`bazel-bin` and so on), and not part of the example.
    }
    Ok(())
}
