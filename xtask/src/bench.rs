//! `cargo xtask bench`: what layers of real wheels cost, from nothing and from the cache, and what
//! others cost that make them of the same files.

mod actions;
mod cache;
mod chunks;
mod cold;
mod data;
mod fairness;
mod images;
mod page;
mod plot;
mod programs;
mod rebuilds;
mod segments;

use crate::project::Project;
use crate::shell::{Result, failure};
use crate::{install, ui};

use page::Page;

/// Where packages lie in the image.
const DESTINATION: &str = "app.runfiles/pip";

const NEEDS: &[install::Need] = &[install::CC, install::BSDTAR, install::PYTHON, install::PIP];

/// A part of the bench.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Cold,
    Cache,
    Fairness,
    Segments,
    Chunks,
    Images,
    Rebuilds,
    Actions,
}

const PARTS: [(&str, Part); 8] = [
    ("cold", Part::Cold),
    ("cache", Part::Cache),
    ("fairness", Part::Fairness),
    ("segments", Part::Segments),
    ("chunks", Part::Chunks),
    ("images", Part::Images),
    ("rebuilds", Part::Rebuilds),
    ("actions", Part::Actions),
];

/// What to run.
#[derive(Debug)]
pub(crate) struct Options {
    parts: Vec<Part>,
    /// The runs of each program that makes a layer from nothing.
    pub(crate) runs: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { parts: Vec::new(), runs: 3 }
    }
}

impl Options {
    /// Runs this part, and no others but those chosen so.
    pub(crate) fn choose(&mut self, name: &str) -> Result<()> {
        let part = PARTS.iter().find(|(known, _)| *known == name);
        let (_, part) = part.ok_or_else(|| {
            let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
            failure(format!("there is no bench `{name}`; there are {}", names.join(", ")))
        })?;
        self.parts.push(*part);
        Ok(())
    }
}

/// Runs the parts and prints what came of it; writes the page once each part was run.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    if options.runs == 0 {
        return Err(failure("--runs=0 measures nothing"));
    }
    install::all(NEEDS)?;
    ui::heading("build the worker");
    let worker = project.worker()?;
    let mut page = Page::open(project.folder("bench")?.join("results.json"));
    for (name, part) in &PARTS {
        if !options.parts.is_empty() && !options.parts.contains(part) {
            continue;
        }
        page.begin(name);
        match part {
            Part::Cold => cold::run(project, &worker, options.runs, &mut page)?,
            Part::Cache => cache::run(project, &worker, &mut page)?,
            Part::Fairness => fairness::run(project, &worker, &mut page)?,
            Part::Segments => segments::run(project, &worker, &mut page)?,
            Part::Chunks => chunks::run(project, &worker, &mut page)?,
            Part::Images => images::run(project, &worker, 1, &mut page)?,
            Part::Rebuilds => rebuilds::run(project, &worker, &mut page)?,
            Part::Actions => actions::run(project, &worker, &mut page)?,
        }
        page.end()?;
    }
    page.print();
    page.write(project, &PARTS.map(|(name, _)| name))
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
    fn a_part_is_known_by_its_name() {
        let mut options = Options::default();
        options.choose("cache").unwrap();
        assert_eq!(options.parts, [Part::Cache]);
        assert!(options.choose("warm").unwrap_err().to_string().contains("cold, cache"));
    }
}
