//! What there is to say, in numbers: what `--json` writes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::subject::{Part, Subject};
use crate::archive::{Entry, Kind, show};
use crate::digest::Digest;

/// How many layers Docker and containerd fetch at a time, unless told otherwise.
const AT_A_TIME: usize = 3;

/// Everything about a layer or an image. Sizes are in bytes; `compressed` is the share of the blob.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    /// What was looked at.
    pub(super) path: String,
    /// `layer`, `segment`, or `image`.
    pub(super) kind: &'static str,
    /// The package of a segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) segment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<ImageSummary>,
    /// All layers together: as they are fetched, and unpacked.
    pub(super) compressed: u64,
    pub(super) bytes: u64,
    pub(super) pull: Pull,
    pub(super) layers: Vec<LayerSummary>,
    /// The largest first; files of no package are under the name `""`.
    pub(super) packages: Vec<Sum>,
    /// The largest first, with all that is below.
    pub(super) directories: Vec<Sum>,
    /// Files of the same content, what wastes the most first.
    pub(super) duplicates: Vec<Duplicate>,
    /// Paths that a higher layer has again.
    pub(super) overridden: Vec<String>,
    /// All entries, in order.
    pub(super) entries: Vec<EntrySummary>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageSummary {
    /// Of the manifest.
    pub(super) digest: String,
    pub(super) platform: String,
    pub(super) created: Option<String>,
    /// How a container runs, as the image's config has it.
    pub(super) config: Value,
}

/// What a pull waits for, in bytes of the blobs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pull {
    pub(super) largest_layer: u64,
    /// The longest queue where three layers are fetched at a time, each by the first that is free.
    pub(super) three_at_a_time: u64,
    /// What a lazy puller reads on average for one file: its members, or the whole layer where it
    /// is one member.
    pub(super) one_file: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LayerSummary {
    pub(super) media_type: String,
    pub(super) codec: &'static str,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(rename = "diff_id")]
    pub(super) diff_id: Digest,
    /// The archive's length.
    pub(super) archive_size: u64,
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) links: u64,
    /// What files hold.
    pub(super) bytes: u64,
    pub(super) members: usize,
    /// The content of the largest member.
    pub(super) largest_member: u64,
    /// Bytes after the archive's end, which nothing extracts.
    pub(super) trailing: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_by: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Sum {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) compressed: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Duplicate {
    /// Of one of them.
    pub(super) bytes: u64,
    /// Of all but one.
    pub(super) wasted: u64,
    pub(super) paths: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct EntrySummary {
    pub(super) path: String,
    pub(super) layer: usize,
    pub(super) kind: &'static str,
    pub(super) bytes: u64,
    pub(super) compressed: u64,
    /// Octal.
    pub(super) mode: String,
    pub(super) owner: u64,
    pub(super) group: u64,
    pub(super) mtime: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) package: Option<String>,
}

impl Sum {
    fn add(&mut self, entry: &Entry, compressed: u64) {
        self.files += u64::from(entry.kind == Kind::File);
        self.bytes += entry.size;
        self.compressed += compressed;
    }
}

impl Summary {
    pub(super) fn of(subject: &Subject) -> Self {
        let layers: Vec<LayerSummary> = subject.layers.iter().map(layer).collect();
        let (packages, directories) = sums(subject);
        let mut entries = Vec::new();
        for (number, part) in subject.layers.iter().enumerate() {
            let packages = part.packages.iter().map(|at| at.map(|at| &subject.packages[at].name));
            let all = part.layer.entries.iter().zip(&part.compressed).zip(packages);
            entries.extend(all.map(|((entry, &compressed), package)| {
                EntrySummary {
                    path: String::from_utf8_lossy(&entry.path).into_owned(),
                    layer: number,
                    kind: entry.kind.name(),
                    bytes: entry.size,
                    compressed,
                    mode: format!("{:04o}", entry.mode),
                    owner: entry.owner.0,
                    group: entry.owner.1,
                    mtime: entry.mtime,
                    link: (!entry.link.is_empty())
                        .then(|| String::from_utf8_lossy(&entry.link).into_owned()),
                    package: package.cloned(),
                }
            }));
        }
        let image = subject.image.as_ref().map(|image| ImageSummary {
            digest: image.digest.to_string(),
            platform: image.name.platform.to_string(),
            created: image.config.created.clone(),
            config: serde_json::json!(image.config.config),
        });
        Self {
            path: subject.path.display().to_string(),
            kind: match (&image, &subject.segment) {
                (Some(_), _) => "image",
                (None, Some(_)) => "segment",
                (None, None) => "layer",
            },
            segment: subject.segment.clone(),
            image,
            compressed: layers.iter().map(|layer| layer.size).sum(),
            bytes: layers.iter().map(|layer| layer.bytes).sum(),
            pull: pull(subject),
            packages,
            directories,
            duplicates: duplicates(subject),
            overridden: overridden(subject),
            entries,
            layers,
        }
    }
}

