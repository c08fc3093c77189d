//! `cargo xtask demo`: the example's layers, made, made again, and shared; and their image, which runs.

mod without_bazel;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use xshell::{Cmd, Shell, cmd};

use crate::bazel::{self, Action, Bazel, Build, Layer};
use crate::blob::{self, Contents};
use crate::project::{Project, fresh};
use crate::shell::{self, Context as _, Result, failure};
use crate::table::Align::{Left, Right};
use crate::table::{Table, thousands};
use crate::{install, sid, ui, workspace};

/// What a demo needs of the machine.
const NEEDS: &[install::Need] = &[install::CC, install::PYTHON, install::PIP, install::ZSTD];

/// The layers that are made again and again.
const LAYERS: &str = "//:image";

/// The image of them, and its name.
const IMAGE: &str = "//:webapi";
const IMAGE_NAME: &str = "webapi";

/// What is changed for the second build, and into what.
const CHANGE: (&str, &str, &str) = (
    "app/main.py",
    "\"\"\"Statistics of the values in the request.\"\"\"",
    "\"\"\"Statistics of the values that the request has.\"\"\"",
);

/// Shows it.
pub(crate) fn run(project: &Project) -> Result<()> {
    let start = Instant::now();
    install::all(NEEDS)?;
    ui::heading("build the worker");
    let worker = project.worker()?;
    if let Err(why) = sid::bazel() {
        return without_bazel::run(project, &worker, &why);
    }

    let folder = project.folder("demo")?;
    let copy = folder.join("webapi");
    workspace::copy(&project.root, "examples/webapi", &copy)?;
    let bazel = Bazel::new(&copy, &folder.join("bazel"), &worker)?.shown();
    forget(&bazel)?;
    // What a team has as a remote cache.
    let disk_cache = folder.join("disk-cache");
    fresh(&disk_cache)?;
    let shared_cache = format!("--disk_cache={}", disk_cache.display());

    ui::heading("first build: wheels are fetched and installed, and all layers are made");
    let mut cache = CacheLog::new(&worker, bazel.output_base()?.join("pylayer"));
    let first = build(&bazel, LAYERS, &shared_cache)?;
    cache.after("first")?;
    // Read now: the builds that follow write the same files.
    let digests = digests(&first.layers)?;

    ui::heading(format_args!("second build: one line of {} has changed", CHANGE.0));
    change(&copy)?;
    let second = build(&bazel, LAYERS, &shared_cache)?;
    cache.after("second: one line changed")?;
    let changed = self::digests(&second.layers)?;
    ui::heading("third build: after `bazel clean`, which also ends the worker");
    bazel.clean()?;
    let third = build(&bazel, LAYERS, &shared_cache)?;
    cache.after("third: after `bazel clean`")?;
    if self::digests(&third.layers)? != changed {
        return Err(failure("the third build's layers are not those of the second"));
    }

    ui::heading(
        "the same application without a tier: all packages in one layer, the interpreter with the sources",
    );
    build(&bazel, "//:image_without_tier", &shared_cache)?;
    cache.after("another tier")?;
    ui::heading("another image: a batch job with numpy and pandas");
    let batch = build(&bazel, "//:batch_image", &shared_cache)?;
    cache.after("another image")?;
    let shared = sharing(&third, &batch)?;

    ui::heading("a second machine: another output base, which shares Bazel's own cache");
    let other = Bazel::new(&copy, &folder.join("other-machine"), &worker)?.shown();
    forget(&other)?;
    let elsewhere = build(&other, LAYERS, &shared_cache)?;
    if elsewhere.actions.iter().any(|action| action.is_segment() && action.runner == "worker") {
        return Err(failure("the second machine compressed a package that the first one had"));
    }
    if self::digests(&elsewhere.layers)? != changed {
        return Err(failure("the second machine's layers are not those of the first"));
    }

    ui::heading("the image of these layers, and a page of what is in it");
    let (image, page) = self::image(&bazel, &shared_cache, &folder)?;
    let contents = run_image(&image, &third.layers, &folder.join("root"), self_check)?;

    ui::heading("what was built");
    let builds = [&first, &second, &third];
    ui::print(table(&contents, &digests, &changed, &builds));
    ui::print(
        "\nFirst, second, third: how long the layer's action took; - where it did not run.\n\n",
    );
    ui::print(format_args!("{}\n", cache.table));
    ui::heading("what the two images share");
    ui::print(shared);
    show_image(&image, &page);
    ui::done(format_args!("demo: {}", ui::seconds(start.elapsed())));
    Ok(())
}

/// Builds the image and its page, which is copied to `folder`; gives their paths.
fn image(bazel: &Bazel, option: &str, folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let start = Instant::now();
    let mut build = bazel.building("build");
    shell::run(build.args([IMAGE, "--output_groups=+report", "--show_result=0", option]))?;
    ui::done(ui::seconds(start.elapsed()));
    let bin = bazel.bin()?;
    let name = format!("{IMAGE_NAME}.html");
    let page = folder.join(&name);
    fs::copy(bin.join(&name), &page).context(page.display())?;
    Ok((bin.join(IMAGE_NAME), page))
}

