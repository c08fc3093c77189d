//! Layers from nothing: each set by each program, in turns.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::data::{self, Set};
use super::page::{Page, Unit};
use super::plot::{self, Point};
use super::programs::{
    BSDTAR, BSDTAR_ZSTD, Job, PYLAYER, PYLAYER_ONE, PYLAYER_WHEELS, PYLAYER_ZSTD, PYTHON, Program,
    TAR_GZIP, TAR_PIGZ, TAR_ZSTD,
};
use super::{median, ratio, whole};
use crate::measure::{Cost, measure};
use crate::project::Project;
use crate::shell::{Context as _, Result, failure};
use crate::table::Align::{Left, Right};
use crate::table::{Table, thousands};
use crate::{install, ui};

/// All of them, the one that the others are compared with first.
const ALL: &[Program] = &[
    BSDTAR,
    PYLAYER,
    PYLAYER_WHEELS,
    PYLAYER_ONE,
    TAR_GZIP,
    TAR_PIGZ,
    PYTHON,
    PYLAYER_ZSTD,
    BSDTAR_ZSTD,
    TAR_ZSTD,
];

/// Without those that need wheels.
const MANY: &[Program] =
    &[BSDTAR, PYLAYER, TAR_GZIP, TAR_PIGZ, PYTHON, PYLAYER_ZSTD, BSDTAR_ZSTD, TAR_ZSTD];

/// For what they hold in memory; the others would take minutes each.
const LARGE: &[Program] = &[PYLAYER, PYLAYER_WHEELS, PYLAYER_ZSTD];

/// What one program did with one set.
struct Side {
    program: Program,
    costs: Vec<Cost>,
    size: u64,
}

impl Side {
    fn cpu(&self) -> f64 {
        self.duration(|cost| cost.cpu).as_secs_f64()
    }

    fn wall(&self) -> f64 {
        self.duration(|cost| cost.wall).as_secs_f64()
    }

    fn duration(&self, of: fn(&Cost) -> Duration) -> Duration {
        median(self.costs.iter().map(of))
    }

    fn memory(&self) -> u64 {
        median(self.costs.iter().map(|cost| cost.memory))
    }
}

/// What all programs did with one set.
struct Sides(Vec<Side>);

impl Sides {
    fn of(&self, program: Program) -> Result<&Side> {
        let side = self.0.iter().find(|side| side.program.name == program.name);
        side.ok_or_else(|| failure(format!("{} was not run", program.name)))
    }

    /// The first program's CPU time as a share of the second's.
    fn cpu(&self, ours: Program, peer: Program) -> Result<f64> {
        Ok(ratio(self.of(ours)?.cpu(), self.of(peer)?.cpu()))
    }

    fn size(&self, ours: Program, peer: Program) -> Result<f64> {
        Ok(ratio(whole(self.of(ours)?.size), whole(self.of(peer)?.size)))
    }
}

