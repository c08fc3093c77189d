//! Which Python package a file belongs to: as `RECORD`s say, else by its place in a
//! `site-packages` folder.

use std::collections::BTreeMap;

use super::subject::Part;
use crate::archive::Record;

/// A package.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: Option<String>,
}

/// Gives each entry its package; a `RECORD` counts for the files of all layers.
pub(super) fn assign(parts: &mut [Part]) -> Vec<Package> {
    let mut packages = Vec::new();
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    let mut by_file: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for record in parts.iter().flat_map(|part| &part.layer.records) {
        let number = packages.len();
        let package = named(record);
        by_name.entry(normal(&package.name)).or_insert(number);
        packages.push(package);
        let site = parent(&record.directory);
        for file in &record.files {
            by_file.entry(resolve(site, file)).or_insert(number);
        }
        by_file.entry(record.directory.clone()).or_insert(number);
    }
    for part in parts {
        for (entry, place) in part.layer.entries.iter().zip(&mut part.packages) {
            let known = by_file.get(&entry.path).copied();
            *place = known.or_else(|| {
                let name = in_site_packages(&entry.path)?;
                let number = *by_name.entry(normal(&name)).or_insert_with(|| {
                    packages.push(Package { name, version: None });
                    packages.len() - 1
                });
                Some(number)
            });
        }
    }
    packages
}

/// The package of a `.dist-info` directory: `name-version.dist-info` (packaging.python.org, "Recording installed
/// projects").
fn named(record: &Record) -> Package {
    let directory = String::from_utf8_lossy(&record.directory);
    let name = directory.rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(".dist-info").unwrap_or(name);
    match name.split_once('-') {
        Some((name, version)) => {
            Package { name: name.to_owned(), version: Some(version.to_owned()) }
        }
        None => Package { name: name.to_owned(), version: None },
    }
}

/// A name as all its spellings have it (packaging.python.org, "Names and normalization").
fn normal(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(b"", |at| &path[..at])
}

/// A path relative to a directory; `..` leads up.
fn resolve(directory: &[u8], path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = directory.split(|&byte| byte == b'/').collect();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join(&b'/')
}

/// What a path is called at the top of its `site-packages`.
fn in_site_packages(path: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(path);
    let mut parts = text.split('/');
    parts.find(|part| ["site-packages", "dist-packages"].contains(part))?;
    let top = parts.next()?;
    let ends = [".dist-info", ".data", ".libs", ".py", ".so"];
    let name = ends.iter().find_map(|end| top.strip_suffix(end)).unwrap_or(top);
    // `name-version`, `name.cpython-311-x86_64-linux-gnu`
    let name = name.split(['-', '.']).next().unwrap_or(name);
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_site_packages_have_names() {
        for (path, name) in [
            ("app/site-packages/numpy/core/x.py", Some("numpy")),
            ("lib/python3/dist-packages/six.py", Some("six")),
            ("x/site-packages/_cffi.cpython-311-x86_64-linux-gnu.so", Some("_cffi")),
            ("x/site-packages/numpy-1.2.dist-info/METADATA", Some("numpy")),
            ("x/site-packages/numpy.libs/liba.so", Some("numpy")),
            ("x/site-packages", None),
            ("usr/bin/x", None),
        ] {
            assert_eq!(in_site_packages(path.as_bytes()).as_deref(), name, "{path}");
        }
    }

    #[test]
    fn recorded_paths_may_lead_up() {
        let resolved = |directory: &str, path: &str| {
            String::from_utf8(resolve(directory.as_bytes(), path.as_bytes())).unwrap()
        };
        assert_eq!(
            resolved("v/lib/python3/site-packages", "a/b.py"),
            "v/lib/python3/site-packages/a/b.py"
        );
        assert_eq!(resolved("v/lib/python3/site-packages", "../../../bin/x"), "v/bin/x");
        assert_eq!(resolved("", "../../x"), "x");
    }
}
