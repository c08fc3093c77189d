//! Where the segments of a layer came from, for whoever asks.

use crate::cache::Why;
use crate::layer::plan::PackagePlan;

/// Where a segment came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The cache's memory.
    Memory,
    /// The cache's folder.
    Disk,
    /// It was built, for this reason.
    Built(Why),
}

/// The packages of a layer and where each came from.
#[derive(Debug, Default)]
pub struct Report(Vec<(String, usize, Source)>);

impl Report {
    pub(super) fn add(&mut self, package: &PackagePlan, source: Source) {
        let name = match &*package.name {
            b"" => "(no name)".to_owned(),
            name => String::from_utf8_lossy(name).into_owned(),
        };
        self.0.push((name, package.entries.len(), source));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many segments were found in the cache, and how many were not.
    pub fn counts(&self) -> (u64, u64) {
        let built = self.0.iter().filter(|(.., source)| matches!(source, Source::Built(_)));
        let built = built.count() as u64;
        (self.0.len() as u64 - built, built)
    }

    /// A line a package.
    pub fn explain(&self) -> String {
        let line = |(name, entries, source): &(String, usize, Source)| {
            let how = match source {
                Source::Memory => "hit in memory",
                Source::Disk => "hit on disk",
                Source::Built(Why::Unknown) => {
                    "built: no segment with these contents, names, modes, and compression"
                }
                Source::Built(Why::Damaged) => "built: the cached segment was damaged",
            };
            format!("{name} ({entries} entries): {how}")
        };
        let mut lines: Vec<String> = self.0.iter().map(line).collect();
        lines.push(String::new());
        lines.join("\n")
    }
}
