//! The demo where no Bazel can be had: the worker is driven by its protocol, as Bazel would, on the
//! example's own wheels.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::blob;
use crate::client::{self, Client};
use crate::project::{Project, fresh};
use crate::shell::{self, Context as _, Failure, Result, failure};
use crate::table::Align::{Left, Right};
use crate::table::{Table, thousands};
use crate::{install, ui, workspace};

/// Packages that have a layer of their own; the others share one.
const ALONE: [&str; 2] = ["numpy", "pandas"];

/// The Python that runs, as `3.11`.
const VERSION: &str = "import sys; print('%d.%d' % sys.version_info[:2])";

/// A package, or a folder of sources, by name.
type Tree = (String, PathBuf);

/// Shows what can be shown, and says why not all is.
pub(super) fn run(project: &Project, why: &Failure) -> Result<()> {
    ui::heading("there is no Bazel: the worker alone");
    ui::say(why);
    install::all(&[install::CC, install::PYTHON, install::PIP, install::ZSTD])?;
    let worker = project.worker()?;
    let folder = project.folder("demo")?.join("plain");
    fresh(&folder)?;
    let copy = folder.join("webapi");
    workspace::copy(&project.root, "examples/webapi", &copy)?;
    ui::heading("wheels are fetched and unpacked");
    let packages = packages(&copy, &folder)?;

    let (alone, together): (Vec<Tree>, Vec<Tree>) =
        packages.iter().cloned().partition(|(name, _)| ALONE.contains(&&**name));
    let mut layers: Vec<(String, Vec<Tree>)> =
        alone.into_iter().map(|tree| (tree.0.clone(), vec![tree])).collect();
    layers.push(("others".to_owned(), together));
    let sources = ["app", "stats"].map(|name| (name.to_owned(), copy.join(name)));
    layers.push(("sources".to_owned(), sources.into()));

    ui::heading("one worker makes all layers, and makes them again after a line has changed");
    let mut bazel = Client::start(&worker, &folder.join("cache"))?;
    let mut table = Table::new(&[
        ("Layer", Left),
        ("Packages", Right),
        ("Compressed", Right),
        ("First", Right),
        ("Again", Right),
    ]);
    let mut make = |layers: &[(String, Vec<Tree>)]| -> Result<Vec<_>> {
        let made = layers.iter().map(|(name, trees)| {
            let output = folder.join(format!("{name}.tar.gz"));
            let time = bazel.request(&client::request(&output, trees)?)?;
            Ok((output, time))
        });
        made.collect()
    };
    let first = make(&layers)?;
    super::change(&copy)?;
    let again = make(&layers)?;
    for (((name, trees), (output, first)), (_, again)) in layers.iter().zip(&first).zip(&again) {
        let size = fs::metadata(output).context(output.display())?.len();
        let [first, again] = [first, again].map(|time| ui::seconds(*time));
        table.row(vec![name.clone(), thousands(trees.len() as u64), thousands(size), first, again]);
    }

    ui::heading("the application, unpacked from its layers, run with --self-check");
    let root = folder.join("root");
    fresh(&root)?;
    for (output, _) in &again {
        blob::unpack(output, &root)?;
    }
    self_check(&root, &packages)?;
    ui::print(table);
    ui::say(
        "\nNot shown, for want of Bazel: how the rules find packages and group them, which actions \
         run after a change, and what two images share. With bazelisk on PATH the demo shows it.",
    );
    Ok(())
}

/// The example's packages, each unpacked to a tree of its own.
fn packages(copy: &Path, folder: &Path) -> Result<Vec<Tree>> {
    let wheels = folder.join("wheels");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary=:all:", "--require-hashes", "--requirement"])
        .arg(copy.join("requirements.txt"))
        .arg("--dest")
        .arg(&wheels);
    shell::run(&mut pip)?;
    let version = shell::capture(Command::new("python3").args(["-c", VERSION]))?;
    let mut packages = Vec::new();
    for wheel in fs::read_dir(&wheels).context(wheels.display())? {
        let wheel = wheel.context(wheels.display())?.path();
        let file = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = file.split('-').next().unwrap_or_default().to_lowercase();
        let tree = folder.join("trees").join(&name);
        fs::create_dir_all(&tree).context(tree.display())?;
        let mut unpack = Command::new("python3");
        unpack.arg(copy.join("rules/install_wheel.py")).args([&wheel, &tree]).arg(version.trim());
        shell::run(&mut unpack)?;
        packages.push((name, tree));
    }
    packages.sort();
    Ok(packages)
}

/// Runs the unpacked application with this machine's Python.
fn self_check(root: &Path, packages: &[Tree]) -> Result<()> {
    let below = root.join("app.runfiles/pip");
    let mut paths = vec![below.clone()];
    for (name, _) in packages {
        let lib = below.join(name).join("lib");
        for version in fs::read_dir(&lib).context(lib.display())?.flatten() {
            paths.push(version.path().join("site-packages"));
        }
    }
    let paths = std::env::join_paths(paths).context("the paths of packages")?;
    let mut command = Command::new("python3");
    command.arg(below.join("app/main.py")).arg("--self-check").env("PYTHONPATH", paths);
    let answer = shell::capture(&mut command)?;
    ui::print(&answer);
    let answer: Value = serde_json::from_str(&answer).context("the application writes no JSON")?;
    if answer["ok"] == true { Ok(()) } else { Err(failure("the self-check did not go well")) }
}
