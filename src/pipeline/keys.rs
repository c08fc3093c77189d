//! From a planned package to its key in the cache, and from the keys of a layer's segments to
//! those of its checkpoints.

use std::path::{Path, PathBuf};

use super::input_digests::InputDigests;
use crate::cache::{Key, KeyBuilder};
use crate::digest::{ContentHasher, Digest, Function};
use crate::error::Result;
use crate::fs::Input;
use crate::layer::CancelCheck;
use crate::layer::plan::{Entry, Kind, PackagePlan};
use crate::layer::spec::{Attributes, Common};
use crate::layer::wheel;

/// The key of a package whose files and then wheels have these contents, in order, by this function.
pub(super) fn segment(
    package: &PackagePlan,
    common: Common,
    function: Function,
    digests: &[Digest],
) -> Key {
    by(segment_builder(package, common, digests), function)
}

/// The key of a segment that a file holds, by what stands for all its bytes.
pub(super) fn of_file(seal: &[u8; 32]) -> Key {
    KeyBuilder::new("segment file").bytes(seal).finish()
}

/// The keys of a package whose files and then wheels have these digests, by whichever function:
/// by `function`, and by the other.
pub(super) fn segments(
    package: &PackagePlan,
    common: Common,
    function: Function,
    digests: &[Digest],
) -> [Key; 2] {
    let builder = segment_builder(package, common, digests);
    [by(builder.clone(), function), by(builder, function.other())]
}

fn by(builder: KeyBuilder, function: Function) -> Key {
    let function: &[u8] = match function {
        Function::Sha256 => b"SHA-256",
        Function::Blake3 => b"BLAKE3",
    };
    builder.bytes(function).finish()
}

/// Destructured without `..`: a field that is added has to be considered here.
fn segment_builder(package: &PackagePlan, common: Common, digests: &[Digest]) -> KeyBuilder {
    let PackagePlan { name: _never_in_the_bytes, entries, wheels, directories: _, segment: _ } =
        package;
    let Common { compression, attributes } = common;
    let Attributes { owner, group, mtime } = attributes;
    let mut key = KeyBuilder::new("segment")
        .bytes(compression.identity().as_bytes())
        .number(owner)
        .number(group)
        .number(mtime)
        .number(entries.len() as u64)
        .number(wheels.len() as u64);
    if !wheels.is_empty() {
        key = key.number(wheel::LEAST);
    }
    let mut digests = digests.iter();
    for Entry { dest, mode, kind } in entries {
        key = key.bytes(dest).number((*mode).into());
        key = match kind {
            Kind::Empty | Kind::Stored(_) => key.number(0),
            Kind::Symlink(text) => key.number(1).bytes(text),
            Kind::File(content) => {
                let digest = digests.next().map_or(&[][..], |digest| digest.bytes());
                let key = key.number(2).bytes(digest);
                // Which stream of a wheel is taken depends on the file's path in it.
                if wheels.is_empty() {
                    key
                } else {
                    key.bytes(wheel::path(content.path_in_tree(dest)))
                }
            }
        };
    }
    for _wheel in wheels {
        key = key.bytes(digests.next().map_or(&[][..], |digest| digest.bytes()));
    }
    key
}

/// The digests of a package's files and then of its wheels, as claimed, or as read where nothing is
/// claimed; and whether all are claimed.
pub(super) fn contents(
    package: &PackagePlan,
    input_digests: &InputDigests<'_>,
    function: Function,
    check: CancelCheck<'_>,
) -> Result<(Vec<Digest>, bool)> {
    let mut digests = Vec::with_capacity(package.entries.len());
    let mut all_claimed = true;
    let mut input_digests = input_digests.finder();
    let mut add = |path: &Path, open: &dyn Fn() -> Result<Input>| {
        let claimed = input_digests.about(path);
        all_claimed &= claimed.is_some();
        digests.push(match claimed {
            Some(digest) => digest,
            None => read(&open()?, function, check)?,
        });
        Ok(())
    };
    let mut path = PathBuf::new();
    for entry in &package.entries {
        if let Kind::File(content) = &entry.kind {
            content.write_path(&entry.dest, &mut path);
            add(&path, &|| content.open(&path))?;
        }
    }
    package.wheels.iter().try_for_each(|wheel| add(wheel, &|| Input::open(wheel)))?;
    Ok((digests, all_claimed))
}

/// The digest of a file's content.
pub(super) fn read(input: &Input, function: Function, check: CancelCheck<'_>) -> Result<Digest> {
    let mut hasher = ContentHasher::new(function);
    let size = usize::try_from(input.size()).unwrap_or(usize::MAX);
    let mut piece = vec![0; (256 << 10).min(size.saturating_add(1))];
    let mut offset = 0;
    loop {
        check()?;
        match input.read_at(&mut piece, offset)? {
            0 => return Ok(hasher.finish()),
            length => {
                hasher.update(&piece[..length]);
                offset += length as u64;
            }
        }
    }
}

/// The key of the checkpoint between a layer's head and its first segment.
pub(super) fn first_checkpoint(common: Common, head: &[u8]) -> Key {
    let Common { compression, attributes: _in_the_head_and_the_segments } = common;
    KeyBuilder::new("layer")
        .bytes(compression.identity().as_bytes())
        .bytes(Digest::of(head).bytes())
        .finish()
}

/// The key of the checkpoint after one more segment.
pub(super) fn next_checkpoint(checkpoint: &Key, segment: &Key) -> Key {
    KeyBuilder::new("checkpoint").key(checkpoint).key(segment).finish()
}

/// The key of the end of the layer.
pub(super) fn end(checkpoint: &Key) -> Key {
    KeyBuilder::new("end").key(checkpoint).finish()
}
