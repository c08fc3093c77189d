//! `cargo xtask bench cache`: what a layer costs whose packages were compressed before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::client::{self, Client};
use super::{DESTINATION, bsdtar, median, ratio};
use crate::measure::{Cost, measure};
use crate::project::{Project, fresh};
use crate::shell::{self, Context as _, Result, failure};
use crate::table::Align::{Left, Right};
use crate::table::Table;
use crate::wheels::{self, Package};
use crate::{mtree, ui};

/// The requests whose latency is measured.
const REQUESTS: usize = 10_000;

/// The rows of the table, and what missed its target.
struct Findings {
    table: Table,
    missed: Vec<String>,
}

impl Findings {
    fn row(&mut self, case: &str, measured: String, target: String, met: bool) {
        if !met {
            self.missed.push(format!("{case}: {measured}, not {target}"));
        }
        ui::say(format_args!("{case}: {measured} (target: {target})"));
        self.table.row(vec![case.to_owned(), measured, target]);
    }
}

/// Runs all cases, prints a table, and fails if a target is missed.
pub(crate) fn run(project: &Project) -> Result<()> {
    crate::install::all(super::NEEDS)?;
    ui::heading("build the worker");
    let worker = project.worker()?;
    let folder = project.folder("bench/cache")?;
    fresh(&folder)?;
    let header = [("Case", Left), ("Measured", Right), ("Target", Right)];
    let mut findings = Findings { table: Table::markdown(&header), missed: Vec::new() };

    ui::heading("fetch and unpack 29 packages");
    let packages = wheels::packages(project, "merged")?;
    merged(&worker, &folder, &packages, &mut findings)?;
    small_package(&worker, &folder, &mut findings)?;
    many_files(&worker, &folder, &mut findings)?;
    large(&worker, &folder, &mut findings)?;
    ui::print(format_args!("\n{}", findings.table));
    if findings.missed.is_empty() { Ok(()) } else { Err(failure(findings.missed.join("; "))) }
}