/// Unpacks an image's layers from its layout, and runs the application from there.
fn run_image(
    image: &Path,
    layers: &[Layer],
    root: &Path,
    self_check: impl FnOnce(&Path) -> Result<()>,
) -> Result<Vec<(Layer, Contents, u64)>> {
    ui::heading(format_args!("tar unpacks the image's layers in order into {}", root.display()));
    let contents = unpack(image, layers, root)?;
    ui::heading("the application, run from there with --self-check");
    self_check(root)?;
    Ok(contents)
}

/// Says where the image is, and where to look at it.
fn show_image(image: &Path, page: &Path) {
    ui::heading("the image");
    ui::say(format_args!("an OCI image layout: {}", image.display()));
    ui::say(format_args!("what is in it, for a browser: {}", page.display()));
}

/// Shows what can be shown without a Bazel.
pub(crate) fn run_without_bazel(project: &Project) -> Result<()> {
    install::all(NEEDS)?;
    without_bazel::run(project, &project.worker()?, &failure("--without-bazel was given"))
}

/// Forgets an earlier demo, save what it has fetched.
fn forget(bazel: &Bazel) -> Result<()> {
    let output_base = bazel.output_base()?;
    bazel.clean()?;
    // The worker's own cache outlives `bazel clean`.
    fresh(&output_base.join("pylayer"))
}

/// Changes one line of a source.
fn change(copy: &Path) -> Result<()> {
    let (file, from, to) = CHANGE;
    let file = copy.join(file);
    let text = fs::read_to_string(&file).context(file.display())?;
    if !text.contains(from) {
        return Err(failure(format!("{} has no line with `{from}` to change", file.display())));
    }
    fs::write(&file, text.replacen(from, to, 1)).context(file.display())
}

/// How many packages each build found compressed in the worker's cache.
struct CacheLog<'a> {
    worker: &'a Path,
    folder: PathBuf,
    before: [u64; 2],
    table: Table,
}

impl<'a> CacheLog<'a> {
    fn new(worker: &'a Path, folder: PathBuf) -> Self {
        let table = Table::new(&[
            ("Build", Left),
            ("Packages found in the cache", Right),
            ("Compressed", Right),
        ]);
        Self { worker, folder, before: [0, 0], table }
    }

    /// Adds a row with what has been counted since the last one.
    fn after(&mut self, build: &str) -> Result<()> {
        let (sh, Self { worker, folder, .. }) = (Shell::new()?, &*self);
        let stat = shell::capture(cmd!(sh, "{worker} cache stat --json --cache-dir {folder}"))?;
        let stat: Value =
            serde_json::from_str(&stat).context("`pylayer cache stat --json` writes no JSON")?;
        let now = ["hits", "misses"].map(|key| stat[key].as_u64().unwrap_or_default());
        let [hits, misses] = [0, 1].map(|at| now[at].saturating_sub(self.before[at]));
        self.table.row(vec![build.to_owned(), thousands(hits), thousands(misses)]);
        self.before = now;
        Ok(())
    }
}

/// All layers of two images, and what is made once for both.
fn sharing(one: &Build, other: &Build) -> Result<String> {
    let mut table = Table::new(&[
        ("Layer", Left),
        ("Bytes", Right),
        ("Web API's image", Left),
        ("Batch job's image", Left),
    ]);
    let has = |build: &Build, layer: &Layer| build.layers.iter().any(|own| own.blob == layer.blob);
    let only_other = other.layers.iter().filter(|layer| !has(one, layer));
    let (mut all, mut shared) = ([0, 0], [0, 0]);
    for layer in one.layers.iter().chain(only_other) {
        let bytes = fs::metadata(&layer.blob).context(layer.blob.display())?.len();
        let (in_one, in_other) = (has(one, layer), has(other, layer));
        let cell = |has| if has { "yes" } else { "" }.to_owned();
        let in_other_cell = if in_one && in_other { "the same".to_owned() } else { cell(in_other) };
        table.row(vec![name(layer), thousands(bytes), cell(in_one), in_other_cell]);
        for (sum, counts) in [(&mut all, in_other), (&mut shared, in_one && in_other)] {
            if counts {
                *sum = [sum[0] + 1, sum[1] + bytes];
            }
        }
    }
    if shared[0] == 0 {
        return Err(failure("the two images share no layer"));
    }
    Ok(format!(
        "{table}\nOf the batch job's {} layers ({} bytes) {} ({} bytes) are the web API's: made \
         once, stored once, pulled once.\n",
        all[0],
        thousands(all[1]),
        shared[0],
        thousands(shared[1]),
    ))
}

