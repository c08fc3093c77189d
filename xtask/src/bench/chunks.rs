//! `cargo xtask bench chunks`: what of a merged layer is new to a cache that stores chunks, when one
//! of its packages changes. Computed with `FastCDC`, in the form that Bazel's
//! `--experimental_remote_cache_chunking` has it, as far as that is public; not through Bazel.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fastcdc::v2020::FastCDC;
use sha2::{Digest as _, Sha256};
use xshell::{Shell, cmd};

use super::cache::file;
use super::page::{Page, Unit};
use super::{DESTINATION, data, ratio, whole};
use crate::project::{Project, fresh};
use crate::shell::{Context as _, Result};
use crate::ui;

/// Chunks have this many bytes on average, at least a quarter, and at most four times as many.
const AVERAGE: u32 = 512 << 10;

/// The ways of compressing a layer: ours, and others' single streams.
const WAYS: &[(&str, Way)] = &[
    ("pylayer, gzip 6", Way::Ours("gzip:6")),
    ("pylayer, zstd 3", Way::Ours("zstd:3")),
    ("one gzip stream (rules_py)", Way::Stream(&["gzip", "-6", "-n", "-c"])),
    ("one zstd stream", Way::Stream(&["zstd", "-3", "-q", "-c"])),
];

#[derive(Clone, Copy)]
enum Way {
    Ours(&'static str),
    Stream(&'static [&'static str]),
}

/// Measures all ways.
pub(super) fn run(project: &Project, worker: &Path, page: &mut Page) -> Result<()> {
    let folder = project.folder("bench/chunks")?;
    fresh(&folder)?;
    let set = data::wheels(project, "scientific")?;
    let mut trees: Vec<(String, PathBuf)> =
        set.packages.iter().map(|package| (package.name.clone(), package.tree.clone())).collect();
    let mut before = Vec::new();
    for (name, way) in WAYS {
        ui::heading(format_args!("{name}, before the change"));
        before.push(chunks(&layer(worker, &folder, &trees, *way)?));
    }
    // The one in the middle, by name.
    let at = trees.len() / 2;
    let changed = folder.join("changed");
    let (sh, (_, tree)) = (Shell::new()?, &trees[at]);
    cmd!(sh, "cp -r {tree} {changed}").quiet().run()?;
    let path = file(&changed)?;
    let mut text = fs::read(&path).context(path.display())?;
    text.extend_from_slice(b"# changed\n");
    fs::write(&path, text).context(path.display())?;
    trees[at].1 = changed;
    for ((name, way), before) in WAYS.iter().zip(before) {
        ui::heading(format_args!(
            "{name}, one of {} packages changed: {}",
            trees.len(),
            trees[at].0
        ));
        let blob = layer(worker, &folder, &trees, *way)?;
        let known: BTreeSet<[u8; 32]> = before.into_iter().map(|(hash, _)| hash).collect();
        let new = chunks(&blob).into_iter().filter(|(hash, _)| !known.contains(hash));
        let new: u64 = new.map(|(_, length)| length).sum();
        let share = ratio(whole(new), whole(blob.len() as u64));
        let most = if matches!(way, Way::Ours(_)) { 0.04 } else { 1.0 };
        let case = format!("{name}: share of a layer's chunks that a changed package makes new");
        page.target(&case, share, most, Unit::Share);
    }
    Ok(())
}

fn layer(worker: &Path, folder: &Path, trees: &[(String, PathBuf)], way: Way) -> Result<Vec<u8>> {
    let output = folder.join("layer");
    let compression = match way {
        Way::Ours(compression) => compression,
        Way::Stream(_) => "none",
    };
    let sh = Shell::new()?;
    let mut command = cmd!(sh, "{worker} layer --output {output} --compression={compression}");
    for (name, tree) in trees {
        command = command.arg(format!("--package={name}")).arg("--tree").arg(tree);
        command = command.arg(format!("--to={DESTINATION}/{name}"));
    }
    command.quiet().run()?;
    if let Way::Stream([program, flags @ ..]) = way {
        let input = fs::File::open(&output).context(output.display())?;
        let compressed = Command::new(program)
            .args(flags)
            .stdin(input)
            .stderr(Stdio::inherit())
            .output()
            .context(program)?;
        return Ok(compressed.stdout);
    }
    fs::read(&output).context(output.display())
}

/// The hash and the length of each chunk.
fn chunks(bytes: &[u8]) -> Vec<([u8; 32], u64)> {
    let cut = FastCDC::new(bytes, AVERAGE / 4, AVERAGE, AVERAGE * 4);
    let chunk = |chunk: fastcdc::v2020::Chunk| {
        let hash = Sha256::digest(&bytes[chunk.offset..chunk.offset + chunk.length]);
        (hash.into(), chunk.length as u64)
    };
    cut.map(chunk).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_makes_few_chunks_new() {
        let mut rng = fastrand::Rng::with_seed(1);
        let bytes: Vec<u8> = (0..16 << 20).map(|_| rng.u8(..)).collect();
        let before: BTreeSet<[u8; 32]> = chunks(&bytes).into_iter().map(|(hash, _)| hash).collect();
        let after = [&bytes[..5 << 20], b"inserted", &bytes[5 << 20..]].concat();
        let after = chunks(&after);
        assert_eq!(after.iter().map(|(_, length)| length).sum::<u64>(), (16 << 20) + 8);
        assert!(after.iter().filter(|(hash, _)| !before.contains(hash)).count() <= 2);
    }
}