/// One merged layer of 29 packages: all known, and one of them changed.
fn merged(
    worker: &Path,
    folder: &Path,
    packages: &[Package],
    findings: &mut Findings,
) -> Result<()> {
    let mut trees: Vec<(String, PathBuf)> =
        packages.iter().map(|package| (package.name.clone(), package.tree.clone())).collect();
    let output = folder.join("merged.tar.gz");
    ui::heading("bsdtar, gzip 6, of the same files");
    let list = folder.join("merged.mtree");
    fs::write(&list, mtree::list(packages, DESTINATION)?).context(list.display())?;
    let peer = measure(&mut bsdtar(&list, &folder.join("peer.tar.gz")))?.cpu;

    ui::heading("29 packages, all known");
    let mut client = Client::start(worker, &folder.join("cache"))?;
    let request = client::request(&output, &trees)?;
    client.request(&request)?;
    client.request(&request)?;
    let known = client.cost(&request, 20)?;
    let copies: Vec<Cost> = (0..20).map(|_| cat(&output, folder)).collect::<Result<_>>()?;
    let copy = median(copies.iter().map(|cost| cost.cpu));
    let copy_wall = median(copies.iter().map(|cost| cost.wall));
    let share = ratio(known.cpu.as_secs_f64(), peer.as_secs_f64());
    let name = "29 packages, all known, CPU";
    findings.row(name, format!("{share:.4} of bsdtar"), "0.01".to_owned(), share <= 0.01);
    let times = ratio(known.cpu.as_secs_f64(), copy.as_secs_f64());
    let name = "the same against `cat segments > out`, CPU";
    findings.row(name, format!("{times:.2} times"), "1.5".to_owned(), times <= 1.5);
    let times = ratio(known.wall.as_secs_f64(), copy_wall.as_secs_f64());
    let name = "the same against `cat segments > out`, wall";
    findings.row(name, format!("{times:.2} times"), "1.5".to_owned(), times <= 1.5);

    let sized = packages.iter().map(|package| Ok((size(&package.tree)?, &package.name)));
    let mut sized: Vec<(u64, &String)> = sized.collect::<Result<_>>()?;
    sized.sort();
    for (which, package) in [("smallest", sized.first()), ("largest", sized.last())] {
        let Some((_, package)) = package else { continue };
        ui::heading(format_args!("the {which} of 29 packages changed: {package}"));
        let at = trees.iter().position(|(name, _)| name == *package).unwrap_or_default();
        let copy = folder.join(which);
        shell::run(Command::new("cp").arg("-r").arg(&trees[at].1).arg(&copy))?;
        let original = std::mem::replace(&mut trees[at].1, copy);
        let alone = alone(worker, &trees[at])?;
        let whole = changed(&mut client, &output, &trees, at)?;
        let more = whole.cpu.saturating_sub(alone);
        let share = ratio(more.as_secs_f64(), peer.as_secs_f64());
        findings.row(
            &format!("the {which} of 29 changed, CPU beyond its own compression"),
            format!("{share:.4} of bsdtar"),
            "0.02".to_owned(),
            share <= 0.02,
        );
        trees[at].1 = original;
    }
    Ok(())
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

/// A Python source of a package.
fn source(tree: &Path) -> Result<PathBuf> {
    let found = shell::capture(
        Command::new("find").arg(tree).args(["-name", "*.py", "-size", "+0", "-print", "-quit"]),
    )?;
    match found.trim() {
        "" => Err(failure(format!("{} has no Python source", tree.display()))),
        path => Ok(PathBuf::from(path)),
    }
}

/// The cost of copying a blob's bytes.
fn cat(blob: &Path, folder: &Path) -> Result<Cost> {
    let script = "exec cat \"$0\" > \"$1\"";
    drop(fs::remove_file(folder.join("copy")));
    let mut command = Command::new("sh");
    measure(command.args(["-c", script]).arg(blob).arg(folder.join("copy")))
}

fn size(tree: &Path) -> Result<u64> {
    let size = shell::capture(Command::new("du").arg("-sb").arg(tree))?;
    let bytes = size.split_whitespace().next().and_then(|bytes| bytes.parse().ok());
    bytes.ok_or_else(|| failure("du prints no number"))
}

/// One known package of a megabyte, from request to response; and what remains in memory.
fn small_package(worker: &Path, folder: &Path, findings: &mut Findings) -> Result<()> {
    ui::heading(format_args!("{REQUESTS} requests for a known package of 1 MB"));
    let tree = folder.join("small");
    for number in 0..64_u64 {
        let path = tree.join(format!("m{number}.bin"));
        write(&path, &noise(number, 16 << 10))?;
    }
    let mut client = Client::start(worker, &folder.join("cache-small"))?;
    let request = client::request(&folder.join("small.tar.gz"), &[("small".to_owned(), tree)])?;
    client.request(&request)?;
    let times = (0..REQUESTS).map(|_| client.request(&request));
    let mut times: Vec<Duration> = times.collect::<Result<_>>()?;
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    let milliseconds = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    for (name, share, limit) in [("median", 50, 1), ("99th percentile", 99, 5)] {
        findings.row(
            &format!("known package of 1 MB, {name}"),
            milliseconds(at(share)),
            format!("{limit} ms"),
            at(share) < Duration::from_millis(limit),
        );
    }
    resident(&client, "10,000 requests", findings)
}

fn resident(client: &Client, after: &str, findings: &mut Findings) -> Result<()> {
    let bytes = client.resident()?;
    let name = format!("memory after {after}");
    findings.row(&name, format!("{} MiB", bytes >> 20), "128 MiB".to_owned(), bytes < 128 << 20);
    Ok(())
}

/// 100,000 tiny files in 200 packages.
fn many_files(worker: &Path, folder: &Path, findings: &mut Findings) -> Result<()> {
    ui::heading("100,000 tiny files in 200 packages");
    let mut packages = Vec::new();
    for package in 0..200_u64 {
        let (name, tree) = (format!("p{package}"), folder.join(format!("many/p{package}")));
        for file in 0..500_u64 {
            let text = format!("# {package} {file}\n").repeat(10 + (file % 150) as usize);
            write(&tree.join(format!("d{}/m{file}.py", file % 20)), text.as_bytes())?;
        }
        packages.push(Package { name, tree });
    }
    let list = folder.join("many.mtree");
    fs::write(&list, mtree::list(&packages, DESTINATION)?).context(list.display())?;
    let peer = measure(&mut bsdtar(&list, &folder.join("many-peer.tar.gz")))?.cpu;
    let trees: Vec<_> = packages.into_iter().map(|package| (package.name, package.tree)).collect();
    let request = client::request(&folder.join("many.tar.gz"), &trees)?;
    let mut client = Client::start(worker, &folder.join("cache-many"))?;
    client.request(&request)?;
    client.request(&request)?;
    let known = client.cost(&request, 5)?;
    let share = ratio(known.cpu.as_secs_f64(), peer.as_secs_f64());
    let name = "100,000 tiny files in 200 packages, all known, CPU";
    findings.row(name, format!("{share:.3} of bsdtar"), "0.10".to_owned(), share <= 0.10);
    Ok(())
}

/// A layer of 3 GB.
fn large(worker: &Path, folder: &Path, findings: &mut Findings) -> Result<()> {
    ui::heading("a layer of 3 GB");
    let tree = folder.join("large");
    write(&tree.join("seed"), &noise(1, 1 << 20))?;
    let script = "for n in 1 2 3; do for m in $(seq 1000); do cat seed; done > big$n; done";
    shell::run(Command::new("sh").args(["-ec", script]).current_dir(&tree))?;
    let request = client::request(&folder.join("large.tar.gz"), &[("large".to_owned(), tree)])?;
    let mut client = Client::start(worker, &folder.join("cache-large"))?;
    client.request(&request)?;
    client.request(&request)?;
    resident(&client, "a layer of 3 GB", findings)?;
    fs::remove_dir_all(folder.join("large")).context("cannot remove the layer's files")
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(folder.display())?;
    }
    fs::write(path, bytes).context(path.display())
}

/// Bytes that no codec makes smaller.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    bytes.take(length).collect()
}