fn layer(part: &Part) -> LayerSummary {
    let blob = &part.layer.blob;
    let of = |kinds: &[Kind]| {
        part.layer.entries.iter().filter(|entry| kinds.contains(&entry.kind)).count() as u64
    };
    LayerSummary {
        media_type: part.media_type.clone(),
        codec: blob.codec.name(),
        digest: blob.digest,
        size: blob.size,
        diff_id: blob.diff_id,
        archive_size: blob.content_size,
        files: of(&[Kind::File]),
        directories: of(&[Kind::Directory]),
        links: of(&[Kind::Symlink, Kind::HardLink]),
        bytes: part.layer.entries.iter().map(|entry| entry.size).sum(),
        members: blob.members.len(),
        largest_member: blob.members.iter().map(|it| it.content_length).max().unwrap_or(0),
        trailing: part.layer.trailing(),
        created_by: part.created_by.clone(),
    }
}

/// Sums by package and by directory, the largest first.
fn sums(subject: &Subject) -> (Vec<Sum>, Vec<Sum>) {
    let mut packages = vec![Sum::default(); subject.packages.len() + 1];
    for (sum, package) in packages.iter_mut().zip(&subject.packages) {
        sum.name.clone_from(&package.name);
        sum.version.clone_from(&package.version);
    }
    let mut directories: BTreeMap<&[u8], Sum> = BTreeMap::new();
    for part in &subject.layers {
        let all = part.layer.entries.iter().zip(&part.compressed).zip(&part.packages);
        for ((entry, &compressed), package) in all {
            // Directories belong to nobody: what they take is next to nothing.
            if entry.kind == Kind::Directory {
                continue;
            }
            packages[package.unwrap_or(subject.packages.len())].add(entry, compressed);
            for (at, _) in entry.path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                directories.entry(&entry.path[..at]).or_default().add(entry, compressed);
            }
        }
    }
    packages.retain(|sum| sum.files > 0 || sum.compressed > 0);
    let largest_first = |sums: &mut Vec<Sum>| {
        sums.sort_by(|a, b| {
            (b.bytes, b.compressed, &a.name).cmp(&(a.bytes, a.compressed, &b.name))
        });
    };
    let mut directories: Vec<Sum> = directories
        .into_iter()
        .map(|(path, sum)| Sum { name: String::from_utf8_lossy(path).into_owned(), ..sum })
        .collect();
    largest_first(&mut packages);
    largest_first(&mut directories);
    (packages, directories)
}

fn duplicates(subject: &Subject) -> Vec<Duplicate> {
    let mut by_content: BTreeMap<([u8; 32], u64), Vec<&Entry>> = BTreeMap::new();
    for entry in subject.layers.iter().flat_map(|part| &part.layer.entries) {
        if let Some(content) = entry.content.filter(|_| entry.size > 0) {
            by_content.entry((content, entry.size)).or_default().push(entry);
        }
    }
    let several = by_content.into_iter().filter(|(_, entries)| entries.len() > 1);
    let mut found: Vec<Duplicate> = several
        .map(|((_, bytes), entries)| Duplicate {
            bytes,
            wasted: bytes * (entries.len() as u64 - 1),
            paths: entries.iter().map(|entry| show(&entry.path)).collect(),
        })
        .collect();
    found.sort_by(|a, b| (b.wasted, &a.paths).cmp(&(a.wasted, &b.paths)));
    found
}

/// What more than one layer has, but for directories.
fn overridden(subject: &Subject) -> Vec<String> {
    let mut seen: BTreeMap<&[u8], u64> = BTreeMap::new();
    for entry in subject.layers.iter().flat_map(|part| &part.layer.entries) {
        if entry.kind != Kind::Directory {
            *seen.entry(&entry.path).or_default() += 1;
        }
    }
    seen.into_iter().filter(|(_, count)| *count > 1).map(|(path, _)| show(path)).collect()
}

fn pull(subject: &Subject) -> Pull {
    let mut queues = [0_u64; AT_A_TIME];
    let (mut touched, mut files) = (0_u128, 0_u128);
    for part in &subject.layers {
        if let Some(free) = queues.iter_mut().min() {
            *free += part.layer.blob.size;
        }
        let members = &part.layer.blob.members;
        for entry in part.layer.entries.iter().filter(|entry| entry.kind == Kind::File) {
            let first = members
                .partition_point(|it| it.content_offset + it.content_length <= entry.range.start);
            let reached = members[first..].iter();
            let reached = reached.take_while(|it| it.content_offset < entry.range.end);
            touched += reached.map(|it| u128::from(it.length)).sum::<u128>();
            files += 1;
        }
    }
    Pull {
        largest_layer: subject.layers.iter().map(|part| part.layer.blob.size).max().unwrap_or(0),
        three_at_a_time: queues.into_iter().max().unwrap_or(0),
        one_file: u64::try_from(touched / files.max(1)).unwrap_or(u64::MAX),
    }
}