/// Measures all sets.
pub(super) fn run(project: &Project, worker: &Path, runs: usize, page: &mut Page) -> Result<()> {
    for program in ALL {
        install::all(program.needs)?;
    }
    let set = data::wheels(project, "pure")?;
    let pure = turns(project, worker, &set, ALL, runs)?;
    page.section("pure", &table(&pure));
    page.plot("pure", plot(&pure, "28 pure-Python packages")?);
    let set = data::wheels(project, "scientific")?;
    let scientific = turns(project, worker, &set, ALL, runs)?;
    page.section("scientific", &table(&scientific));
    page.plot("scientific", plot(&scientific, "29 scientific packages, 1 GB")?);
    let set = data::many(project)?;
    let many = turns(project, worker, &set, MANY, runs)?;
    page.section("many", &table(&many));
    let set = data::wheels(project, "large")?;
    let large = turns(project, worker, &set, LARGE, 1)?;
    page.section("large", &table(&large));

    for (name, sides, cpu, size) in [
        ("pure-Python", &pure, [0.40, 0.28], 1.045),
        ("scientific", &scientific, [0.36, 0.08], 1.015),
    ] {
        for (program, cpu, size) in [(PYLAYER, cpu[0], 1.01), (PYLAYER_WHEELS, cpu[1], size)] {
            let case = |what| format!("{name} packages, {}: {what} of bsdtar's", program.name);
            page.target(&case("CPU"), sides.cpu(program, BSDTAR)?, cpu, Unit::Ratio);
            page.target(&case("size"), sides.size(program, BSDTAR)?, size, Unit::Ratio);
        }
    }
    for (name, sides) in [("pure-Python", &pure), ("scientific", &scientific)] {
        let case = format!("{name} packages, zstd 3: CPU of bsdtar's with zstd 3");
        page.target(&case, sides.cpu(PYLAYER_ZSTD, BSDTAR_ZSTD)?, 1.0, Unit::Ratio);
    }
    let case = "100,000 tiny files, gzip 6: CPU of bsdtar's";
    page.target(case, many.cpu(PYLAYER, BSDTAR)?, 0.30, Unit::Ratio);
    let wall = ratio(scientific.of(PYLAYER)?.wall(), scientific.of(PYLAYER_ONE)?.wall());
    page.target("scientific packages, gzip 6: wall of one thread's", wall, 0.55, Unit::Ratio);
    for program in [PYLAYER, PYLAYER_WHEELS, PYLAYER_ZSTD] {
        let memory = whole(large.of(program)?.memory() >> 20);
        page.target(
            &format!("a layer of 3.7 GB, {}: memory", program.name),
            memory,
            96.0,
            Unit::Mebibytes,
        );
    }
    Ok(())
}

/// Runs each program so many times, in turns, after a run that is not counted: it fills the page
/// cache, with the wheels too.
fn turns(
    project: &Project,
    worker: &Path,
    set: &Set,
    programs: &[Program],
    runs: usize,
) -> Result<Sides> {
    let output = project.folder("bench")?.join("layer");
    let job = Job {
        worker,
        packages: &set.packages,
        trees: &set.trees,
        mtree: &set.mtree,
        names: &set.names,
        output,
    };
    let mut sides: Vec<Side> =
        programs.iter().map(|&program| Side { program, costs: Vec::new(), size: 0 }).collect();
    measure(&mut (PYLAYER_WHEELS.command)(&job))?;
    for run in 1..=runs {
        ui::heading(format_args!("run {run} of {runs}"));
        for side in &mut sides {
            drop(fs::remove_file(&job.output));
            let cost = measure(&mut (side.program.command)(&job))?;
            side.size = fs::metadata(&job.output).context(job.output.display())?.len();
            let (name, cpu) = (side.program.name, ui::seconds(cost.cpu));
            ui::say(format_args!("{name:<26} {cpu} of CPU time"));
            side.costs.push(cost);
        }
    }
    drop(fs::remove_file(&job.output));
    Ok(Sides(sides))
}

fn table(sides: &Sides) -> Table {
    let mut table = Table::markdown(&[
        ("Program", Left),
        ("CPU", Right),
        ("Ratio", Right),
        ("Wall", Right),
        ("Ratio", Right),
        ("Peak memory", Right),
        ("Bytes", Right),
        ("Ratio", Right),
    ]);
    let Some(peer) = sides.0.first() else { return table };
    for side in &sides.0 {
        let share = |ours: f64, peer: f64| format!("{:.3}", ratio(ours, peer));
        table.row(vec![
            side.program.name.to_owned(),
            ui::seconds(side.duration(|cost| cost.cpu)),
            share(side.cpu(), peer.cpu()),
            ui::seconds(side.duration(|cost| cost.wall)),
            share(side.wall(), peer.wall()),
            format!("{} MiB", side.memory() >> 20),
            thousands(side.size),
            share(whole(side.size), whole(peer.size)),
        ]);
    }
    table
}

/// Cost against size, both as shares of the first program's.
fn plot(sides: &Sides, title: &str) -> Result<String> {
    let Some(peer) = sides.0.first() else { return Err(failure("nothing was run")) };
    let points = sides.0.iter().map(|side| Point {
        name: side.program.name,
        x: ratio(whole(side.size), whole(peer.size)),
        y: ratio(side.cpu(), peer.cpu()),
    });
    plot::points(title, ("size, of bsdtar's", "CPU time, of bsdtar's"), &points.collect::<Vec<_>>())
}
