//! Where a layer's segments come from: files that hold them, the cache, or built and stored there.
//!
//! A layer is tried twice at most. At first the cache is believed about hashes too: of a layer
//! whose checkpoints it knows, only what follows the last of them is hashed. Should a segment then
//! turn out not to be what its key said (a claim was wrong, a file changed), the second try
//! hashes everything.

use tracing::debug_span;

use super::cached::FinishedSegment;
use super::keys;
use super::queue::{CompressionQueue, Hashes};
use super::{BuildContext, Layer, Report, Source};
use crate::cache::{Cache, Flight, Key, Lookup, MissReason, Start};
use crate::error::{Error, Fault, Result};
use crate::fs::Output;
use crate::layer::metadata::Blob;
use crate::layer::plan::PackagePlan;
use crate::layer::segment::{self, Sink as _};
use crate::layer::wheel::Wheels;
use crate::observe::Stopwatch;

/// How many uncompressed bytes lie between two checkpoints, at least: hashing so much again is
/// cheaper than a file.
const STRIDE: u64 = 4 << 20;

/// A layer that is assembled with the help of a cache.
pub(super) struct Segments<'a> {
    layer: &'a Layer,
    context: &'a BuildContext<'a>,
    cache: &'a Cache,
    /// The keys of each package, the likeliest first.
    keys: Vec<Vec<Key>>,
}

impl<'a> Segments<'a> {
    pub(super) fn new(
        layer: &'a Layer,
        context: &'a BuildContext<'a>,
        cache: &'a Cache,
    ) -> Result<Self> {
        let keys = layer.plan.packages.iter().map(|package| candidates(package, layer, context));
        let keys = keys.collect::<Result<_>>()?;
        Ok(Self { layer, context, cache, keys })
    }

    /// Assembles the layer.
    pub(super) fn assemble(&self, output: Output, report: &mut Report) -> Result<(Output, Blob)> {
        match self.attempt(output, true, report)? {
            (output, Some(blob)) => Ok((output, blob)),
            (mut output, None) => {
                output.truncate(0)?;
                report.clear();
                match self.attempt(output, false, report)? {
                    (output, Some(blob)) => Ok((output, blob)),
                    (_, None) => Err(Error::new(Fault::Internal, "a layer was not hashed")),
                }
            }
        }
    }

    /// Assembles the layer; nothing is known about the blob if the cache was believed wrongly.
    fn attempt(
        &self,
        output: Output,
        believe: bool,
        report: &mut Report,
    ) -> Result<(Output, Option<Blob>)> {
        let Layer { plan, common, .. } = self.layer;
        let head = segment::head(&plan.directories, common.attributes);
        let mut checkpoint = keys::first_checkpoint(*common, &head);
        let known = if believe { self.last_known(checkpoint) } else { None };
        let mut blob =
            CompressionQueue::new(output, common.compression, self.context, known.is_none());
        blob.write(&head)?;
        blob.end_segment()?;

        let mut last_checkpoint = 0;
        for (index, package) in plan.packages.iter().enumerate() {
            let key = self.segment(index, package, &mut blob, report)?;
            if !blob.writer.is_hashing() && Some(&key) != self.keys[index].first() {
                let (output, ..) = blob.finish()?;
                return Ok((output, None));
            }
            checkpoint = keys::next_checkpoint(&checkpoint, &key);
            match &known {
                Some(KnownHashes::After(at, hashes)) if *at == index => {
                    blob.resume(hashes.clone())?;
                }
                _ if blob.hashed_bytes() - last_checkpoint >= STRIDE => {
                    blob.checkpoint(checkpoint)?;
                }
                _ => continue,
            }
            last_checkpoint = blob.hashed_bytes();
        }
        segment::write_tail(&mut blob)?;
        let end = keys::end(&checkpoint);
        blob.checkpoint(end)?;
        let (output, written, found) = blob.finish()?;
        let index = match (known, found) {
            (_, Some(hashes)) | (Some(KnownHashes::End(hashes)), None) => hashes.finish(),
            (_, None) => return Ok((output, None)),
        };
        Ok((output, (index.size == written).then_some(index)))
    }

    /// The last checkpoint of this layer that the cache knows, if all is as the keys say.
    fn last_known(&self, first: Key) -> Option<KnownHashes> {
        let mut checkpoints = Vec::with_capacity(self.keys.len());
        let mut checkpoint = first;
        for keys in &self.keys {
            checkpoint = keys::next_checkpoint(&checkpoint, keys.first()?);
            checkpoints.push(checkpoint);
        }
        let hashes = |key: &Key| Hashes::restore(&self.cache.checkpoint(key)?);
        if let Some(hashes) = hashes(&keys::end(&checkpoint)) {
            return Some(KnownHashes::End(hashes));
        }
        let mut after = checkpoints.iter().enumerate().rev();
        after.find_map(|(at, key)| Some(KnownHashes::After(at, hashes(key)?)))
    }

