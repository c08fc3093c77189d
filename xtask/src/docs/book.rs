//! The site: `docs/` as an mdBook.

use std::fs;
use std::process::Command;

use crate::install;
use crate::project::{Project, fresh};
use crate::shell::{self, Context as _, Result, failure};
use crate::ui;

/// Builds the site in `target/book`. A warning of mdBook's is an error.
pub(crate) fn build(project: &Project) -> Result<()> {
    let mdbook = install::mdbook(&project.folder("tools")?)?;
    let folder = project.target.join("book");
    fresh(&folder)?;
    let mut command = Command::new(mdbook);
    command.arg("build").arg("--dest-dir").arg(&folder).current_dir(&project.root);
    let output = shell::output(&mut command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || said.contains("WARN") || said.contains("ERROR") {
        return Err(failure(format!("`{}` says:\n{said}", shell::display(&command))));
    }
    // Each page of the table of contents is there, and the search has an index.
    let summary = project.root.join("docs/SUMMARY.md");
    let summary = fs::read_to_string(&summary).context(summary.display())?;
    for page in summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let name = page.replace("README.md", "index.md");
        let page = folder.join(name).with_extension("html");
        if !page.exists() {
            return Err(failure(format!("mdBook did not write {}", page.display())));
        }
    }
    let names = fs::read_dir(&folder).context(folder.display())?.flatten();
    if !names
        .into_iter()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("searchindex"))
    {
        return Err(failure("mdBook did not write an index for its search"));
    }
    ui::done(format_args!("{}", folder.join("index.html").display()));
    Ok(())
}
