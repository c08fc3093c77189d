//! What it costs and spares that segments are actions: inputs, disk, what a change makes again, and
//! what another machine has to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;
use worker_protocol::messages::{Input, WorkRequest};
use xshell::{Shell, cmd};

use super::page::{Page, Unit};
use super::{images, ratio, whole};
use crate::bazel::{Action, Bazel, Build};
use crate::project::Project;
use crate::shell::{self, Context as _, Result, failure};
use crate::sid::Remote;
use crate::table::Align::{Left, Right};
use crate::table::{Table, thousands};
use crate::ui;

/// A package that is squashed into the last layer but one of every image.
const CHANGED: &str = "rich";

/// All layers of all images.
const IMAGES: &str = "//:images";

/// Measures it all.
pub(super) fn run(project: &Project, worker: &Path, page: &mut Page) -> Result<()> {
    let workspace = images::workspace(project)?;
    let output = images::fresh_output(project, "actions-bazel")?;
    // Neither this build nor those that it is compared with have Bazel report what it does.
    ui::heading("all images from nothing, without a remote cache");
    let alone = Bazel::new(&workspace, &output.join("alone"), worker)?;
    let (_, cold_cpu) = images::cost(&alone, IMAGES, &[images::UNCHECKED])?;
    drop(alone);

    let remote = Remote::start()?;
    let cache = format!("--remote_cache={}", remote.address());
    let options = [&*cache, images::UNCHECKED];
    ui::heading("all images from nothing, into a remote cache");
    let bazel = Bazel::new(&workspace, &output.join("one"), worker)?;
    let cold = bazel.build(IMAGES, &options)?;
    if !cold.success {
        return Err(failure(cold.said));
    }
    let base = bazel.output_base()?;
    inputs(&cold, &base, page)?;
    disk(&base, page)?;

    ui::heading(format_args!("{CHANGED} has another file"));
    change(&workspace.join(format!("pip/{CHANGED}/{CHANGED}.whl")))?;
    let changed = bazel.build(IMAGES, &options)?;
    if !changed.success {
        return Err(failure(changed.said));
    }
    section(&cold, &changed, page);
    drop(bazel);

    // Bazel downloads all, what was asked for (its default since 7.0), or nothing. The last time its
    // server has built before.
    let other = |name: &str| Bazel::new(&workspace, &output.join(name), worker);
    let minimal = other("minimal")?;
    for (files, download, server) in [
        ("all files copied", "all", &other("all")?),
        ("the layers copied", "toplevel", &other("toplevel")?),
        ("no file copied", "minimal", &minimal),
        ("no file copied, server warm", "minimal", &minimal),
    ] {
        ui::heading(format_args!("another machine, with the remote cache: {files}"));
        server.clean()?;
        let download = format!("--remote_download_outputs={download}");
        let (said, warm_cpu) =
            images::cost(server, IMAGES, &[&cache, images::UNCHECKED, &download])?;
        // "INFO: 247 processes: 180 remote cache hit, 67 internal."
        let ran = said.lines().find(|line| line.contains(" processes: "));
        if !ran.is_some_and(|ran| ran.contains(" remote cache hit, ") && !ran.contains("worker")) {
            return Err(failure(format!("not all came from the cache:\n{said}")));
        }
        let share = ratio(warm_cpu.as_secs_f64(), cold_cpu.as_secs_f64());
        ui::say(format_args!("{} after {}", ui::seconds(warm_cpu), ui::seconds(cold_cpu)));
        let case = format!(
            "20 images on a machine that shares a remote cache, {files}: CPU after analysis, of a \
             build from nothing"
        );
        page.target(&case, share, 0.05, Unit::Ratio);
    }
    Ok(())
}

fn is_hit(action: &Action) -> bool {
    action.runner.contains("cache hit")
}

