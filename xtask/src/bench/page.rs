//! What a bench found: rows against targets, sections of the page, and plots.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xshell::{Shell, cmd};

use crate::project::Project;
use crate::shell::{Context as _, Result, failure};
use crate::table::Align::{Left, Right};
use crate::table::Table;
use crate::ui;

/// The page but for what is measured: `{{NAME}}` on a line by itself stands for a section.
const TEMPLATE: &str = "benches/performance.md";

/// The page, and the folder that its plots are in.
const PAGE: &str = "docs/explanation/performance.md";
const PLOTS: &str = "docs/explanation/plots";

/// What the parts of the bench found, each in its newest run: a part can be run again by itself.
pub(super) struct Page {
    /// Where it is kept from run to run.
    results: PathBuf,
    parts: BTreeMap<String, Found>,
    /// The part that is being run.
    part: &'static str,
    /// Those of this run.
    run: Vec<&'static str>,
}

/// What a part found.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Found {
    targets: Vec<Target>,
    sections: BTreeMap<String, String>,
    /// SVG documents.
    plots: BTreeMap<String, String>,
}

/// What was measured, and what it may be.
#[derive(Debug, Deserialize, Serialize)]
struct Target {
    case: String,
    measured: String,
    most: String,
    met: bool,
}

impl Page {
    /// A page with what earlier runs have left in a file.
    pub(super) fn open(results: PathBuf) -> Self {
        let kept = fs::read(&results).ok();
        let parts = kept.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Self { results, parts, part: "", run: Vec::new() }
    }

    /// Begins a part: what it found earlier is void.
    pub(super) fn begin(&mut self, part: &'static str) {
        self.parts.remove(part);
        self.part = part;
        self.run.push(part);
    }

    fn found(&mut self) -> &mut Found {
        self.parts.entry(self.part.to_owned()).or_default()
    }

    /// Compares what was measured with what it may be.
    pub(super) fn target(&mut self, case: &str, measured: f64, most: f64, unit: Unit) {
        let met = measured <= most;
        let (measured, most) = (unit.show(measured), unit.show(most));
        ui::say(format_args!("{case}: {measured}, at most {most}"));
        self.found().targets.push(Target { case: case.to_owned(), measured, most, met });
    }

    /// Fills a section of the page.
    pub(super) fn section(&mut self, name: &str, text: &impl ToString) {
        self.found().sections.insert(name.to_owned(), text.to_string());
    }

    /// Adds a plot, an SVG document.
    pub(super) fn plot(&mut self, name: &str, svg: String) {
        self.found().plots.insert(name.to_owned(), svg);
    }

    /// Ends a part: keeps what it found.
    pub(super) fn end(&self) -> Result<()> {
        let text = serde_json::to_vec_pretty(&self.parts).context("results as JSON")?;
        fs::write(&self.results, text).context(self.results.display())
    }

    /// Shows what this run found.
    pub(super) fn print(&self) {
        let found = || self.run.iter().filter_map(|part| self.parts.get(*part));
        for text in found().flat_map(|found| found.sections.values()) {
            ui::print(format_args!("\n{text}"));
        }
        ui::print(format_args!("\n{}", table(found())));
        let missed = found().flat_map(|found| &found.targets).filter(|target| !target.met).count();
        if missed > 0 {
            ui::say(format_args!("{missed} of the targets are missed"));
        }
    }

    /// Writes the page and its plots, in the order of these parts, if each was run here once.
    pub(super) fn write(&self, project: &Project, order: &[&str]) -> Result<()> {
        let found: Option<Vec<&Found>> = order.iter().map(|part| self.parts.get(*part)).collect();
        let Some(found) = found else {
            ui::say("the page is not written: some parts were never run here");
            return Ok(());
        };
        let sections = found.iter().flat_map(|found| found.sections.clone());
        let mut sections: BTreeMap<String, String> = sections.collect();
        sections.insert("machine".to_owned(), machine()?);
        sections.insert("targets".to_owned(), table(found.iter().copied()).to_string());
        let template = project.root.join(TEMPLATE);
        let text = fs::read_to_string(&template).context(template.display())?;
        let page = fill(&text, &sections)?;
        let folder = project.root.join(PLOTS);
        fs::create_dir_all(&folder).context(folder.display())?;
        for (name, svg) in found.iter().flat_map(|found| &found.plots) {
            let path = folder.join(format!("{name}.svg"));
            fs::write(&path, svg).context(path.display())?;
        }
        let path = project.root.join(PAGE);
        fs::write(&path, page).context(path.display())?;
        ui::done(path.display());
        Ok(())
    }
}

