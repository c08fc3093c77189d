//! Where the segments of a layer came from and what took how long, for whoever asks.

use std::time::Duration;

use crate::cache::MissReason;
use crate::layer::Warnings;
use crate::layer::plan::PackagePlan;
use crate::observe::Stopwatch;

/// How many packages are named as the slowest.
const SLOWEST: usize = 3;

/// Where a segment came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The cache's memory.
    Memory,
    /// The cache's folder.
    Disk,
    /// It was built, for this reason.
    Built(MissReason),
    /// It was built, and there is no cache.
    Alone,
    /// A segment file.
    File,
}

/// The packages of a layer and where each came from.
#[derive(Debug)]
pub struct Report {
    since: Stopwatch,
    plan: Duration,
    packages: Vec<Package>,
    /// What is probably not meant.
    pub warnings: Warnings,
}

#[derive(Debug)]
struct Package {
    name: String,
    entries: usize,
    source: Source,
    time: Duration,
}

impl Package {
    fn how(&self) -> &'static str {
        match self.source {
            Source::Memory => "hit in memory",
            Source::Disk => "hit on disk",
            Source::Built(MissReason::Unknown) => {
                "built: no segment with these contents, names, modes, and compression"
            }
            Source::Built(MissReason::Damaged) => "built: the cached segment was damaged",
            Source::Alone => "built: there is no cache",
            Source::File => "from a segment file",
        }
    }

    fn is_built(&self) -> bool {
        matches!(self.source, Source::Built(_) | Source::Alone)
    }
}

impl Report {
    pub(super) fn start() -> Self {
        Self {
            since: Stopwatch::start(),
            plan: Duration::ZERO,
            packages: Vec::new(),
            warnings: Warnings::default(),
        }
    }

    /// Says that it is known by now what the layer consists of.
    pub(super) fn planned(&mut self) {
        self.plan = self.since.elapsed();
    }

    /// Adds a package that took this long, until its last bytes were handed on.
    pub(super) fn add(&mut self, package: &PackagePlan, source: Source, time: Duration) {
        let name = match &*package.name {
            b"" => "(no name)".to_owned(),
            name => String::from_utf8_lossy(name).into_owned(),
        };
        self.packages.push(Package { name, entries: package.entries.len(), source, time });
    }

    pub(super) fn clear(&mut self) {
        self.packages.clear();
    }

    /// How many segments were found in the cache, and how many were not.
    pub fn counts(&self) -> (u64, u64) {
        let count = |of: &dyn Fn(&&Package) -> bool| self.packages.iter().filter(of).count() as u64;
        let hit = |package: &&Package| matches!(package.source, Source::Memory | Source::Disk);
        (count(&hit), count(&|package| package.is_built()))
    }

    /// A line a package: where it came from.
    pub fn explain(&self) -> String {
        let line = |package: &Package| {
            let Package { name, entries, .. } = package;
            format!("{name} ({entries} entries): {}\n", package.how())
        };
        self.packages.iter().map(line).collect::<Vec<_>>().concat()
    }

    /// A line: how long it took until now, and what was slow.
    pub fn times(&self) -> String {
        let (hits, built) = self.counts();
        let mut slowest: Vec<&Package> = self.packages.iter().collect();
        slowest.sort_by_key(|package| std::cmp::Reverse(package.time));
        let slowest = slowest.into_iter().take(SLOWEST);
        let parts = slowest.map(|package| (&*package.name, package.time));
        let parts = std::iter::once(("plan", self.plan)).chain(parts);
        let parts: Vec<String> =
            parts.map(|(name, time)| format!("{name} {}", milliseconds(time))).collect();
        let total = milliseconds(self.since.elapsed());
        format!("{total}: {hits} packages known, {built} built; {}", parts.join(", "))
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
