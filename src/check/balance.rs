//! Layers that are far larger than the rest: who pulls the image waits for them.

use serde::Deserialize;

use super::advice;
use super::sizes::Package;
use super::{CheckRequest, Findings, Limits, mb};
use crate::error::{Error, Result};
use crate::fs;
use crate::layer::spec::SourcePath;

/// The largest metadata that is read, in bytes.
const METADATA: u64 = 16 << 20;

/// The longest list of sources that is read, in bytes.
const LIST: u64 = 1 << 30;

/// What is wanted of a layer's metadata.
#[derive(Deserialize)]
struct Metadata {
    size: u64,
}

/// Warns of a layer that is larger than the limit, and than all others together whose size is known.
///
/// A layer that holds a part of a package is as small as a tier can make it, and so is one without
/// packages: nothing is said of those.
pub(super) fn balance(
    request: &CheckRequest,
    packages: &[Package],
    found: &mut Findings,
) -> Result<()> {
    let sizes = request.metadata.iter().map(|(layer, file)| Ok((size(file)?, *layer)));
    let sizes = sizes.collect::<Result<Vec<(u64, usize)>>>()?;
    let all = sizes.iter().fold(0, |sum: u64, (size, _)| sum.saturating_add(*size));
    let Some(&(size, layer)) = sizes.iter().max() else { return Ok(()) };
    if sizes.len() < 2 || size <= request.limits.layer || size <= all - size {
        return Ok(());
    }
    let sources = &request.sources[layer];
    let bytes = fs::read(sources.full(), LIST)?;
    let lines = || bytes.split(|&byte| byte == b'\n');
    let is_part = lines().any(|line| line.starts_with(b"--include="));
    let names: Vec<String> = lines()
        .filter_map(|line| line.strip_prefix(b"--package="))
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    if is_part || names.is_empty() {
        return Ok(());
    }
    let list = sources.typed().file_name().unwrap_or_default().display().to_string();
    found.warnings.push(format!(
        "{} is {} compressed, and all other layers of packages together are {}: whoever pulls the image waits \
         for it, as layers are fetched side by side.",
        list.strip_suffix(".sources").unwrap_or(&list),
        mb(size),
        mb(all - size),
    ));
    if !found.advice.is_empty() {
        return Ok(());
    }
    if let [one] = &*names {
        found.advice = advice::native_libraries(one);
        return Ok(());
    }
    let held = |package: &&Package| names.contains(&package.name);
    let mut held: Vec<Package> = packages.iter().filter(held).cloned().collect();
    held.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    let total = held.iter().fold(0, |sum: u64, package| sum.saturating_add(package.bytes));
    found.advice = advice::advice(&held, Limits { squashed: total / 2, ..request.limits });
    Ok(())
}

/// A blob's size, by its metadata.
fn size(metadata: &SourcePath) -> Result<u64> {
    let bytes = fs::read(metadata.full(), METADATA)?;
    let metadata: Metadata = serde_json::from_slice(&bytes).map_err(|source| {
        Error::input("not the metadata of a layer:").at(metadata.typed()).because(source)
    })?;
    Ok(metadata.size)
}