fn table<'a>(found: impl Iterator<Item = &'a Found>) -> Table {
    let header = [("Case", Left), ("Measured", Right), ("At most", Right), ("", Left)];
    let mut table = Table::markdown(&header);
    for Target { case, measured, most, met } in found.flat_map(|found| &found.targets) {
        let missed = if *met { "" } else { "missed" };
        table.row(vec![case.clone(), measured.clone(), most.clone(), missed.to_owned()]);
    }
    table
}

/// How a measure is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// A share of another measure.
    Ratio,
    /// A small one.
    Share,
    Milliseconds,
    Kilobytes,
    Mebibytes,
    Number,
}

impl Unit {
    fn show(self, value: f64) -> String {
        match self {
            Self::Ratio => format!("{value:.3}"),
            Self::Share => format!("{value:.4}"),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::Kilobytes => format!("{value:.1} kB"),
            Self::Mebibytes => format!("{value:.0} MiB"),
            Self::Number => format!("{value:.0}"),
        }
    }
}

fn fill(template: &str, sections: &BTreeMap<String, String>) -> Result<String> {
    let lines = template.lines().map(|line| {
        let name = line.strip_prefix("{{").and_then(|line| line.strip_suffix("}}"));
        let Some(name) = name else { return Ok(line) };
        let section = sections.get(name).map(|text| text.trim_end());
        section.ok_or_else(|| failure(format!("{TEMPLATE}: nothing is measured for {line}")))
    });
    let lines: Vec<&str> = lines.collect::<Result<_>>()?;
    Ok(lines.join("\n") + "\n")
}

/// The machine and the programs' versions.
fn machine() -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
    let name = processors.lines().find_map(|line| line.strip_prefix("model name"));
    let name = name.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let sh = Shell::new()?;
    let first = |program: &str, argument: &str| -> Result<String> {
        let said = cmd!(sh, "{program} {argument}").ignore_status().output()?;
        let text = String::from_utf8_lossy(if said.stdout.is_empty() {
            &said.stderr
        } else {
            &said.stdout
        })
        .into_owned();
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    };
    let mut lines = vec![format!("{name}, {cores} cores; Linux {}", first("uname", "-r")?)];
    for (program, argument) in [
        ("rustc", "--version"),
        ("bsdtar", "--version"),
        ("tar", "--version"),
        ("gzip", "--version"),
        ("pigz", "--version"),
        ("zstd", "--version"),
        ("python3", "--version"),
    ] {
        lines.push(first(program, argument)?);
    }
    Ok(format!("- {}", lines.join("\n- ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_whole_or_not_at_all() {
        let sections = [("one", "1\n\n"), ("two", "2")];
        let sections = sections.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        assert_eq!(fill("a\n{{one}}\n{{ b }\n", &sections).unwrap(), "a\n1\n{{ b }\n");
        let failed = fill("{{three}}", &sections).unwrap_err().to_string();
        assert!(failed.contains("{{three}}"), "{failed}");
    }

    #[test]
    fn a_part_that_is_run_again_takes_the_place_of_its_earlier_run() {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("results.json");
        let run = |part, case: &str, measured| {
            let mut page = Page::open(results.clone());
            page.begin(part);
            page.target(case, measured, 1.0, Unit::Ratio);
            page.end().unwrap();
        };
        run("cold", "a", 1.0);
        run("cache", "b", 0.5);
        run("cold", "c", 1.01);
        let page = Page::open(results);
        let parts = ["cold", "cache"].map(|part| &page.parts[part]);
        assert_eq!(
            table(parts.into_iter()).to_string().lines().skip(2).collect::<Vec<_>>(),
            ["| c    |    1.010 |   1.000 | missed |", "| b    |    0.500 |   1.000 |        |"]
        );
    }
}
