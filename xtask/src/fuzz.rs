//! `cargo xtask fuzz`: the targets of `fuzz/`, each for some seconds, from its committed corpus.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::install;
use crate::project::Project;
use crate::shell::{self, Context as _, Result, failure};
use crate::table::Align::{Left, Right};
use crate::table::{Table, thousands};
use crate::ui;

/// libFuzzer's instrumentation with a stable compiler; cargo-fuzz adds a sanitizer, which needs a
/// nightly one and would find nothing where `unsafe` is forbidden.
const FLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// What to run.
#[derive(Debug)]
pub(crate) struct Options {
    /// These targets, or all.
    pub(crate) targets: Vec<String>,
    /// For how long, each.
    pub(crate) seconds: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { targets: Vec::new(), seconds: 20 }
    }
}

/// Runs the targets; fails with the input that one of them failed for.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    install::all(&[install::CC, install::CXX])?;
    let all = targets(project)?;
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        return Err(failure(format!("no fuzz target `{unknown}`; there are {}", all.join(", "))));
    }
    let programs = build(project)?;
    let mut table = Table::new(&[("Target", Left), ("Inputs", Right), ("Coverage", Right)]);
    for name in
        all.iter().filter(|name| options.targets.is_empty() || options.targets.contains(name))
    {
        ui::heading(format_args!("fuzz {name} for {} seconds", options.seconds));
        let [inputs, coverage] = fuzz(project, &programs.join(name), name, options.seconds)?;
        table.row(vec![name.clone(), thousands(inputs), thousands(coverage)]);
    }
    ui::print(format_args!("\n{table}"));
    Ok(())
}

/// The targets: each has a corpus.
fn targets(project: &Project) -> Result<Vec<String>> {
    let names = |folder: &str| -> Result<Vec<String>> {
        let folder = project.root.join(folder);
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).context(folder.display())? {
            let name = entry.context(folder.display())?.file_name();
            names.push(name.to_string_lossy().trim_end_matches(".rs").to_owned());
        }
        names.sort();
        Ok(names)
    };
    let (sources, corpora) = (names("fuzz/src")?, names("fuzz/corpus")?);
    if sources == corpora {
        Ok(sources)
    } else {
        Err(failure(format!("fuzz/src has {sources:?}, and fuzz/corpus {corpora:?}")))
    }
}

/// Builds the targets; gives the folder of their programs.
fn build(project: &Project) -> Result<PathBuf> {
    // With a target of its own, build scripts and macros are not instrumented.
    let (sh, cargo) = project.cargo()?;
    let version = shell::capture(cmd!(sh, "rustc -vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or_else(|| failure("`rustc -vV` names no host"))?;
    let target = project.folder("fuzz")?;
    let build = cmd!(sh, "{cargo} build --release --locked --target={host}");
    let build = build.args(["--manifest-path", "fuzz/Cargo.toml"]).env("RUSTFLAGS", FLAGS);
    build.env("CARGO_TARGET_DIR", &target).quiet().run()?;
    Ok(target.join(host).join("release"))
}

/// Runs one target; gives the number of inputs, and of edges that they have gone along.
fn fuzz(project: &Project, program: &Path, name: &str, seconds: u32) -> Result<[u64; 2]> {
    let found = project.folder(&format!("fuzz/found/{name}"))?;
    let failed = project.folder("fuzz/failed")?.join(format!("{name}-"));
    let (corpus, seconds) = (project.root.join("fuzz/corpus").join(name), seconds.to_string());
    let sh = Shell::new()?;
    let output =
        cmd!(sh, "{program} {found} {corpus} -max_total_time={seconds} -artifact_prefix={failed}");
    let output = output.ignore_stdout().ignore_status().output()?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        ui::say(&log);
        return Err(failure(format!(
            "the fuzz target {name} fails; {}… has its input",
            failed.display()
        )));
    }
    let done = log.lines().find(|line| line.contains("DONE"));
    let numbers = done.and_then(|line| {
        let mut words = line.split_whitespace();
        let inputs = words.next()?.strip_prefix('#')?.parse().ok()?;
        let coverage = words.skip_while(|word| *word != "cov:").nth(1)?.parse().ok()?;
        Some([inputs, coverage])
    });
    // Without coverage the fuzzer gropes in the dark: the instrumentation is missing.
    numbers.ok_or_else(|| failure(format!("the fuzz target {name} reports no coverage")))
}
