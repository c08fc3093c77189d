//! `cargo xtask scale`: what a large company stores, moves, and compresses in a day, by each way of
//! making layers. A model, computed; docs/explanation/scale.md explains it, and has its table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use fastrand::Rng;

use crate::table::Align::{Left, Right};
use crate::table::Table;

const PACKAGES: usize = 3_000;
const IMAGES: usize = 500;

/// Packages of an image.
const PER_IMAGE: usize = 60;

/// Builds of a day: each of an image whose sources have changed, on a machine that has built the
/// image the day before.
const BUILDS: usize = 10_000;

/// Packages of which a new version is taken on a day: those in many images more often.
const UPGRADES: usize = 16;

/// The days that are averaged.
const DAYS: usize = 100;

/// Packages from this size on (uncompressed, in bytes) are layers of their own; the others of an image
/// share one.
const ALONE: f64 = 20e6;

/// The size of the largest two packages, uncompressed, in bytes.
const LARGEST: f64 = 3e9;

/// The part of an image that changes with its sources, uncompressed, in bytes.
const SOURCES: f64 = 2e6;

/// Compressed bytes for each byte.
const RATIO: f64 = 0.36;

/// What is new to a chunking cache of a layer of which one package has changed, besides that package,
/// as a share of the layer: of the order that `cargo xtask bench chunks` computes.
const CHUNKS: f64 = 0.015;

/// Bytes of one day.
#[derive(Clone, Copy, Debug, Default)]
struct Day {
    /// Uncompressed bytes that go through a compressor.
    compressed: f64,
    /// Compressed bytes that are new to the remote cache.
    stored: f64,
    /// Compressed bytes between the machines and the remote cache, in both directions.
    moved: f64,
}

/// The ways of making layers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// Packages in one layer are compressed together, and the layer is in the cache (#960, `rules_py`).
    Whole,
    /// The same, but machines do not fetch layers that they only push (`rules_img`).
    Lazy,
    /// Segments, and layers put together from them, are in the cache.
    Segments,
    /// The same in a cache that stores chunks.
    Chunked,
    /// Segments alone are in the cache, and each machine puts its layers together.
    SegmentsAlone,
}

const WAYS: &[(Way, &str)] = &[
    (Way::Whole, "whole layers (#960)"),
    (Way::Lazy, "whole layers, pushed without fetching (rules_img)"),
    (Way::Segments, "pylayer, everything in the cache"),
    (Way::Chunked, "pylayer, everything in a chunking cache"),
    (Way::SegmentsAlone, "pylayer, merged layers not in the cache"),
];

struct Company {
    sizes: Vec<f64>,
    images: Vec<BTreeSet<usize>>,
}

