//! `cargo xtask bench`: layers of real wheels, by pylayer and by `bsdtar`, in turns.

pub(crate) mod cache;
mod client;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::measure::{Cost, measure};
use crate::project::Project;
use crate::shell::{Context as _, Result, failure};
use crate::table::Align::{Left, Right};
use crate::table::{Table, thousands};
use crate::wheels::{self, Package};
use crate::{install, mtree, ui};

/// The bench sets: lists of wheels in `benches/`.
const SETS: &[&str] = &["pure", "scientific"];

/// The most that a layer may cost, as a share of what it costs the peer.
const CPU_TARGET: f64 = 0.45;

/// The most that sizes may differ, as a share of the peer's.
const SIZE_TARGET: f64 = 0.01;

/// Where packages lie in the image.
const DESTINATION: &str = "app.runfiles/pip";

const NEEDS: &[install::Need] = &[install::CC, install::BSDTAR, install::PYTHON, install::PIP];

/// What to run.
#[derive(Debug)]
pub(crate) struct Options {
    sets: Vec<&'static str>,
    /// The counted runs of each program.
    pub(crate) runs: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { sets: SETS.to_vec(), runs: 5 }
    }
}

impl Options {
    /// Runs this set alone.
    pub(crate) fn choose(&mut self, name: &str) -> Result<()> {
        let set = SETS.iter().find(|set| **set == name);
        let set = set.ok_or_else(|| {
            failure(format!("there is no bench set `{name}`; there are {}", SETS.join(" and ")))
        })?;
        self.sets = vec![set];
        Ok(())
    }
}

/// What one program did with one set.
struct Side {
    costs: Vec<Cost>,
    output: PathBuf,
}

impl Side {
    fn new(output: PathBuf) -> Self {
        Self { costs: Vec::new(), output }
    }

    /// Runs once. The first run of all fills the page cache, and is not counted.
    fn run(&mut self, name: &str, mut command: Command, counted: bool) -> Result<()> {
        let cost = measure(&mut command)?;
        ui::say(format_args!("{name:<8} {} of CPU time", ui::seconds(cost.cpu)));
        if counted {
            self.costs.push(cost);
        }
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        Ok(fs::metadata(&self.output).context(self.output.display())?.len())
    }

    fn cpu(&self) -> Duration {
        median(self.costs.iter().map(|cost| cost.cpu))
    }

    fn wall(&self) -> Duration {
        median(self.costs.iter().map(|cost| cost.wall))
    }

    fn memory(&self) -> u64 {
        median(self.costs.iter().map(|cost| cost.memory))
    }
}

/// Runs the sets, prints what came of it, and fails if a target is missed.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    if options.runs == 0 {
        return Err(failure("--runs=0 measures nothing"));
    }
    install::all(NEEDS)?;
    ui::heading("build the worker");
    let worker = project.worker()?;
    let mut table = Table::markdown(&[
        ("Set", Left),
        ("Program", Left),
        ("CPU", Right),
        ("Ratio", Right),
        ("Wall", Right),
        ("Ratio", Right),
        ("Peak RSS", Right),
        ("Ratio", Right),
        ("Bytes", Right),
        ("Ratio", Right),
    ]);
    let mut missed = Vec::new();
    for set in &options.sets {
        ui::heading(format_args!("fetch and unpack the wheels of `{set}`"));
        let packages = wheels::packages(project, set)?;
        let folder = project.folder("bench")?;
        let sides = turns(&folder, set, &worker, &packages, options.runs)?;
        missed.extend(compare(set, &sides, &mut table)?);
    }
    ui::print(format_args!(
        "\nMedians of {} runs in turns, after one that does not count.\n\n{table}",
        options.runs
    ));
    if missed.is_empty() {
        return Ok(());
    }
    Err(failure(missed.join("; ")))
}

/// Runs ours and the peer's in turns.
fn turns(
    folder: &Path,
    set: &str,
    worker: &Path,
    packages: &[Package],
    runs: usize,
) -> Result<[Side; 2]> {
    let list = folder.join(format!("{set}.mtree"));
    fs::write(&list, mtree::list(packages, DESTINATION)?).context(list.display())?;
    let side = |name| Side::new(folder.join(format!("{set}-{name}.tar.gz")));
    let [mut ours, mut peer] = ["pylayer", "bsdtar"].map(side);
    for run in 0..=runs {
        ui::heading(format_args!("`{set}`, run {run} of {runs}"));
        let command = pylayer(worker, packages, &ours.output);
        ours.run("pylayer", command, run > 0)?;
        let command = bsdtar(&list, &peer.output);
        peer.run("bsdtar", command, run > 0)?;
    }
    Ok([ours, peer])
}

