//! A list of files from which `bsdtar` makes the archive that pylayer makes of them.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::shell::{Context as _, Result};
use crate::wheels::Package;

/// The modification time of all entries, pylayer's own default.
const TIME: u32 = 1_672_560_000;

/// Lists the files of packages, each package below `destination`, in order.
pub(crate) fn list(packages: &[Package], destination: &str) -> Result<String> {
    let mut lines = vec!["#mtree\n".to_owned()];
    for package in packages {
        for file in files(package)? {
            let relative = file.strip_prefix(&package.tree).context(file.display())?;
            let target = Path::new(destination).join(&package.name).join(relative);
            lines.push(format!(
                "./{} type=file mode=0755 uid=0 gid=0 time={TIME}.0 content={}\n",
                escape(&target),
                escape(&file)
            ));
        }
    }
    Ok(lines.concat())
}

/// The files of a package that pylayer would take, too, in order.
pub(crate) fn files(package: &Package) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(&package.tree, &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).context(folder.display())? {
        let path = entry.context(folder.display())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "__pycache__" {
                walk(&path, files)?;
            }
        } else if !is_skipped(folder, &name) {
            files.push(path);
        }
    }
    Ok(())
}

/// What pylayer leaves out, too: records of the machine that installed the package, and wheels.
fn is_skipped(folder: &Path, name: &str) -> bool {
    let records = ["direct_url.json", "uv_cache.json"];
    let in_records = folder.extension().is_some_and(|extension| extension == "dist-info");
    let is_wheel = Path::new(name).extension().is_some_and(|extension| extension == "whl");
    is_wheel || (in_records && records.contains(&name))
}

/// A path as mtree has it: what could be taken for something else is written in octal.
fn escape(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes().iter();
    let escaped = bytes.map(|&byte| match byte {
        b'-' | b'_' | b'.' | b'/' | b'+' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_bytes_are_octal() {
        assert_eq!(escape(Path::new("a b/é=\\#.py")), r"a\040b/\303\251\075\134\043.py");
    }

    #[test]
    fn an_installers_own_files_are_left_out() {
        let folder = Path::new("site-packages/x-1.dist-info");
        assert!(is_skipped(folder, "direct_url.json") && !is_skipped(folder, "RECORD"));
        assert!(!is_skipped(Path::new("x"), "direct_url.json"));
    }
}
