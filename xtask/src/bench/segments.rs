//! `cargo xtask bench segments`: a merged layer of 29 packages that come as segment files, as the
//! rules have it: all known, and each of them changed in turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use worker_protocol::messages::{Input, WorkRequest};
use xshell::{Shell, cmd};

use super::cache::{cat, file, peer};
use super::page::{Page, Unit};
use super::{DESTINATION, data, median, ratio, whole};
use crate::client::{Client, digest};
use crate::measure::Cost;
use crate::project::{Project, fresh};
use crate::shell::{Context as _, Result};
use crate::ui;

/// Runs all cases.
pub(super) fn run(project: &Project, worker: &Path, page: &mut Page) -> Result<()> {
    let folder = project.folder("bench/segments")?;
    fresh(&folder)?;
    let set = data::wheels(project, "scientific")?;
    let peer = peer(worker, &folder, &set)?;
    let mut client = Client::start(worker, &folder.join("cache"))?;
    let mut files = Vec::new();
    let mut size = 0;
    ui::heading("29 packages compressed, each by itself");
    for package in &set.packages {
        let file = folder.join(format!("{}.segment", package.name));
        client.request(&segment(&file, &package.name, &package.tree))?;
        size += fs::metadata(&file).context(file.display())?.len();
        files.push(file);
    }
    let output = folder.join("merged.tar.gz");
    let request = layer(&output, &files)?;
    client.request(&request)?;
    // A file that has just been written is hashed; only later it is believed.
    std::thread::sleep(Duration::from_secs(4));
    client.request(&request)?;

    ui::heading("all known");
    let known = client.cost(&request, 20)?;
    let copies: Vec<Cost> = (0..20).map(|_| cat(&files, &folder)).collect::<Result<_>>()?;
    let copy = median(copies.iter().map(|cost| cost.cpu)).as_secs_f64();
    let case = "29 segment files, all known: CPU of `cat segments > file`";
    page.target(case, ratio(known.cpu.as_secs_f64(), copy), 1.1, Unit::Ratio);
    let request_bytes: usize = request.arguments.iter().map(|argument| argument.len() + 1).sum();
    ui::say(format_args!("{request_bytes} bytes of arguments, {size} of segments"));

    let mut shares = Vec::new();
    for (at, package) in set.packages.iter().enumerate() {
        ui::heading(format_args!("{} changed", package.name));
        let copy = folder.join("changed").join(&package.name);
        fs::create_dir_all(folder.join("changed")).context(folder.display())?;
        let (sh, tree) = (Shell::new()?, &package.tree);
        cmd!(sh, "cp -r {tree} {copy}").quiet().run()?;
        let changing = file(&copy)?;
        let mut text = fs::read(&changing).context(changing.display())?;
        text.extend_from_slice(b"# changed\n");
        fs::write(&changing, text).context(changing.display())?;
        let new = folder.join(format!("{}.changed", package.name));
        client.request(&segment(&new, &package.name, &copy))?;
        let mut changed = files.clone();
        changed[at] = new;
        let cost = client.cost(&layer(&output, &changed)?, 1)?;
        let share = ratio(cost.cpu.as_secs_f64(), peer.as_secs_f64());
        ui::say(format_args!("{} of CPU, {share:.4} of bsdtar's", ui::seconds(cost.cpu)));
        shares.push(share);
        fs::remove_dir_all(&copy).context(copy.display())?;
    }
    let count = whole(shares.len() as u64);
    let case = "one of 29 segment files changed: CPU of the layer, of bsdtar's";
    page.target(&format!("{case}: mean"), shares.iter().sum::<f64>() / count, 0.012, Unit::Ratio);
    let worst = shares.iter().copied().fold(0.0, f64::max);
    page.target(&format!("{case}: worst"), worst, 0.045, Unit::Ratio);
    Ok(())
}

fn segment(output: &Path, name: &str, tree: &Path) -> WorkRequest {
    let arguments = [
        "segment".to_owned(),
        format!("--output={}", output.display()),
        format!("--package={name}"),
        format!("--tree={}", tree.display()),
        format!("--to={DESTINATION}/{name}"),
    ];
    WorkRequest { request_id: 1, arguments: arguments.into(), ..WorkRequest::default() }
}

fn layer(output: &Path, segments: &[PathBuf]) -> Result<WorkRequest> {
    let mut arguments = vec![
        "layer".to_owned(),
        format!("--output={}", output.display()),
        format!("--metadata={}.json", output.display()),
    ];
    let mut inputs = Vec::new();
    for segment in segments {
        arguments.push(format!("--segment={}", segment.display()));
        inputs.push(Input { path: segment.display().to_string(), digest: digest(segment)? });
    }
    Ok(WorkRequest { request_id: 1, arguments, inputs, ..WorkRequest::default() })
}
