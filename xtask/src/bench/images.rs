//! 20 images over one closure of 60 wheels, by Bazel: with the worker, and with bsdtar in its place.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use xshell::{Shell, cmd};

use super::page::{Page, Unit};
use super::{median, ratio};
use crate::bazel::Bazel;
use crate::project::{Project, fresh};
use crate::shell::{self, Context as _, Result, failure};
use crate::table::Align::{Left, Right};
use crate::table::Table;
use crate::wheels::{self, Package};
use crate::{ui, workspace};

pub(super) const IMAGES: usize = 20;

/// Packages that get layers of their own; the others are squashed, in each image.
pub(super) const ALONE: &[&str] =
    &["llvmlite", "matplotlib", "numpy", "opencv_python_headless", "pandas", "pyarrow", "scipy"];

/// A group of those that change together, merged into one layer.
pub(super) const WEB: &[&str] =
    &["asgiref", "click", "django", "flask", "itsdangerous", "jinja2", "werkzeug"];

/// Where actions run: the peer is no worker, and has nothing to gain from a sandbox.
const PEER: &[&str] = &[
    "--strategy=PyImageSegment=local",
    "--strategy=PyImagePkgLayer=local",
    "--strategy=PyImageMergedLayer=local",
    "--strategy=PyImageLayer=local",
    "--strategy=PyImageLayerValidate=local",
];

/// The checker finds the squashed layers too large, and it is not what is measured.
pub(super) const UNCHECKED: &str = "--norun_validations";

/// What one way of making layers cost, for the whole build.
#[derive(Clone, Copy, Debug)]
struct Side {
    wall: Duration,
    cpu: Duration,
}

/// Measures both, in turns.
pub(super) fn run(project: &Project, worker: &Path, runs: usize, page: &mut Page) -> Result<()> {
    let folder = workspace(project)?;
    let script = project.root.join("benches/bsdtar_layer.py");
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        ui::heading(format_args!("{IMAGES} images, run {run} of {runs}: pylayer"));
        ours.push(build(project, &folder, worker, &[])?);
        ui::heading(format_args!("{IMAGES} images, run {run} of {runs}: bsdtar"));
        peers.push(build(project, &folder, &script, PEER)?);
    }
    let mut table = Table::markdown(&[
        ("Layers by", Left),
        ("CPU", Right),
        ("Ratio", Right),
        ("Wall", Right),
        ("Ratio", Right),
    ]);
    let middle = |sides: &[Side]| Side {
        wall: median(sides.iter().map(|side| side.wall)),
        cpu: median(sides.iter().map(|side| side.cpu)),
    };
    let (ours, peer) = (middle(&ours), middle(&peers));
    let share = |of: fn(&Side) -> Duration| ratio(of(&ours).as_secs_f64(), of(&peer).as_secs_f64());
    let (cpu, wall) = (share(|side| side.cpu), share(|side| side.wall));
    for (name, side, [cpu, wall]) in
        [("bsdtar, gzip 6", peer, [1.0, 1.0]), ("pylayer, gzip 6", ours, [cpu, wall])]
    {
        table.row(vec![
            name.to_owned(),
            ui::seconds(side.cpu),
            format!("{cpu:.3}"),
            ui::seconds(side.wall),
            format!("{wall:.3}"),
        ]);
    }
    page.section("images", &table);
    let case = "20 images of 60 wheels, `bazel build` from nothing";
    page.target(&format!("{case}: CPU of the same with bsdtar"), cpu, 0.157, Unit::Ratio);
    page.target(&format!("{case}: wall of the same with bsdtar"), wall, 0.161, Unit::Ratio);
    Ok(())
}

/// The workspace of the images.
pub(super) fn workspace(project: &Project) -> Result<PathBuf> {
    ui::heading("fetch the wheels of `images`");
    let packages = wheels::packages(project, "images")?;
    let folder = project.folder("bench/images-workspace")?;
    generate(project, &folder, &packages)?;
    Ok(folder)
}

/// An empty folder for Bazel's output.
pub(super) fn fresh_output(project: &Project, name: &str) -> Result<PathBuf> {
    let output = project.folder("bench")?.join(name);
    if output.exists() {
        // Bazel's outputs are not to be written to, their folders included.
        let sh = Shell::new()?;
        cmd!(sh, "chmod -R u+w {output}").quiet().run()?;
    }
    fresh(&output)?;
    Ok(output)
}

/// Builds all images with a fresh Bazel; the server, and all that it started, is gone after.
fn build(project: &Project, workspace: &Path, worker: &Path, options: &[&str]) -> Result<Side> {
    let output = fresh_output(project, "images-bazel")?;
    let bazel = Bazel::new(workspace, &output, worker)?;
    // The worker, the toolchains and the server are there before the clock starts.
    let images: Vec<String> = (0..IMAGES).map(|image| format!("//:image{image}")).collect();
    shell::run(bazel.building("build").arg("--nobuild").args(&images).args(options))?;
    let server = bazel.server()?;
    let before = cpu(&server)?;
    let start = Instant::now();
    shell::run(bazel.building("build").arg(UNCHECKED).args(&images).args(options))?;
    let wall = start.elapsed();
    // Workers count once they have ended.
    shell::run(
        bazel.building("build").args(["//:none", "--worker_quit_after_build"]).args(options),
    )?;
    let cpu = cpu(&server)?.saturating_sub(before);
    drop(bazel);
    ui::say(format_args!("{} of CPU time, {} of wall time", ui::seconds(cpu), ui::seconds(wall)));
    Ok(Side { wall, cpu })
}

