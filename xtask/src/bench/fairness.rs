//! `cargo xtask bench fairness`: how long a small layer takes beside large ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use xshell::{Shell, cmd};

use super::data::{self, write};
use super::page::{Page, Unit};
use super::{median, ratio};
use crate::client::{self, Client};
use crate::project::{Project, fresh};
use crate::shell::{self, Context as _, Failure, Result, failure};
use crate::ui;

/// Small layers that are timed.
const ROUNDS: u32 = 20;

/// Large layers that are built meanwhile.
const LARGE: u32 = 3;

/// Times small layers alone, then beside large ones, in one worker.
pub(super) fn run(project: &Project, worker: &Path, page: &mut Page) -> Result<()> {
    let folder = project.folder("bench/fairness")?;
    fresh(&folder)?;
    let small = data::wheels(project, "pure")?;
    let package = small.packages.iter().find(|package| package.name == "rich");
    let package = package.ok_or_else(|| failure("there is no wheel of rich"))?;
    let small = vec![(package.name.clone(), package.tree.clone())];
    let set = data::wheels(project, "scientific")?;
    let large: Vec<(String, PathBuf)> =
        set.packages.iter().map(|package| (package.name.clone(), package.tree.clone())).collect();
    let member = vec![("member".to_owned(), folder.join("member"))];
    write(&member[0].1.join("file"), &one_member(&small[0].1)?)?;

    ui::heading("a small layer alone, and one of a single member");
    let mut client = Client::start(worker, &folder.join("cache"))?;
    let mut number = 0;
    let mut times = |client: &mut Client, trees: &[(String, PathBuf)]| {
        let times = (0..ROUNDS).map(|_| {
            // Between two builds; and no two are of one segment.
            thread::sleep(Duration::from_millis(100));
            number += 1;
            let name = format!("{number}");
            let trees: Vec<_> =
                trees.iter().map(|(_, tree)| (name.clone(), tree.clone())).collect();
            let mut request = client::request(&folder.join("small.tar.gz"), &trees)?;
            request.request_id = 100;
            client.request(&request)
        });
        let mut times: Vec<Duration> = times.collect::<Result<_>>()?;
        times.sort();
        Ok::<_, Failure>(times)
    };
    let alone = median(times(&mut client, &small)?.into_iter());
    let member = median(times(&mut client, &member)?.into_iter());
    let bound = 2 * alone + member;

    ui::heading(format_args!("beside {LARGE} layers of {} packages", large.len()));
    for at in 1..=LARGE {
        let trees: Vec<_> =
            large.iter().map(|(name, tree)| (format!("{at}/{name}"), tree.clone())).collect();
        let mut request = client::request(&folder.join(format!("large{at}.tar.gz")), &trees)?;
        request.request_id = i32::try_from(at).unwrap_or_default();
        client.send(&request)?;
    }
    let beside = times(&mut client, &small)?;
    if client.skipped() > 0 {
        return Err(failure("a large layer was finished before the small ones"));
    }
    drop(client);
    ui::say(format_args!(
        "alone {}, a member {}, beside large ones {} to {}",
        ui::seconds(alone),
        ui::seconds(member),
        ui::seconds(beside.first().copied().unwrap_or_default()),
        ui::seconds(beside.last().copied().unwrap_or_default()),
    ));
    let case = |which: &str| {
        format!(
            "a small layer beside three large ones, of twice its time alone and a member: {which}"
        )
    };
    let share = |time: Duration| ratio(time.as_secs_f64(), bound.as_secs_f64());
    page.target(&case("median"), share(median(beside.iter().copied())), 1.0, Unit::Ratio);
    page.target(
        &case("worst"),
        share(beside.last().copied().unwrap_or_default()),
        1.0,
        Unit::Ratio,
    );
    fs::remove_dir_all(&folder).context(folder.display())
}

/// As much source text as one member holds.
fn one_member(tree: &Path) -> Result<Vec<u8>> {
    let sh = Shell::new()?;
    let found = shell::capture(cmd!(sh, "find {tree} -name *.py -type f"))?;
    let mut files: Vec<&str> = found.lines().collect();
    files.sort_unstable();
    let mut text = Vec::new();
    for file in files {
        text.extend(fs::read(file).context(file)?);
    }
    if text.is_empty() {
        return Err(failure(format!("{} has no text", tree.display())));
    }
    // A member is 4 MiB, header included.
    Ok(text.into_iter().cycle().take((4 << 20) - 4096).collect())
}
