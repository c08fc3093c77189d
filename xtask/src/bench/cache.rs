//! `cargo xtask bench cache`: what a layer costs whose packages were compressed before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use xshell::{Shell, cmd};

use super::data::{self, Set, noise, write};
use super::page::{Page, Unit};
use super::programs::{BSDTAR, Job};
use super::{DESTINATION, median, plot, ratio, whole};
use crate::client::{self, Client};
use crate::measure::{Cost, measure};
use crate::project::{Project, fresh};
use crate::shell::{self, Context as _, Result, failure};
use crate::ui;
use crate::wheels::Package;

/// The requests whose latency is measured.
const REQUESTS: usize = 10_000;

/// How many of 29 packages change, for the plot.
const SHARES: &[usize] = &[0, 1, 2, 4, 8, 16, 29];

/// Runs all cases.
pub(super) fn run(project: &Project, worker: &Path, page: &mut Page) -> Result<()> {
    let folder = project.folder("bench/cache")?;
    fresh(&folder)?;
    let set = data::wheels(project, "scientific")?;
    merged(worker, &folder, &set, page)?;
    small_package(worker, &folder, page)?;
    many_files(worker, &folder, &data::many(project)?, page)?;
    large(worker, &folder, page)
}

/// One merged layer of 29 packages: all known, and one of them changed.
fn merged(worker: &Path, folder: &Path, set: &Set, page: &mut Page) -> Result<()> {
    let packages = &set.packages;
    let mut trees = trees(packages);
    let output = folder.join("merged.tar.gz");
    let peer = peer(worker, folder, set)?;

    ui::heading("29 packages, all known");
    let mut client = Client::start(worker, &folder.join("cache"))?;
    let request = client::request(&output, &trees)?;
    client.request(&request)?;
    // A blob that has just been written is hashed; only later it is believed.
    std::thread::sleep(Duration::from_secs(4));
    client.request(&request)?;
    let known = client.cost(&request, 20)?;
    let segments = segments(&folder.join("cache"), packages.len())?;
    let copies: Vec<Cost> = (0..20).map(|_| cat(&segments, folder)).collect::<Result<_>>()?;
    let copy = median(copies.iter().map(|cost| cost.cpu));
    let copy_wall = median(copies.iter().map(|cost| cost.wall));
    let share = ratio(known.cpu.as_secs_f64(), peer.as_secs_f64());
    let name = "29 packages, all known: CPU of bsdtar's";
    page.target(name, share, 0.01, Unit::Share);
    let times = ratio(known.cpu.as_secs_f64(), copy.as_secs_f64());
    page.target("29 packages, all known: CPU of `cat segments > file`", times, 1.5, Unit::Ratio);
    let times = ratio(known.wall.as_secs_f64(), copy_wall.as_secs_f64());
    page.target("29 packages, all known: wall of `cat segments > file`", times, 1.5, Unit::Ratio);

    let sized = packages.iter().map(|package| Ok((size(&package.tree)?, &package.name)));
    let mut sized: Vec<(u64, &String)> = sized.collect::<Result<_>>()?;
    sized.sort();
    for (which, package) in [("smallest", sized.first()), ("largest", sized.last())] {
        let Some((_, package)) = package else { continue };
        ui::heading(format_args!("the {which} of 29 packages changed: {package}"));
        let at = trees.iter().position(|(name, _)| name == *package).unwrap_or_default();
        let (sh, copy, (_, tree)) = (Shell::new()?, folder.join(which), &trees[at]);
        cmd!(sh, "cp -r {tree} {copy}").quiet().run()?;
        let original = std::mem::replace(&mut trees[at].1, copy);
        let alone = alone(worker, &trees[at])?;
        let whole = changed(&mut client, &output, &trees, at)?;
        let more = whole.cpu.saturating_sub(alone);
        let share = ratio(more.as_secs_f64(), peer.as_secs_f64());
        let case = format!("the {which} of 29 changed: CPU beyond its own layer's, of bsdtar's");
        page.target(&case, share, 0.02, Unit::Ratio);
        trees[at].1 = original;
    }
    drop(client);
    shares(worker, folder, set, peer, page)
}