fn build(bazel: &Bazel, image: &str, option: &str) -> Result<Build> {
    let build = bazel.build(image, &[option])?;
    if !build.success {
        return Err(failure(format!("`bazel build {image}` failed")));
    }
    let count = |of: &dyn Fn(&&Action) -> bool| build.actions.iter().filter(of).count();
    let by_worker = |action: &&Action| action.runner == "worker";
    ui::done(format_args!(
        "{}; {} packages compressed for layers of several, {} of {} layers made, by the worker; \
         {} files from Bazel's cache",
        ui::seconds(build.time),
        count(&|action| action.is_segment() && by_worker(action)),
        count(&|action| action.is_layer() && by_worker(action)),
        build.layers.len(),
        count(&|action| action.runner.ends_with("cache hit")),
    ));
    Ok(build)
}

/// What the metadata says is each blob's digest.
fn digests(layers: &[Layer]) -> Result<Vec<String>> {
    let digests = layers.iter().map(|layer| {
        let text = fs::read_to_string(&layer.metadata).context(layer.metadata.display())?;
        let metadata: Value = serde_json::from_str(&text).context(layer.metadata.display())?;
        Ok(metadata["digest"].as_str().unwrap_or_default().to_owned())
    });
    digests.collect()
}

fn unpack(image: &Path, layers: &[Layer], root: &Path) -> Result<Vec<(Layer, Contents, u64)>> {
    fresh(root)?;
    let mut seen = BTreeSet::new();
    let mut unpacked = Vec::new();
    for (layer, digest) in layers.iter().zip(digests(layers)?) {
        let blob = image.join("blobs").join(digest.replace(':', "/"));
        let size = fs::metadata(&blob).context(blob.display())?.len();
        let contents = blob::unpack(&blob, root)?;
        for destination in &contents.destinations {
            if !seen.insert(destination.clone()) {
                return Err(failure(format!("{destination} is in two layers")));
            }
        }
        ui::say(name(layer));
        unpacked.push((layer.clone(), contents, size));
    }
    Ok(unpacked)
}

/// Runs the unpacked application as a container would, with next to nothing around it: the image
/// has its interpreter, and of this machine come `env` and the C library.
fn self_check(root: &Path) -> Result<()> {
    let python = bazel::repository(&root.join("app.runfiles"), "python")?;
    let path = format!("{}:/usr/bin:/bin", python.join("bin").display());
    let (sh, app) = (Shell::new()?, root.join("app"));
    let command = cmd!(sh, "{app} --self-check").env_clear().env("PATH", path);
    self_checked(command.env("LD_LIBRARY_PATH", python.join("lib")))
}

/// Runs a command that has to answer that all is well.
fn self_checked(command: Cmd<'_>) -> Result<()> {
    let answer = shell::capture(command)?;
    ui::print(&answer);
    let answer: Value = serde_json::from_str(&answer).context("the application writes no JSON")?;
    if answer["ok"] != true {
        return Err(failure("the application's self-check did not go well"));
    }
    Ok(())
}

fn table(
    contents: &[(Layer, Contents, u64)],
    digests: &[String],
    changed: &[String],
    builds: &[&Build; 3],
) -> Table {
    let mut table = Table::new(&[
        ("Layer", Left),
        ("Packages", Right),
        ("Files", Right),
        ("Bytes", Right),
        ("Compressed", Right),
        ("Digest", Left),
        ("First", Right),
        ("Second", Right),
        ("Third", Right),
        ("Digest after the change", Left),
    ]);
    for (((layer, contents, size), digest), after) in contents.iter().zip(digests).zip(changed) {
        let mut row = vec![
            name(layer),
            thousands(contents.packages),
            thousands(contents.files),
            thousands(contents.bytes),
            thousands(*size),
            short(digest),
        ];
        row.extend(builds.iter().map(|build| time(build, layer)));
        row.push(if digest == after { "the same".to_owned() } else { short(after) });
        table.row(row);
    }
    let sum = |of: fn(&Contents) -> u64| {
        thousands(contents.iter().map(|(_, contents, _)| of(contents)).sum())
    };
    let mut row = vec![
        "all, and the build".to_owned(),
        sum(|contents| contents.packages),
        sum(|contents| contents.files),
        sum(|contents| contents.bytes),
        thousands(contents.iter().map(|(_, _, size)| size).sum()),
        String::new(),
    ];
    row.extend(builds.iter().map(|build| ui::seconds(build.time)));
    row.push(String::new());
    table.row(row);
    table
}

/// What a layer is called: its file's name without what all have.
fn name(layer: &Layer) -> String {
    layer.blob.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn short(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(12).collect()
}

fn time(build: &Build, layer: &Layer) -> String {
    match build.actions.iter().find(|action| action.made(&layer.blob)) {
        Some(action) => action.time.map_or("made".to_owned(), |time: Duration| ui::seconds(time)),
        None => "-".to_owned(),
    }
}