/// What Bazel says of a build, and the build's CPU time after its analysis: the server's and that of
/// the workers that it started, which have ended after it.
pub(super) fn cost(bazel: &Bazel, target: &str, options: &[&str]) -> Result<(String, Duration)> {
    shell::run(bazel.building("build").args(["--nobuild", target]).args(options))?;
    let server = bazel.server()?;
    let before = cpu(&server)?;
    let output = shell::output(bazel.building("build").arg(target).args(options))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(failure(said));
    }
    // Workers count once they have ended.
    shell::run(
        bazel.building("build").args(["//:none", "--worker_quit_after_build"]).args(options),
    )?;
    Ok((said, cpu(&server)?.saturating_sub(before)))
}

/// The CPU time of a process and of its children that have ended.
fn cpu(process: &str) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).context(&path)?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // utime, stime, cutime and cstime (proc(5)), in hundredths of a second.
    let ticks: u64 = fields.skip(11).take(4).filter_map(|text| text.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// Writes the workspace.
fn generate(project: &Project, folder: &Path, packages: &[Package]) -> Result<()> {
    workspace::copy(&project.root, "examples/webapi", folder)?;
    for name in ["app", "batch", "stats"] {
        fs::remove_dir_all(folder.join(name)).context(name)?;
    }
    let file = |name: &str, text: String| {
        let path: PathBuf = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).context(parent.display())?;
        }
        fs::write(&path, text).context(path.display())
    };
    let module = fs::read_to_string(folder.join("MODULE.bazel")).context("MODULE.bazel")?;
    // Wheels are in a folder of the workspace, and there is no interpreter of its own.
    let module = module.split("wheels = use_extension").next().unwrap_or_default();
    let pip = "bazel_dep(name = \"pip\", version = \"0\")\n\
               local_path_override(module_name = \"pip\", path = \"pip\")\n";
    file("MODULE.bazel", format!("{module}\n{pip}"))?;
    let webapi = "bazel_dep(name = \"webapi\", version = \"\")\n";
    file("pip/MODULE.bazel", format!("module(name = \"pip\", version = \"0\")\n{webapi}"))?;
    for Package { name, wheel, .. } in packages {
        let Some(wheel) = wheel else { continue };
        let install = target(
            "wheel_install",
            name,
            &format!(
                "python = \"3.13\", wheel = \"{name}.whl\", visibility = [\"//visibility:public\"]"
            ),
        );
        let load = "load(\"@webapi//rules:wheel_install.bzl\", \"wheel_install\")\n";
        file(&format!("pip/{name}/BUILD.bazel"), format!("{load}{install}"))?;
        let path = folder.join(format!("pip/{name}/{name}.whl"));
        symlink(wheel, &path).context(path.display())?;
    }
    let groups = ALONE.iter().map(|name| (name, *name)).chain(WEB.iter().map(|name| (name, "web")));
    let groups: Vec<String> =
        groups.map(|(name, group)| format!("\"@pip//{name}\": \"{group}\"")).collect();
    let deps: Vec<String> =
        packages.iter().map(|package| format!("\"@pip//{}\"", package.name)).collect();
    let deps = deps.join(", ");
    let mut build = vec![
        "load(\"@pylayer//py:defs.bzl\", \"py_image_layer\", \"py_layer_tier\")\n".to_owned(),
        "load(\"@rules_python//python:defs.bzl\", \"py_binary\")\n".to_owned(),
        target("filegroup", "none", ""),
        target("py_layer_tier", "tier", &format!("groups = {{{}}}", groups.join(", "))),
    ];
    for image in 0..IMAGES {
        let app = format!("app{image}");
        file(&format!("{app}.py"), format!("print({image})\n"))?;
        build.push(target("py_binary", &app, &format!("srcs = [\"{app}.py\"], deps = [{deps}]")));
        let of_image = format!("binary = \":{app}\", layer_tier = \":tier\"");
        build.push(target("py_image_layer", &format!("image{image}"), &of_image));
    }
    let labels: Vec<String> = (0..IMAGES).map(|image| format!("\":image{image}\"")).collect();
    build.push(target("filegroup", "images", &format!("srcs = [{}]", labels.join(", "))));
    let merged = |names: &[&str]| {
        let names: Vec<String> =
            names.iter().map(|name| format!("\"@pip//{name}\": \"all\"")).collect();
        format!("groups = {{{}}}", names.join(", "))
    };
    build.push(target("py_layer_tier", "merging", &merged(&[ALONE, WEB].concat())));
    let of_image = "binary = \":app0\", layer_tier = \":merging\"";
    build.push(target("py_image_layer", "other_tier", of_image));
    file("BUILD.bazel", build.concat())
}

/// A target of a BUILD file.
fn target(rule: &str, name: &str, attributes: &str) -> String {
    format!("\n{rule}(name = \"{name}\", {attributes})\n")
}