/// The action of image 0's squashed layer: what it has as inputs, and what it would have if it had
/// the packages themselves.
fn inputs(cold: &Build, base: &Path, page: &mut Page) -> Result<()> {
    let squashed = cold.actions.iter().find(|action| {
        action.outputs.iter().any(|output| output.ends_with("/image0_squashed.tar.gz"))
    });
    let squashed = squashed.ok_or_else(|| failure("no action made image 0's squashed layer"))?;
    let makers: BTreeMap<&str, &Action> = cold
        .actions
        .iter()
        .filter(|action| action.is_segment())
        .flat_map(|action| action.outputs.iter().map(move |output| (&**output, action)))
        .collect();
    let packages = squashed.inputs.iter().filter_map(|(path, _)| makers.get(&**path));
    let sources = |action: &Action| -> u64 {
        let own = action.inputs.iter().filter(|(path, _)| path.contains("pip"));
        own.map(|(_, size)| size).sum()
    };
    let (mut count, mut unpacked) = (0, 0);
    for package in packages {
        count += 1;
        unpacked += sources(package);
    }
    let staged: u64 = squashed.inputs.iter().map(|(_, size)| size).sum();
    let inputs = squashed.inputs.len();
    page.target(
        "squashed layer: inputs beyond one a package",
        whole((inputs - count) as u64),
        3.0,
        Unit::Number,
    );
    page.target(
        "squashed layer: bytes of its inputs, of its packages' and their wheels'",
        ratio(whole(staged), whole(unpacked)),
        0.35,
        Unit::Ratio,
    );

    let request = WorkRequest {
        arguments: arguments(squashed, base)?,
        inputs: squashed
            .inputs
            .iter()
            // Bazel sends digests as hexadecimal text.
            .map(|(path, _)| Input { path: path.clone(), digest: vec![b'0'; 64] })
            .collect(),
        request_id: 1,
        ..WorkRequest::default()
    };
    let kilobytes = whole(request.encoded_len() as u64) / 1000.0;
    page.target("squashed layer: its WorkRequest", kilobytes, 30.0, Unit::Kilobytes);
    Ok(())
}

/// The lines of an action's params file.
fn arguments(action: &Action, base: &Path) -> Result<Vec<String>> {
    let params = action.inputs.iter().find(|(path, _)| path.ends_with(".params"));
    let (params, _) = params.ok_or_else(|| failure("the action has no params file"))?;
    let path = base.join("execroot/_main").join(params);
    let text = fs::read_to_string(&path).context(path.display())?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// What segments take beside the layers and the worker's cache.
fn disk(base: &Path, page: &mut Page) -> Result<()> {
    let outputs = base.join("execroot/_main/bazel-out");
    let all = size(&[&outputs, &base.join("pylayer")], &[])?;
    let segments = size(&[&outputs], &["-name", "*.segment"])?;
    let share = ratio(whole(all), whole(all - segments));
    page.target(
        "disk of the output base and the worker's cache, of that without segments' files",
        share,
        1.25,
        Unit::Ratio,
    );
    Ok(())
}

/// The bytes of the disk that the files below folders take.
fn size(folders: &[&Path], filter: &[&str]) -> Result<u64> {
    let sh = Shell::new()?;
    let blocks = shell::capture(cmd!(sh, "find {folders...} -type f {filter...} -printf %b\\n"))?;
    Ok(blocks.lines().filter_map(|line| line.parse::<u64>().ok()).sum::<u64>() * 512)
}

/// Adds a file to a wheel, in a copy.
fn change(wheel: &PathBuf) -> Result<()> {
    let original = fs::canonicalize(wheel).context(wheel.display())?;
    fs::remove_file(wheel).context(wheel.display())?;
    fs::copy(&original, wheel).context(wheel.display())?;
    let script = "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'a') as wheel: wheel.writestr('new.py', 'new = 1')";
    let sh = Shell::new()?;
    Ok(cmd!(sh, "python3 -c {script} {wheel}").quiet().run()?)
}

/// The actions of ours that ran, by kind.
fn section(cold: &Build, changed: &Build, page: &mut Page) {
    let mut table = Table::markdown(&[
        ("Build of 20 images", Left),
        ("Segments", Right),
        ("Package layers", Right),
        ("Merged layers", Right),
        ("Layers of an image", Right),
    ]);
    for (name, build) in [("from nothing", cold), ("one of 60 packages changed", changed)] {
        let ran = |mnemonic: &str| {
            let own = build.actions.iter().filter(|action| action.mnemonic == mnemonic);
            thousands(own.filter(|action| !is_hit(action)).count() as u64)
        };
        let kinds = ["PyImageSegment", "PyImagePkgLayer", "PyImageMergedLayer", "PyImageLayer"];
        table.row([name.to_owned()].into_iter().chain(kinds.map(ran)).collect());
    }
    page.section("actions", &table);
}
