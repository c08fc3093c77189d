//! Lines for the user's `py_layer_tier`, ready to be pasted.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::sizes::Package;
use super::{Limits, MB};

/// A part of a package is worth a layer of its own from this many bytes on.
const PART: u64 = 10 * MB;

/// The tier that would bring packages, the largest first, below their limits.
///
/// Packages are promoted until the rest fits; one that is too large by itself is divided where
/// files of one kind in one folder are a good part of it: those change less often than the code.
pub(super) fn advice(packages: &[Package], limits: Limits) -> String {
    let mut groups: BTreeMap<String, String> = BTreeMap::new();
    let mut compression: Vec<String> = Vec::new();
    let mut left = packages.iter().fold(0, |sum: u64, package| sum.saturating_add(package.bytes));
    for package in packages {
        let too_large = package.bytes > limits.package;
        if left <= limits.squashed && !too_large {
            break;
        }
        left = left.saturating_sub(package.bytes);
        let name = &package.name;
        groups.insert(format!("@pip//{name}"), name.clone());
        compression.push(name.clone());
        if too_large {
            for (glob, _) in parts(package, limits) {
                let group = part_name(name, &glob);
                groups.insert(format!("@pip//{name}:{glob}"), group.clone());
                compression.push(group);
            }
        }
    }
    if groups.is_empty() { String::new() } else { tier(&groups, compression) }
}

/// The tier that would take the native libraries out of a package: as a rule they are most of a
/// large one, and change less often than its code.
pub(super) fn native_libraries(package: &str) -> String {
    let group = format!("{}_native", part_name_of(package));
    let key = format!("@pip//{package}:*.so*");
    tier(&BTreeMap::from([(key, group.clone())]), vec![group])
}

/// The lines of a tier.
fn tier(groups: &BTreeMap<String, String>, mut compression: Vec<String>) -> String {
    let mut text = String::from("Suggested layers:\n\npy_layer_tier(\n    name = \"layers\",\n");
    // Writing to a string cannot fail.
    _ = writeln!(text, "    groups = {{");
    for (key, group) in groups {
        _ = writeln!(text, "        {}: {},", quoted(key), quoted(group));
    }
    _ = writeln!(text, "    }},\n    compression = {{");
    compression.sort();
    compression.dedup();
    for group in compression {
        _ = writeln!(text, "        {}: [\"zstd\", \"3\"],", quoted(&group));
    }
    text + "    },\n)\n"
}

/// A string as Starlark reads it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_control() => quoted.push('?'),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// The largest parts of a package, the largest first.
fn parts(package: &Package, limits: Limits) -> Vec<(String, u64)> {
    let enough = (limits.package / 4).max(PART);
    let mut parts: Vec<(String, u64)> = package
        .globs
        .iter()
        .filter(|&(_, &bytes)| bytes >= enough && bytes < package.bytes)
        .map(|(glob, &bytes)| (glob.clone(), bytes))
        .collect();
    parts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    parts.truncate(3);
    parts
}

/// A group's name for a part of a package.
fn part_name(package: &str, glob: &str) -> String {
    let folder = glob.rsplit_once('/').map_or("", |(folder, _)| folder);
    let last = folder.rsplit('/').next().unwrap_or_default();
    let kind = glob.rsplit("*.").next().unwrap_or_default().trim_end_matches('*');
    let name = [package, last, kind].map(part_name_of);
    if last == package || last.is_empty() {
        format!("{}_{}", name[0], name[2])
    } else {
        name.join("_")
    }
}

/// Text as a part of a group's name.
fn part_name_of(text: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    text.chars().map(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, mb: u64, globs: &[(&str, u64)]) -> Package {
        let globs = globs.iter().map(|&(glob, mb)| (glob.to_owned(), mb * MB));
        Package { name: name.to_owned(), bytes: mb * MB, globs: globs.collect() }
    }

    fn limits(squashed: u64, package: u64) -> Limits {
        Limits { squashed: squashed * MB, package: package * MB, ..Limits::default() }
    }

    #[test]
    fn the_largest_packages_are_promoted_until_the_rest_fits() {
        let packages =
            [package("torch", 100, &[]), package("numpy", 60, &[]), package("six", 1, &[])];
        let text = advice(&packages, limits(50, 200));
        assert!(text.contains("\"@pip//torch\": \"torch\""));
        assert!(text.contains("\"@pip//numpy\": \"numpy\""));
        assert!(!text.contains("six"));
        let text = advice(&packages, limits(70, 200));
        assert!(text.contains("torch") && !text.contains("numpy"));
        assert_eq!(advice(&packages, limits(200, 200)), "");
    }

    #[test]
    fn a_package_too_large_by_itself_is_divided() {
        let globs = [("torch/lib/*.so*", 1500), ("torch/*.py", 5), ("torch/bin/*.so*", 300)];
        let text = advice(&[package("torch", 1900, &globs)], limits(200, 200));
        assert!(text.contains("\"@pip//torch:torch/lib/*.so*\": \"torch_lib_so\""), "{text}");
        assert!(text.contains("\"@pip//torch:torch/bin/*.so*\": \"torch_bin_so\""), "{text}");
        assert!(text.contains("\"torch_lib_so\": [\"zstd\", \"3\"]"), "{text}");
        assert!(!text.contains("*.py"), "{text}");
    }
}
