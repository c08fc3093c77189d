//! The site: `docs/` as an mdBook.

use std::fs;
use std::path::{Component, Path, PathBuf};

use xshell::{Shell, cmd};

use crate::install;
use crate::project::{Project, fresh};
use crate::shell::{Context as _, Result, failure};
use crate::ui;

/// Where the site links to for what is not a page of it.
const REPOSITORY: &str = "https://github.com/pylayer/pylayer/blob/main";

/// Builds the site in `target/book`. A warning of mdBook's, or a link that leads nowhere, is an error.
pub(crate) fn build(project: &Project) -> Result<()> {
    let mdbook = install::mdbook(&project.folder("tools")?)?;
    let (source, site) = (project.target.join("book-source"), project.target.join("book"));
    fresh(&source)?;
    fresh(&site)?;
    let settings = project.root.join("book.toml");
    fs::copy(&settings, source.join("book.toml")).context(settings.display())?;
    copy(&project.root.join("docs"), Path::new("docs"), &source)?;

    let sh = Shell::new()?;
    sh.change_dir(&source);
    let command = cmd!(sh, "{mdbook} build --dest-dir {site}").ignore_status();
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || said.contains("WARN") || said.contains("ERROR") {
        return Err(failure(format!("`{command}` says:\n{said}")));
    }
    let names = fs::read_dir(&site).context(site.display())?.flatten();
    let names: Vec<String> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    if !names.iter().any(|name| name.starts_with("searchindex")) {
        return Err(failure("mdBook did not write an index for its search"));
    }
    let pages = check(&site, &site)?;
    if pages < 20 {
        return Err(failure(format!("mdBook wrote {pages} pages")));
    }
    ui::done(format_args!("{} ({pages} pages)", site.join("index.html").display()));
    Ok(())
}

/// Copies a folder of `docs`; links that lead out of `docs` become links to the repository.
fn copy(from: &Path, folder: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.join(folder)).context(to.display())?;
    for entry in fs::read_dir(from).context(from.display())? {
        let path = entry.context(from.display())?.path();
        let name = folder.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &name, to)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).context(path.display())?;
            fs::write(to.join(&name), redirected(&text, folder)).context(name.display())?;
        } else {
            fs::copy(&path, to.join(&name)).context(path.display())?;
        }
    }
    Ok(())
}

/// A page in a folder of `docs`, with links to the repository in place of those out of `docs`.
fn redirected(text: &str, folder: &Path) -> String {
    let mut parts = text.split("](");
    let mut new = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (target, rest) = part.split_once(')').unwrap_or((part, ""));
        new += "](";
        match resolved(folder, target) {
            Some(path) if !path.starts_with("docs") && target.starts_with("..") => {
                new.extend([REPOSITORY, "/", &path.to_string_lossy()]);
            }
            _ => new += target,
        }
        new += ")";
        new += rest;
    }
    new
}

/// Where a relative path leads to from a folder; none if that is above where the folder's path begins.
fn resolved(folder: &Path, target: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in folder.join(target).components() {
        match component {
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

/// Follows the links of all pages in a folder of the site to other files of it. Counts the pages.
fn check(site: &Path, folder: &Path) -> Result<usize> {
    let mut pages = 0;
    for entry in fs::read_dir(folder).context(folder.display())? {
        let path = entry.context(folder.display())?.path();
        if path.is_dir() {
            pages += check(site, &path)?;
            continue;
        }
        // The page for addresses that do not exist is shown at any address.
        if path.extension().is_none_or(|kind| kind != "html") || path.ends_with("404.html") {
            continue;
        }
        pages += 1;
        let text = fs::read_to_string(&path).context(path.display())?;
        let links = text.split(" href=\"").chain(text.split(" src=\"")).skip(1);
        for link in links.filter_map(|rest| rest.split('"').next()) {
            let file = link.split(['#', '?']).next().unwrap_or_default();
            let is_ours = !file.is_empty() && !link.contains(':') && !link.contains(['<', '>']);
            if is_ours && !folder.join(file).exists() {
                let page = path.strip_prefix(site).unwrap_or(&path).display();
                return Err(failure(format!("the site's {page} links to {link}")));
            }
        }
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_pages_lead_to_the_repository() {
        let text = "[a](../README.md) [b](image.md#x) [c](https://example.com) [d](../../x)";
        let new = redirected(text, Path::new("docs"));
        let expected = "[a](https://github.com/pylayer/pylayer/blob/main/README.md) \
                        [b](image.md#x) [c](https://example.com) [d](../../x)";
        assert_eq!(new, expected);
    }
}
