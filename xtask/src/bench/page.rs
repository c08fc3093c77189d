//! What a bench found: rows against targets, sections of the page, and plots.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::project::Project;
use crate::shell::{self, Context as _, Result, failure};
use crate::table::Align::{Left, Right};
use crate::table::Table;
use crate::ui;

/// The page but for what is measured: `{{NAME}}` on a line by itself stands for a section.
const TEMPLATE: &str = "benches/performance.md";

/// The page, and the folder that its plots are in.
const PAGE: &str = "docs/explanation/performance.md";
const PLOTS: &str = "docs/explanation/plots";

/// What was found.
pub(super) struct Page {
    targets: Table,
    missed: usize,
    sections: BTreeMap<&'static str, String>,
    plots: BTreeMap<&'static str, String>,
}

impl Page {
    pub(super) fn new() -> Self {
        let header = [("Case", Left), ("Measured", Right), ("At most", Right), ("", Left)];
        Self {
            targets: Table::markdown(&header),
            missed: 0,
            sections: BTreeMap::new(),
            plots: BTreeMap::new(),
        }
    }

    /// Compares what was measured with what it may be.
    pub(super) fn target(&mut self, case: &str, measured: f64, most: f64, unit: Unit) {
        let met = measured <= most;
        let (measured, most) = (unit.show(measured), unit.show(most));
        ui::say(format_args!("{case}: {measured}, at most {most}"));
        let missed = if met { "" } else { "missed" };
        self.missed += usize::from(!met);
        self.targets.row(vec![case.to_owned(), measured, most, missed.to_owned()]);
    }

    /// Fills a section of the page.
    pub(super) fn section(&mut self, name: &'static str, text: &impl ToString) {
        self.sections.insert(name, text.to_string());
    }

    /// Adds a plot, an SVG document.
    pub(super) fn plot(&mut self, name: &'static str, svg: String) {
        self.plots.insert(name, svg);
    }

    /// Shows what was found.
    pub(super) fn print(&self) {
        for text in self.sections.values() {
            ui::print(format_args!("\n{text}"));
        }
        ui::print(format_args!("\n{}", self.targets));
        if self.missed > 0 {
            ui::say(format_args!("{} of the targets are missed", self.missed));
        }
    }

    /// Writes the page and its plots.
    pub(super) fn write(mut self, project: &Project) -> Result<()> {
        self.section("machine", &machine()?);
        self.section("targets", &self.targets.to_string());
        let template = project.root.join(TEMPLATE);
        let text = fs::read_to_string(&template).context(template.display())?;
        let page = fill(&text, &self.sections)?;
        let folder = project.root.join(PLOTS);
        fs::create_dir_all(&folder).context(folder.display())?;
        for (name, svg) in &self.plots {
            let path = folder.join(format!("{name}.svg"));
            fs::write(&path, svg).context(path.display())?;
        }
        let path = project.root.join(PAGE);
        fs::write(&path, page).context(path.display())?;
        ui::done(path.display());
        Ok(())
    }
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

fn fill(template: &str, sections: &BTreeMap<&'static str, String>) -> Result<String> {
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
    let first = |program: &str, argument: &str| -> Result<String> {
        let said = shell::output(Command::new(program).arg(argument))?;
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
        let sections = BTreeMap::from([("one", "1\n\n".to_owned()), ("two", "2".to_owned())]);
        assert_eq!(fill("a\n{{one}}\n{{ b }\n", &sections).unwrap(), "a\n1\n{{ b }\n");
        let failed = fill("{{three}}", &sections).unwrap_err().to_string();
        assert!(failed.contains("{{three}}"), "{failed}");
    }

    #[test]
    fn a_target_is_met_or_missed() {
        let mut page = Page::new();
        page.target("a", 1.0, 1.0, Unit::Ratio);
        page.target("b", 1.01, 1.0, Unit::Ratio);
        assert_eq!(page.missed, 1);
    }
}
