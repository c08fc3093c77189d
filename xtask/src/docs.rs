//! `cargo xtask docs`: the reference pages that are written from the sources, and the site.

mod book;
mod command_line;
mod rules;
mod starlark;

use std::fs;

use crate::install;
use crate::project::Project;
use crate::shell::{Context as _, Result, failure};
use crate::ui;

/// A page that is written from the sources.
struct Page {
    path: &'static str,
    write: fn(&Project) -> Result<String>,
}

const PAGES: [Page; 5] = [
    Page { path: "docs/reference/rules.md", write: rules::page },
    Page { path: "docs/reference/worker-rules.md", write: rules::page_of_worker },
    Page { path: "docs/reference/command-line.md", write: command_line::page },
    Page { path: "docs/reference/command-line-layers.md", write: command_line::page_of_layers },
    Page { path: "docs/reference/command-line-images.md", write: command_line::page_of_images },
];

/// Writes the generated pages, and builds the site.
pub(crate) fn write(project: &Project) -> Result<()> {
    install::all(&[install::CC, install::PIP])?;
    for page in &PAGES {
        let path = project.root.join(page.path);
        fs::write(&path, (page.write)(project)?).context(path.display())?;
        ui::done(page.path);
    }
    book::build(project)
}

/// Fails if a committed page is not the one that the sources give, or if the site has a fault.
pub(crate) fn check(project: &Project) -> Result<()> {
    for page in &PAGES {
        let path = project.root.join(page.path);
        let committed = fs::read_to_string(&path).context(path.display())?;
        if committed != (page.write)(project)? {
            return Err(failure(format!(
                "{} does not match the sources: `cargo xtask docs` writes it",
                page.path
            )));
        }
    }
    book::build(project)
}