    /// Appends a package's segment; gives the key that it really has.
    pub(super) fn segment(
        &self,
        index: usize,
        package: &PackagePlan,
        blob: &mut CompressionQueue<'_>,
        report: &mut Report,
    ) -> Result<Key> {
        let (_span, watch) = (super::span(package).entered(), Stopwatch::start());
        if let Some(file) = &package.segment {
            self.layer.append_file(file.index, package, blob, Some(self.cache))?;
            report.add(package, Source::File, watch.elapsed());
            return Ok(self.keys[index][0]);
        }
        let mut why = MissReason::Unknown;
        let mut flight: Option<Flight> = None;
        loop {
            if let Some((key, source)) = self.find(index, blob, &mut why)? {
                report.add(package, source, watch.elapsed());
                return Ok(key);
            }
            let flight = match flight.take() {
                Some(flight) => Some(flight),
                None => match self.cache.start(&self.keys[index][0], self.context.turn.cancel()) {
                    Start::Now(flight) => Some(flight),
                    Start::Later(waiting) => {
                        blob.release()?;
                        self.context.turn.waits();
                        let _span = debug_span!("wait").entered();
                        flight = waiting.wait(self.context.turn.cancel())?;
                        None
                    }
                },
            };
            if let Some(flight) = flight {
                // It may have landed between the two.
                if let Some((key, source)) = self.find(index, blob, &mut why)? {
                    report.add(package, source, watch.elapsed());
                    return Ok(key);
                }
                let BuildContext { check, digest_function, input_digests, .. } = *self.context;
                let function = digest_function.guess();
                blob.record(Some(flight))?;
                let attributes = self.layer.common.attributes;
                let wheels = Wheels::open(&package.wheels, check)?;
                let mut digests = segment::write_package(
                    package,
                    &wheels,
                    attributes,
                    blob,
                    check,
                    Some(function),
                )?;
                for wheel in wheels.files() {
                    digests.push(keys::read(wheel, function, check)?);
                }
                if !package.wheels.is_empty() {
                    blob.settle()?;
                    super::finish_wheels(&wheels, report)?;
                }
                digest_function.learn(package, input_digests, (function, &digests), check)?;
                let key = keys::segment(package, self.layer.common, function, &digests);
                blob.store(Some(key))?;
                report.add(package, Source::Built(why), watch.elapsed());
                return Ok(key);
            }
        }
    }

    /// Appends a package's segment if the cache has it; gives the key that it has there.
    fn find(
        &self,
        index: usize,
        blob: &mut CompressionQueue<'_>,
        why: &mut MissReason,
    ) -> Result<Option<(Key, Source)>> {
        for (at, key) in self.keys[index].iter().enumerate() {
            match self.cache.segment(key) {
                Lookup::Miss(MissReason::Unknown) => {}
                Lookup::Miss(MissReason::Damaged) => *why = MissReason::Damaged,
                Lookup::Hit(segment) => {
                    let source = if segment.in_memory() { Source::Memory } else { Source::Disk };
                    let index = segment.index().clone();
                    if blob.append(FinishedSegment::Cached(segment), None)? {
                        blob.writer.appended(index);
                        if at > 0 {
                            self.context.digest_function.guess_otherwise();
                        }
                        return Ok(Some((*key, source)));
                    }
                    self.cache.remove(key);
                    *why = MissReason::Damaged;
                }
            }
        }
        Ok(None)
    }
}

/// A checkpoint of which the hashes are known.
enum KnownHashes {
    /// After the package at this index.
    After(usize, Hashes),
    /// At the layer's end.
    End(Hashes),
}

/// The keys that a package may have in the cache. Which function Bazel's digests are made by is
/// a guess, for they do not say; what is not claimed is read.
fn candidates(
    package: &PackagePlan,
    layer: &Layer,
    context: &BuildContext<'_>,
) -> Result<Vec<Key>> {
    if let Some(file) = &package.segment {
        return Ok(vec![keys::of_file(layer.files[file.index].seal())]);
    }
    let BuildContext { input_digests, digest_function, check, .. } = *context;
    let guess = digest_function.guess();
    let (digests, all_claimed) = keys::contents(package, input_digests, guess, check)?;
    let keys = keys::segments(package, layer.common, guess, &digests);
    let likely = if all_claimed && !digests.is_empty() { 2 } else { 1 };
    Ok(keys[..likely].to_vec())
}
