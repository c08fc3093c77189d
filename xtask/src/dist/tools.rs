//! The compilers of a release: Zig as C compiler and linker for every platform, and Rust
//! toolchains in a folder of their own, so that nothing is added to this machine's.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Cmd, Shell, cmd};

use crate::project::Project;
use crate::shell::{self, Context as _, Result, failure};
use crate::{install, sid, ui};

/// Zig, and what has cargo link by it, as wheels with the programs in them.
const ZIG: &str = "ziglang==0.17.1";
const ZIGBUILD: &str = "cargo-zigbuild==0.24.1";

/// The oldest macOS that the workers start on: Rust's own for aarch64.
const OLDEST_MACOS: &str = "11.0";

/// A Rust toolchain in a `RUSTUP_HOME` of its own.
#[derive(Debug)]
pub(crate) struct Toolchain {
    home: PathBuf,
    name: String,
}

impl Toolchain {
    /// The toolchain of a version, with the standard libraries of these targets. What is missing
    /// is fetched by the rustup of this machine, whose own toolchains stay as they are.
    pub(crate) fn get(version: &str, targets: &[&str]) -> Result<Self> {
        let home = cache()?.join("rustup");
        let name = format!("{version}-{}", rustc("host")?);
        let folder = home.join("toolchains").join(&name);
        let there = |target: &&str| folder.join("lib/rustlib").join(target).join("lib").exists();
        if !folder.join("bin/cargo").exists() || !targets.iter().all(there) {
            if shell::which("rustup").is_none() {
                return Err(failure("there is no rustup to fetch the standard libraries with"));
            }
            ui::say(format_args!(
                "fetch Rust {version} for {} to {}",
                targets.join(", "),
                home.display()
            ));
            let sh = Shell::new()?;
            cmd!(sh, "rustup toolchain install {version} --profile=minimal --no-self-update")
                .args(targets.iter().map(|target| format!("--target={target}")))
                .env("RUSTUP_HOME", &home)
                .env_remove("RUSTUP_TOOLCHAIN")
                .quiet()
                .run()?;
        }
        Ok(Self { home, name })
    }

    /// A program that runs this toolchain's cargo, by rustup's stand-ins on PATH. It has a target
    /// folder of its own: another compiler would have everything in the usual one compiled again.
    pub(crate) fn command<'a>(
        &self,
        sh: &'a Shell,
        program: &Path,
        project: &Project,
    ) -> Result<Cmd<'a>> {
        let command = sh.cmd(program);
        // Cargo names itself to what it runs, and that is another one.
        let command = ["CARGO", "RUSTC", "RUSTDOC"].into_iter().fold(command, Cmd::env_remove);
        Ok(command
            .env("RUSTUP_HOME", &self.home)
            .env("RUSTUP_TOOLCHAIN", &self.name)
            .env("RUSTUP_AUTO_INSTALL", "0")
            .env("CARGO_TARGET_DIR", project.folder("dist-build")?))
    }
}

/// All that compiles for other platforms.
#[derive(Debug)]
pub(crate) struct Tools {
    toolchain: Toolchain,
    zig: PathBuf,
    zigbuild: PathBuf,
}

impl Tools {
    /// The tools for these targets, fetched if they are not there.
    pub(crate) fn get(targets: &[&str]) -> Result<Self> {
        let folder = cache()?;
        Ok(Self {
            toolchain: Toolchain::get(&rustc("release")?, targets)?,
            zig: install::wheel(&folder.join("zig"), "ziglang/zig", ZIG)?,
            zigbuild: install::wheel(&folder.join("zigbuild"), "bin/cargo-zigbuild", ZIGBUILD)?,
        })
    }

    /// Runs cargo-zigbuild with this subcommand of cargo's.
    fn cargo(&self, project: &Project, subcommand: &str, target: &str) -> Result<()> {
        let sh = project.shell()?;
        let command = self.toolchain.command(&sh, &self.zigbuild, project)?;
        let mut command = command
            .args([subcommand, "--release", "--locked", "--package=pylayer", "--bin=pylayer"])
            .args(["--target", target])
            .env("CARGO_ZIGBUILD_ZIG_PATH", &self.zig)
            .env("CARGO_ZIGBUILD_CACHE_DIR", cache()?.join("zig-cache"));
        if target.ends_with("-apple-darwin") {
            // Zig's own choice is a much newer macOS.
            command = command.env("MACOSX_DEPLOYMENT_TARGET", OLDEST_MACOS);
        }
        Ok(command.quiet().run()?)
    }

    /// Builds the worker; gives its path.
    pub(crate) fn build(&self, project: &Project, target: &str) -> Result<PathBuf> {
        self.cargo(project, "zigbuild", target)?;
        Ok(project.folder("dist-build")?.join(target).join("release/pylayer"))
    }

    /// Checks that the worker compiles, without linking it.
    pub(crate) fn check(&self, project: &Project, target: &str) -> Result<()> {
        self.cargo(project, "check", target)
    }
}

/// What `rustc -vV` says of a field.
fn rustc(field: &str) -> Result<String> {
    let sh = Shell::new()?;
    let text = shell::capture(cmd!(sh, "rustc -vV"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(": "));
    value.map(str::to_owned).ok_or_else(|| failure(format!("`rustc -vV` says no {field}")))
}

/// Where the tools are kept for all checkouts.
fn cache() -> Result<PathBuf> {
    let folder = sid::cache()?.join("pylayer-dist");
    fs::create_dir_all(&folder).context(folder.display())?;
    Ok(folder)
}
