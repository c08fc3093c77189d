//! The crates as crates.io would have them: what is in them, with which Rust they compile, and
//! whether their promise still holds.

use std::fs;
use std::process::Command;

use crate::dist::tools::Toolchain;
use crate::project::Project;
use crate::shell::{self, Context as _, Result, failure};
use crate::ui;

/// What compares public items, compiled by cargo: it takes minutes.
const SEMVER_CHECKS: &str = "cargo-semver-checks@0.51.0";

/// What is promised from, before there is a tag of a release.
const FIRST_PROMISE: &str = "f5d2a36de25b8aef276e163c4302b612f9b371ad";

/// Packs both crates, compiles them from what was packed, and uploads nothing.
pub(crate) fn package(project: &Project) -> Result<()> {
    let mut publish = project.cargo(&["publish", "--dry-run", "--locked", "--quiet"]);
    // Changes need not be committed to be tested.
    publish.args(["--allow-dirty", "--package=worker_protocol", "--package=pylayer"]);
    shell::run(&mut publish)
}

/// Compiles both crates with the oldest Rust that they promise to work with.
pub(crate) fn msrv(project: &Project) -> Result<()> {
    let manifest = project.root.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).context(manifest.display())?;
    let version =
        text.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let version = version.ok_or_else(|| failure("Cargo.toml has no rust-version"))?;
    let toolchain = match Toolchain::get(version, &[]) {
        Ok(toolchain) => toolchain,
        Err(error) => {
            ui::say(format_args!("skipped: Rust {version} is not to be had here: {error}"));
            return Ok(());
        }
    };
    let mut check = toolchain.cargo(project)?;
    check.args(["check", "--locked", "--package=worker_protocol", "--package=pylayer"]);
    shell::run(check.args(["--lib", "--bins", "--all-features"]))
}

/// Compares the public items of `worker_protocol` with those of the last release.
pub(crate) fn semver(project: &Project) -> Result<()> {
    let tools = project.folder("tools/cargo")?;
    let (program, stamp) = (tools.join("bin/cargo-semver-checks"), tools.join("semver-version"));
    if !fs::read_to_string(&stamp).is_ok_and(|text| text == SEMVER_CHECKS) {
        ui::heading("cargo-semver-checks");
        let mut cargo = project.cargo(&["install", "--locked", "--quiet", SEMVER_CHECKS, "--root"]);
        shell::run(cargo.arg(&tools))?;
        fs::write(&stamp, SEMVER_CHECKS).context(stamp.display())?;
    }
    let mut git = Command::new("git");
    git.args(["describe", "--tags", "--abbrev=0", "--match=v*"]).current_dir(&project.root);
    let tag = shell::output(&mut git)?;
    let tag = String::from_utf8_lossy(&tag.stdout).trim().to_owned();
    let baseline = if tag.is_empty() { FIRST_PROMISE } else { &tag };
    let mut check = Command::new(program);
    check.args(["semver-checks", "--package=worker_protocol", "--all-features"]);
    shell::run(check.args(["--baseline-rev", baseline]).current_dir(&project.root))
}