fn pylayer(worker: &Path, packages: &[Package], output: &Path) -> Command {
    let mut command = Command::new(worker);
    command.arg("layer").arg("--output").arg(output);
    // The peer computes no digests; a layer that is of use has them.
    command.arg("--metadata").arg(output.with_extension("json"));
    for package in packages {
        command.args(["--package", &package.name, "--tree"]).arg(&package.tree);
        command.arg(format!("--to={DESTINATION}/{}", package.name));
    }
    command
}

fn bsdtar(list: &Path, output: &Path) -> Command {
    let mut command = Command::new("bsdtar");
    command.args(["--create", "--gzip", "--options", "gzip:compression-level=6,gzip:!timestamp"]);
    command.arg("--file").arg(output).arg(format!("@{}", list.display()));
    // In the C locale it does not take names that are not ASCII.
    command.env("LC_ALL", "C.UTF-8");
    command
}

/// Adds two rows; gives the targets that are missed.
fn compare(set: &str, sides: &[Side; 2], table: &mut Table) -> Result<Vec<String>> {
    let [ours, peer] = sides;
    let cpu = ratio(ours.cpu().as_secs_f64(), peer.cpu().as_secs_f64());
    let wall = ratio(ours.wall().as_secs_f64(), peer.wall().as_secs_f64());
    let memory = ratio(whole(ours.memory()), whole(peer.memory()));
    let size = ratio(whole(ours.size()?), whole(peer.size()?));
    for (name, side, ratios) in
        [("pylayer", ours, Some([cpu, wall, memory, size])), ("bsdtar", peer, None)]
    {
        let shown =
            |index: usize| ratios.map_or("1".to_owned(), |ratios| format!("{:.3}", ratios[index]));
        table.row(vec![
            set.to_owned(),
            name.to_owned(),
            ui::seconds(side.cpu()),
            shown(0),
            ui::seconds(side.wall()),
            shown(1),
            format!("{} MiB", side.memory() >> 20),
            shown(2),
            thousands(side.size()?),
            shown(3),
        ]);
    }
    let mut missed = Vec::new();
    if cpu > CPU_TARGET {
        missed.push(format!("`{set}`: CPU time is {cpu:.3} of bsdtar's, above {CPU_TARGET}"));
    }
    if (size - 1.0).abs() > SIZE_TARGET {
        missed
            .push(format!("`{set}`: the size is {size:.3} of bsdtar's, not within {SIZE_TARGET}"));
    }
    Ok(missed)
}

fn ratio(ours: f64, peer: f64) -> f64 {
    if peer > 0.0 { ours / peer } else { f64::INFINITY }
}

#[allow(clippy::cast_precision_loss, reason = "a ratio has three digits")]
fn whole(number: u64) -> f64 {
    number as f64
}

/// The one in the middle, the lower of two.
fn median<T: Copy + Default + Ord>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_not_moved_by_an_outlier() {
        assert_eq!(median([3, 1, 900].into_iter()), 3);
        assert_eq!(median([4, 1, 2, 3].into_iter()), 2);
    }

    #[test]
    fn targets_hold_on_both_sides_of_the_size() {
        let folder = std::env::temp_dir().join(format!("xtask-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let side = |name: &str, seconds: u64, size: usize| {
            let output = folder.join(name);
            fs::write(&output, vec![0; size]).unwrap();
            let cpu = Duration::from_secs(seconds);
            Side { costs: vec![Cost { cpu, wall: cpu, memory: 1 << 20 }], output }
        };
        let mut table = Table::new(&[("", Left); 10]);
        for (seconds, size, misses) in [(4, 1000, 0), (5, 1000, 1), (4, 980, 1), (5, 1020, 2)] {
            let sides = [side("ours", seconds, size), side("peer", 10, 1000)];
            assert_eq!(compare("x", &sides, &mut table).unwrap().len(), misses);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
