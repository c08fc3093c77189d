//! The crates as crates.io would have them: what is in them, with which Rust they compile, and
//! whether their promise still holds.

use std::fs;
use std::path::Path;

use xshell::cmd;

use crate::dist::tools::Toolchain;
use crate::project::Project;
use crate::shell::{Context as _, Result, failure};
use crate::ui;

/// What compares public items, compiled by cargo: it takes minutes.
const SEMVER_CHECKS: &str = "cargo-semver-checks@0.51.0";

/// What is promised from, before there is a tag of a release.
const FIRST_PROMISE: &str = "f5d2a36de25b8aef276e163c4302b612f9b371ad";

/// Packs both crates, compiles them from what was packed, and uploads nothing.
pub(crate) fn package(project: &Project) -> Result<()> {
    let (sh, cargo) = project.cargo()?;
    let publish = cmd!(sh, "{cargo} publish --dry-run --locked --quiet");
    // Changes need not be committed to be tested.
    let publish = publish.args(["--allow-dirty", "--package=worker_protocol", "--package=pylayer"]);
    Ok(publish.quiet().run()?)
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
    let sh = project.shell()?;
    let check = toolchain
        .command(&sh, Path::new("cargo"), project)?
        .args(["check", "--locked", "--package=worker_protocol", "--package=pylayer"])
        .args(["--lib", "--bins", "--all-features"]);
    Ok(check.quiet().run()?)
}

/// Compares the public items of `worker_protocol` with those of the last release.
pub(crate) fn semver(project: &Project) -> Result<()> {
    let tools = project.folder("tools/cargo")?;
    let (program, stamp) = (tools.join("bin/cargo-semver-checks"), tools.join("semver-version"));
    let (sh, cargo) = project.cargo()?;
    if !fs::read_to_string(&stamp).is_ok_and(|text| text == SEMVER_CHECKS) {
        ui::heading("cargo-semver-checks");
        cmd!(sh, "{cargo} install --locked --quiet {SEMVER_CHECKS} --root {tools}")
            .quiet()
            .run()?;
        fs::write(&stamp, SEMVER_CHECKS).context(stamp.display())?;
    }
    let tag = cmd!(sh, "git describe --tags --abbrev=0 --match=v*");
    let tag = tag.ignore_status().ignore_stderr().read()?;
    let baseline = if tag.is_empty() { FIRST_PROMISE } else { &tag };
    let check = cmd!(sh, "{program} semver-checks --package=worker_protocol --all-features");
    Ok(check.args(["--baseline-rev", baseline]).quiet().run()?)
}