impl Company {
    /// Always the same one.
    fn new() -> Self {
        let mut rng = Rng::with_seed(2026);
        // Log-normal, as sizes of wheels are: a median of 0.6 MB, a mean of about 4.
        let mut normal = || (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
        let mut sizes: Vec<f64> =
            (0..PACKAGES).map(|_| (6e5 * (2.0 * normal()).exp()).min(8e8)).collect();
        sizes[0] = LARGEST;
        sizes[1] = LARGEST;
        // The popularity of the package at rank r goes with 1/r (Zipf); one of the two largest is in
        // every tenth image.
        let weights: Vec<f64> =
            (1_u32..).take(PACKAGES).map(|rank| 1.0 / f64::from(rank)).collect();
        let total: f64 = weights.iter().skip(2).sum();
        let pick = |rng: &mut Rng| {
            let mut at = rng.f64() * total;
            let found = (2..PACKAGES).find(|&package| {
                at -= weights[package];
                at <= 0.0
            });
            found.unwrap_or(PACKAGES - 1)
        };
        let images = (0..IMAGES).map(|image| {
            let mut packages = BTreeSet::new();
            if image % 10 == 0 {
                packages.insert(image / 10 % 2);
            }
            while packages.len() < PER_IMAGE {
                packages.insert(pick(&mut rng));
            }
            packages
        });
        Self { sizes, images: images.collect() }
    }

    /// Compressed bytes in the cache when every image has been built once.
    fn first(&self, way: Way) -> f64 {
        let used: BTreeSet<usize> = self.images.iter().flatten().copied().collect();
        let sum = |packages: &BTreeSet<usize>, alone: bool| -> f64 {
            let sizes = packages.iter().map(|&package| self.sizes[package]);
            sizes.filter(|&size| (size >= ALONE) == alone).sum()
        };
        let merged: f64 = self.images.iter().map(|packages| sum(packages, false)).sum();
        let merged = match way {
            Way::Whole | Way::Lazy => merged,
            Way::Segments => merged + sum(&used, false),
            Way::Chunked => merged * CHUNKS + sum(&used, false),
            Way::SegmentsAlone => sum(&used, false),
        };
        (merged + sum(&used, true) + count(IMAGES) * SOURCES) * RATIO
    }

    /// Packages that get a new version: one in many images does more often.
    fn upgrades(&self, rng: &mut Rng) -> BTreeSet<usize> {
        let one = |rng: &mut Rng| {
            let packages = &self.images[rng.usize(0..IMAGES)];
            packages.iter().nth(rng.usize(0..packages.len())).copied().unwrap_or_default()
        };
        (0..UPGRADES).map(|_| one(rng)).collect()
    }

    fn day(&self, way: Way, upgraded: &BTreeSet<usize>) -> Day {
        let mut day = Day::default();
        let builds = count(BUILDS) / count(IMAGES);
        let mut seen = BTreeSet::new();
        for packages in &self.images {
            // The default layer, in each build; it is fetched by nobody else.
            day.compressed += builds * SOURCES;
            day.stored += builds * SOURCES * RATIO;
            day.moved += builds * SOURCES * RATIO;
            let changed: Vec<usize> = packages.intersection(upgraded).copied().collect();
            let mut shared = 0.0;
            for &package in &changed {
                let size = self.sizes[package];
                let (is_alone, is_first) = (size >= ALONE, seen.insert(package));
                // Compressed once, and put there; fetched by each machine that builds the image.
                if (is_alone || way.has_segments()) && is_first {
                    day.compressed += size;
                    day.stored += size * RATIO;
                    day.moved += size * RATIO;
                }
                let fetches = is_alone && way != Way::Lazy || way == Way::SegmentsAlone;
                if fetches {
                    day.moved += builds * size * RATIO;
                }
                if !is_alone {
                    shared += size;
                }
            }
            if shared == 0.0 {
                continue;
            }
            let small = packages.iter().map(|&package| self.sizes[package]);
            let whole: f64 = small.filter(|&size| size < ALONE).sum();
            // New to the cache, which has the segment already; and to each machine.
            let (new, fetched) = match way {
                Way::Whole | Way::Segments => (whole, whole),
                Way::Lazy => (whole, 0.0),
                Way::Chunked => (whole * CHUNKS, shared + whole * CHUNKS),
                Way::SegmentsAlone => (0.0, 0.0),
            };
            if !way.has_segments() {
                day.compressed += whole;
            }
            day.stored += new * RATIO;
            day.moved += (new + builds * fetched) * RATIO;
        }
        day
    }
}

impl Way {
    fn has_segments(self) -> bool {
        matches!(self, Self::Segments | Self::Chunked | Self::SegmentsAlone)
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The table, in Markdown.
pub(crate) fn table() -> String {
    let company = Company::new();
    let mut table = Table::markdown(&[
        ("Layers by", Left),
        ("stored at first", Right),
        ("compressed a day", Right),
        ("stored a day", Right),
        ("moved a day", Right),
    ]);
    for (way, name) in WAYS {
        let mut rng = Rng::with_seed(11);
        let mut sum = Day::default();
        for _ in 0..DAYS {
            let day = company.day(*way, &company.upgrades(&mut rng));
            sum.compressed += day.compressed;
            sum.stored += day.stored;
            sum.moved += day.moved;
        }
        let gigabytes = |bytes: f64| format!("{:.0} GB", bytes / 1e9);
        table.row(vec![
            (*name).to_owned(),
            gigabytes(company.first(*way)),
            gigabytes(sum.compressed / count(DAYS)),
            gigabytes(sum.stored / count(DAYS)),
            gigabytes(sum.moved / count(DAYS)),
        ]);
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    _ = write!(text, "{table}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_page_has_the_table() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/explanation/scale.md");
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains(&table()), "run `cargo xtask scale`, and paste:\n{}", table());
    }

    #[test]
    fn segments_never_compress_or_store_more_than_whole_layers() {
        let company = Company::new();
        let upgraded: BTreeSet<usize> = (0..PACKAGES).step_by(100).collect();
        let day = |way| company.day(way, &upgraded);
        let (whole, alone) = (day(Way::Whole), day(Way::SegmentsAlone));
        assert!(alone.compressed < whole.compressed && alone.stored < whole.stored);
        assert!(day(Way::Chunked).moved < day(Way::Segments).moved);
        assert!(day(Way::Lazy).moved < whole.moved);
    }
}
