//! The step `dist` of `cargo xtask test`: a release for Linux, tried as its users would.
//!
//! The worker for another processor makes the same bytes, run by qemu; and a machine with neither
//! Rust nor a compiler makes layers from the release's files alone.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use super::tools::Tools;
use super::{Made, Module, Options, TARGETS, make, write};
use crate::project::{Project, fresh};
use crate::shell::{Context as _, Result, failure};
use crate::wheels::{self, Package};
use crate::{install, sid, ui, workspace};

/// Wheels whose layers are compared; one of them has native code.
const REQUIREMENTS: &str = "tests/bazel/rules_python/requirements.txt";

/// Codecs and levels that are compared.
const COMPRESSIONS: &[&str] = &["none", "gzip:1", "gzip:6", "gzip:9", "zstd:3", "zstd:19"];

/// A workspace without Python, so that the root needs none.
const WORKSPACE: &str = "tests/bazel/odd";

const FRESH: &str = include_str!("fresh.sh");
const STRANGER: &str = include_str!("stranger.sh");

/// Runs the step.
pub(crate) fn run(project: &Project) -> Result<()> {
    let targets: Vec<&str> = TARGETS.iter().map(|(_, target)| *target).collect();
    let tools = match Tools::get(&targets) {
        Ok(tools) => tools,
        Err(error) => {
            ui::say(format_args!(
                "skipped: the compilers for other platforms are not here: {error}"
            ));
            return Ok(());
        }
    };
    let folder = project.folder("dist-test")?;
    let dist = folder.join("dist");
    let options = Options {
        platforms: vec!["linux-aarch64".to_owned(), "linux-x86_64".to_owned()],
        url: Some(format!("file://{}", dist.display())),
        ..Options::default()
    };
    let made = make(project, &options, &dist)?;
    if !made.skipped.is_empty() {
        return Err(failure(made.skipped.join("; ")));
    }
    sources_compile(project, &folder, &made)?;
    ui::heading("the worker for macOS compiles");
    tools.check(project, "aarch64-apple-darwin")?;

    let worker = project.worker()?;
    let packages = wheels::from(&project.root.join(REQUIREMENTS), &folder.join("packages"))?;
    if let Err(error) = install::all(&[install::QEMU]) {
        ui::say(format_args!("skipped: the worker for aarch64 is not run: {error}"));
    } else {
        ui::heading("the worker for aarch64, run by qemu, and the static one for x86_64");
        let ours = Runner { name: "this machine's", program: vec![worker.clone()] };
        let binary = |platform: &str| dist.join(format!("{}-{platform}", made.release.name()));
        for other in [
            Runner { name: "x86_64 with musl", program: vec![binary("linux-x86_64")] },
            Runner {
                name: "aarch64",
                program: vec!["qemu-aarch64-static".into(), binary("linux-aarch64")],
            },
        ] {
            same_bytes(&folder, &packages, &ours, &other)?;
        }
    }
    if !sid::is_used()? || std::env::consts::ARCH != "x86_64" {
        ui::say("skipped: no root of Debian sid for x86_64 is in use here, to be without Rust in");
        return Ok(());
    }
    ui::heading("neither Rust nor a compiler");
    stranger(project, &folder, &made.module, &worker)
}

/// The archive has all that the host's cargo needs.
fn sources_compile(project: &Project, folder: &Path, made: &Made) -> Result<()> {
    ui::heading("the sources in the archive compile");
    let unpacked = folder.join("unpacked");
    fresh(&unpacked)?;
    let name = made.release.name();
    let (sh, cargo) = project.cargo()?;
    cmd!(sh, "tar -xzf {folder}/dist/{name}.tar.gz -C {unpacked}").quiet().run()?;
    sh.change_dir(unpacked.join(name));
    let check = cmd!(sh, "{cargo} check --locked --package=pylayer --bin=pylayer");
    Ok(check.env("CARGO_TARGET_DIR", &project.target).quiet().run()?)
}

/// A worker, and how it is run.
struct Runner {
    name: &'static str,
    program: Vec<PathBuf>,
}

impl Runner {
    /// Makes a layer of all packages; gives the blob and its metadata.
    fn layer(&self, folder: &Path, arguments: &[String]) -> Result<[Vec<u8>; 2]> {
        let files = ["layer", "layer.json"].map(|name| folder.join(name));
        let (sh, [blob, metadata]) = (Shell::new()?, &files);
        let (program, before) = (&self.program[0], &self.program[1..]);
        let layer = cmd!(sh, "{program} {before...} layer --output={blob} --metadata={metadata}");
        layer.args(arguments).quiet().run()?;
        let [blob, metadata] = files.map(|file| fs::read(&file).context(file.display()));
        Ok([blob?, metadata?])
    }
}

/// Two workers make the same bytes of the same packages, with their wheels and without.
fn same_bytes(folder: &Path, packages: &[Package], ours: &Runner, other: &Runner) -> Result<()> {
    let mut layers = 0;
    for compression in COMPRESSIONS {
        // Only gzip takes streams from wheels.
        for with_wheels in
            [false, true].into_iter().filter(|with| !with || compression.starts_with("gzip"))
        {
            let mut arguments = vec![format!("--compression={compression}")];
            for Package { name, tree, wheel } in packages {
                arguments.push(format!("--package={name}"));
                let wheel = wheel.as_ref().filter(|_| with_wheels);
                arguments.extend(wheel.map(|wheel| format!("--wheel={}", wheel.display())));
                arguments
                    .extend([format!("--tree={}", tree.display()), format!("--to=app/{name}")]);
            }
            let [one, two] = [ours.layer(folder, &arguments)?, other.layer(folder, &arguments)?];
            if one != two {
                return Err(failure(format!(
                    "the layer of {compression}{} is another one by the worker of {}",
                    if with_wheels { " with wheels" } else { "" },
                    other.name
                )));
            }
            layers += 1;
        }
    }
    ui::done(format_args!(
        "{layers} layers of {} packages are the same by the worker of {}",
        packages.len(),
        other.name
    ));
    Ok(())
}

/// Does what a user does who has the release's files, in a root that has nothing else.
fn stranger(project: &Project, folder: &Path, module: &Module, worker: &Path) -> Result<()> {
    let (copy, tree) = (folder.join("workspace"), folder.join("tree"));
    workspace::copy(&project.root, WORKSPACE, &copy)?;
    fs::create_dir(copy.join("data")).context(copy.display())?;
    write(&copy.join("data/read me.txt"), "A source.\n")?;
    write(&copy.join("MODULE.bazel"), &format!("module(name = \"odd\")\n\n{}", module.lines()))?;
    fresh(&tree)?;
    write(&tree.join("package.py"), &"print(1)\n".repeat(1000))?;
    let (sh, root) = (Shell::new()?, sid::root()?);
    let there = sh.push_dir(folder);
    let layer = cmd!(sh, "{worker} layer --package=tree --tree=tree --to=app --output=expected");
    layer.quiet().run()?;
    drop(there);
    let other = folder.join("other");
    fs::copy(worker, &other).context(other.display())?;
    let scripts = ["fresh.sh", "stranger.sh"].map(|name| folder.join(name));
    write(&scripts[0], FRESH)?;
    write(&scripts[1], STRANGER)?;
    let [fresh, stranger] = &scripts;
    Ok(cmd!(sh, "sh {fresh} {root} {folder} {stranger}").quiet().run()?)
}
