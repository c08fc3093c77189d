//! One image by Bazel, again and again: with a cold cache, after `bazel clean`, with another tier,
//! and in another workspace.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use xshell::{Shell, cmd};

use super::images;
use super::page::Page;
use crate::bazel::Bazel;
use crate::project::{Project, fresh};
use crate::shell::{self, Context as _, Result, failure};
use crate::table::Align::{Left, Right};
use crate::table::{Table, thousands};
use crate::ui;

/// The mnemonics of layers: Bazel hands startup flags to the workers of each.
const MNEMONICS: &[&str] =
    &["PyImageSegment", "PyImagePkgLayer", "PyImageMergedLayer", "PyImageLayer"];

/// Measures the builds.
pub(super) fn run(project: &Project, worker: &Path, page: &mut Page) -> Result<()> {
    let output = images::fresh_output(project, "rebuilds-bazel")?;
    let cache = output.join("cache");
    fresh(&cache)?;
    let sh = Shell::new()?;
    cmd!(sh, "chmod 700 {cache}").quiet().run()?;
    let flags: Vec<String> = MNEMONICS
        .iter()
        .map(|name| format!("--worker_extra_flag={name}=--cache-dir={}", cache.display()))
        .collect();
    let unchecked = [images::UNCHECKED];
    let options: Vec<&str> = flags.iter().map(String::as_str).chain(unchecked).collect();
    let workspace = images::workspace(project)?;
    let mut rows = Rows { worker, cache: &cache, before: [0, 0], first: None, table: table() };

    let bazel = Bazel::new(&workspace, &output.join("one"), worker)?;
    rows.build("the first build", &bazel, "//:image0", &options)?;
    bazel.clean()?;
    rows.build("after `bazel clean`", &bazel, "//:image0", &options)?;
    rows.build("another image of the same packages", &bazel, "//:image1", &options)?;
    rows.build("the same with another tier", &bazel, "//:other_tier", &options)?;
    drop(bazel);
    let other = Bazel::new(&workspace, &output.join("two"), worker)?;
    rows.build("in another output base, the cache shared", &other, "//:image0", &options)?;
    page.section("rebuilds", &rows.table);
    Ok(())
}

fn table() -> Table {
    Table::markdown(&[
        ("Build", Left),
        ("Layers made", Right),
        ("Segments", Right),
        ("Packages known", Right),
        ("Compressed", Right),
        ("Their actions", Right),
        ("Of the first", Right),
    ])
}

struct Rows<'a> {
    worker: &'a Path,
    cache: &'a Path,
    /// What the cache had counted before.
    before: [u64; 2],
    first: Option<Duration>,
    table: Table,
}

impl Rows<'_> {
    fn build(&mut self, name: &str, bazel: &Bazel, target: &str, options: &[&str]) -> Result<()> {
        ui::heading(name);
        let build = bazel.build(target, options)?;
        if !build.success {
            return Err(failure(build.said));
        }
        let layers = build.actions.iter().filter(|action| action.is_layer()).count();
        let segments = build.actions.iter().filter(|action| action.is_segment()).count();
        let made = build.actions.iter().filter(|action| action.is_layer() || action.is_segment());
        let time: Duration = made.filter_map(|action| action.time).sum();
        let first = *self.first.get_or_insert(time);
        let (sh, Self { worker, cache, .. }) = (Shell::new()?, &*self);
        let stat = shell::capture(cmd!(sh, "{worker} cache stat --json --cache-dir {cache}"))?;
        let stat: Value =
            serde_json::from_str(&stat).context("`pylayer cache stat --json` writes no JSON")?;
        let now = ["hits", "misses"].map(|key| stat[key].as_u64().unwrap_or_default());
        let [hits, misses] = [0, 1].map(|at| now[at].saturating_sub(self.before[at]));
        self.before = now;
        self.table.row(vec![
            name.to_owned(),
            layers.to_string(),
            segments.to_string(),
            thousands(hits),
            thousands(misses),
            ui::seconds(time),
            format!("{:.3}", super::ratio(time.as_secs_f64(), first.as_secs_f64())),
        ]);
        Ok(())
    }
}