/// The peer's CPU time for a set.
pub(super) fn peer(worker: &Path, folder: &Path, set: &Set) -> Result<Duration> {
    ui::heading("bsdtar, gzip 6, of the same files");
    let job = Job {
        worker,
        packages: &set.packages,
        trees: &set.trees,
        mtree: &set.mtree,
        names: &set.names,
        output: folder.join("peer.tar.gz"),
    };
    let costs = (0..3).map(|_| measure(&mut (BSDTAR.command)(&job)));
    let costs: Vec<Cost> = costs.collect::<Result<_>>()?;
    fs::remove_file(&job.output).context(job.output.display())?;
    Ok(median(costs.iter().map(|cost| cost.cpu)))
}

fn trees(packages: &[Package]) -> Vec<(String, PathBuf)> {
    packages.iter().map(|package| (package.name.clone(), package.tree.clone())).collect()
}

/// What a layer costs of whose packages more and more are new.
fn shares(worker: &Path, folder: &Path, set: &Set, peer: Duration, page: &mut Page) -> Result<()> {
    let (sh, copies, originals) = (Shell::new()?, folder.join("copies"), &set.trees);
    cmd!(sh, "cp -r {originals} {copies}").quiet().run()?;
    let mut trees = trees(&set.packages);
    for (name, tree) in &mut trees {
        *tree = copies.join(name);
    }
    let mut client = Client::start(worker, &folder.join("cache-shares"))?;
    let output = folder.join("merged.tar.gz");
    client.request(&client::request(&output, &trees)?)?;
    let mut line = Vec::new();
    let count = trees.len();
    for &changed in SHARES {
        ui::heading(format_args!("{changed} of {count} packages changed"));
        for index in 0..changed {
            // Spread over the layer.
            let changing = file(&trees[index * count / changed].1)?;
            let mut text = fs::read(&changing).context(changing.display())?;
            text.extend_from_slice(format!("# {changed}\n").as_bytes());
            fs::write(&changing, text).context(changing.display())?;
        }
        let cost = client.cost(&client::request(&output, &trees)?, 1)?;
        line.push((share(changed, count), ratio(cost.cpu.as_secs_f64(), peer.as_secs_f64())));
    }
    fs::remove_dir_all(&copies).context(copies.display())?;
    let peer = vec![(0.0, 1.0), (1.0, 1.0)];
    let svg = plot::lines(
        "a merged layer of 29 packages, by how many are new",
        ("share of the packages that are new", "CPU time, of bsdtar's"),
        &[("bsdtar, gzip 6", peer), ("pylayer, gzip 6", line)],
    )?;
    page.plot("changed", svg);
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// What a package costs by itself, compressed from nothing.
fn alone(worker: &Path, (name, tree): &(String, PathBuf)) -> Result<Duration> {
    let output = tree.with_extension("tar.gz");
    let costs = (0..3).map(|_| {
        let mut command = Command::new(worker);
        command.arg("layer").arg("--output").arg(&output).arg("--tree").arg(tree);
        measure(command.arg(format!("--to={DESTINATION}/{name}")))
    });
    let costs: Vec<Cost> = costs.collect::<Result<_>>()?;
    Ok(median(costs.iter().map(|cost| cost.cpu)))
}

/// What a layer costs of which one package is new each time, by a line in one of its files.
fn changed(
    client: &mut Client,
    output: &Path,
    trees: &[(String, PathBuf)],
    at: usize,
) -> Result<Cost> {
    let mut request = client::request(output, trees)?;
    client.request(&request)?;
    let changing = source(&trees[at].1)?;
    let claim = changing.display().to_string();
    let text = fs::read_to_string(&changing).context(changing.display())?;
    let mut costs = Vec::new();
    for number in 0..5 {
        let line = format!("{text}\n# change {number}\n");
        fs::write(&changing, line).context(changing.display())?;
        let digest = client::digest(&changing)?;
        let input = request.inputs.iter_mut().find(|input| input.path == claim);
        input.ok_or_else(|| failure("the changed file is no input"))?.digest = digest;
        costs.push(client.cost(&request, 1)?);
    }
    costs.sort_by_key(|cost| cost.cpu);
    Ok(costs[costs.len() / 2])
}

/// A file of a package that may be longer: any that is no program.
pub(super) fn file(tree: &Path) -> Result<PathBuf> {
    let sh = Shell::new()?;
    let found = shell::capture(cmd!(sh, "find {tree} -name METADATA -print -quit"))?;
    match found.trim() {
        "" => Err(failure(format!("{} has no METADATA", tree.display()))),
        path => Ok(PathBuf::from(path)),
    }
}

/// A Python source of a package.
fn source(tree: &Path) -> Result<PathBuf> {
    let sh = Shell::new()?;
    let found = shell::capture(cmd!(sh, "find {tree} -name *.py -size +0 -print -quit"))?;
    match found.trim() {
        "" => Err(failure(format!("{} has no Python source", tree.display()))),
        path => Ok(PathBuf::from(path)),
    }
}

/// The segments of so many packages in a cache, each in a file.
fn segments(cache: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let sh = Shell::new()?;
    let found = shell::capture(cmd!(sh, "find {cache} -path */blobs/* -type f"))?;
    let mut files: Vec<PathBuf> = found.lines().map(PathBuf::from).collect();
    files.sort();
    if files.len() == count { Ok(files) } else { Err(failure("not each package has a segment")) }
}

/// The cost of copying segments, one after the other, to a file.
pub(super) fn cat(segments: &[PathBuf], folder: &Path) -> Result<Cost> {
    let script = "out=$1; shift; exec cat \"$@\" > \"$out\"";
    drop(fs::remove_file(folder.join("copy")));
    let mut command = Command::new("sh");
    measure(command.args(["-c", script, "sh"]).arg(folder.join("copy")).args(segments))
}

fn size(tree: &Path) -> Result<u64> {
    let sh = Shell::new()?;
    let size = shell::capture(cmd!(sh, "du -sb {tree}"))?;
    let bytes = size.split_whitespace().next().and_then(|bytes| bytes.parse().ok());
    bytes.ok_or_else(|| failure("du prints no number"))
}

/// One known package of a megabyte, from request to response; and what remains in memory.
fn small_package(worker: &Path, folder: &Path, page: &mut Page) -> Result<()> {
    ui::heading(format_args!("{REQUESTS} requests for a known package of 1 MB"));
    let tree = folder.join("small");
    for number in 0..64_u64 {
        let path = tree.join(format!("m{number}.bin"));
        write(&path, &noise(number, 16 << 10))?;
    }
    let mut client = Client::start(worker, &folder.join("cache-small"))?;
    let request = client::request(&folder.join("small.tar.gz"), &[("small".to_owned(), tree)])?;
    client.request(&request)?;
    // The gigabytes that were written before are on the disk then, and not on their way there.
    let sh = Shell::new()?;
    cmd!(sh, "sync").quiet().run()?;
    let times = ui::progress("requests", 0..REQUESTS).map(|_| client.request(&request));
    let mut times: Vec<Duration> = times.collect::<Result<_>>()?;
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    for (name, share, limit) in [("median", 50, 0.6), ("99th percentile", 99, 1.0)] {
        let case = format!("a known package of 1 MB, from request to response: {name}");
        page.target(&case, at(share).as_secs_f64() * 1000.0, limit, Unit::Milliseconds);
    }
    resident(&client, "10,000 requests", page)
}

fn resident(client: &Client, after: &str, page: &mut Page) -> Result<()> {
    let name = format!("a worker's memory after {after}");
    page.target(&name, whole(client.resident()? >> 20), 128.0, Unit::Mebibytes);
    Ok(())
}

/// 100,000 tiny files in 200 packages.
fn many_files(worker: &Path, folder: &Path, set: &Set, page: &mut Page) -> Result<()> {
    let peer = peer(worker, folder, set)?;
    let request = client::request(&folder.join("many.tar.gz"), &trees(&set.packages))?;
    let mut client = Client::start(worker, &folder.join("cache-many"))?;
    client.request(&request)?;
    client.request(&request)?;
    let known = client.cost(&request, 5)?;
    let share = ratio(known.cpu.as_secs_f64(), peer.as_secs_f64());
    page.target("100,000 tiny files, all known: CPU of bsdtar's", share, 0.10, Unit::Ratio);
    Ok(())
}

/// A layer of 3 GB.
fn large(worker: &Path, folder: &Path, page: &mut Page) -> Result<()> {
    ui::heading("a layer of 3 GB");
    let tree = folder.join("large");
    write(&tree.join("seed"), &noise(1, 1 << 20))?;
    let script = "for n in 1 2 3; do for m in $(seq 1000); do cat seed; done > big$n; done";
    let sh = Shell::new()?;
    sh.change_dir(&tree);
    cmd!(sh, "sh -ec {script}").quiet().run()?;
    let request = client::request(&folder.join("large.tar.gz"), &[("large".to_owned(), tree)])?;
    let mut client = Client::start(worker, &folder.join("cache-large"))?;
    client.request(&request)?;
    client.request(&request)?;
    resident(&client, "a layer of 3 GB", page)?;
    fs::remove_dir_all(folder.join("large")).context("cannot remove the layer's files")
}
