//! The road from a valid spec to a finished blob: plan, archive, members, digests, in one pass.

mod cached;
mod digest_function;
mod input_digests;
mod keys;
mod large_stream;
mod queue;
mod report;
mod segments;
mod writer;

use std::ffi::OsStr;

pub use digest_function::DigestFunctionGuess;
pub use input_digests::InputDigests;
use queue::CompressionQueue;
pub use report::{Report, Source};
use segments::Segments;
use tracing::{Span, debug_span};

use crate::cache::Cache;
use crate::error::{Error, Fault, Result};
use crate::fs::{self, Output};
use crate::layer::metadata::{self, Blob};
use crate::layer::plan::{PackagePlan, Plan, plan};
use crate::layer::segment::{self, Sink as _};
use crate::layer::spec::{Common, Targets};
use crate::layer::warnings::Kind as Warning;
use crate::layer::wheel::Wheels;
use crate::layer::{CancelCheck, LayerSpec};
use crate::observe::Stopwatch;
use crate::segment_file::{self, HeaderCheck, SegmentFile};
use crate::workers::Turn;

/// What a layer is built with; none of it changes a byte.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a closure has nothing to show")]
pub struct BuildContext<'a> {
    /// The request's share of the compression threads and buffers.
    pub turn: &'a Turn,
    /// What was built before.
    pub cache: Option<&'a Cache>,
    /// What Bazel says about the inputs.
    pub input_digests: &'a InputDigests<'a>,
    /// By which function it says so.
    pub digest_function: &'a DigestFunctionGuess,
    /// The extended attribute that says what the blob's digest is.
    pub digest_attribute: Option<&'a OsStr>,
    /// Whether the layer is still wanted.
    pub check: CancelCheck<'a>,
}

/// A layer that is complete and not visible yet.
#[derive(Debug)]
pub struct FinishedLayer {
    blob: Output,
    metadata: Option<Output>,
}

/// A layer of which it is known what goes into it.
struct Layer {
    common: Common,
    plan: Plan,
    /// The files that hold finished packages.
    files: Vec<SegmentFile>,
}

/// Builds a layer; says how.
pub fn build(
    targets: &Targets,
    spec: &LayerSpec,
    context: &BuildContext<'_>,
) -> Result<(FinishedLayer, Report)> {
    let mut report = Report::start();
    let layer = Layer::plan(targets, spec, context, &mut report)?;
    let output = create(targets)?;
    let (blob, facts) = match context.cache {
        Some(cache) => Segments::new(&layer, context, cache)?.assemble(output, &mut report)?,
        None => layer.assemble(context, output, &mut report)?,
    };
    if let Some(name) = context.digest_attribute {
        blob.set_attribute(name, facts.digest.bytes());
    }
    let metadata = match &targets.metadata {
        Some(target) => {
            let mut output = Output::create(target)?;
            let media_type = spec.common.compression.codec().media_type();
            output.write(&metadata::json(&facts, media_type)?)?;
            Some(output)
        }
        None => None,
    };
    Ok((FinishedLayer { blob, metadata }, report))
}

/// Builds the segment file of the spec's one package; says how.
pub fn build_segment(
    targets: &Targets,
    spec: &LayerSpec,
    context: &BuildContext<'_>,
) -> Result<(FinishedLayer, Report)> {
    let mut report = Report::start();
    let layer = Layer::plan(targets, spec, context, &mut report)?;
    let output = create(targets)?;
    let mut queue = CompressionQueue::new(output, layer.common.compression, context, false);
    let nothing;
    let package = match (&*layer.plan.packages, &*spec.packages) {
        ([package], _) => {
            match context.cache {
                Some(cache) => {
                    Segments::new(&layer, context, cache)?.segment(
                        0,
                        package,
                        &mut queue,
                        &mut report,
                    )?;
                }
                None => layer.segment(package, context, &mut queue, &mut report)?,
            }
            package
        }
        ([], [package]) => {
            nothing = PackagePlan::without_entries(package);
            &nothing
        }
        _ => return Err(Error::new(Fault::Internal, "a segment is of one package")),
    };
    let (mut blob, members) = queue.finish_segment()?;
    blob.write(&segment_file::trailer(package, layer.common, &members))?;
    Ok((FinishedLayer { blob, metadata: None }, report))
}

fn create(targets: &Targets) -> Result<Output> {
    if targets.is_stdout() { Output::for_stdout() } else { Output::create(&targets.blob) }
}

impl Layer {
    fn plan(
        targets: &Targets,
        spec: &LayerSpec,
        context: &BuildContext<'_>,
        report: &mut Report,
    ) -> Result<Self> {
        let common = spec.common;
        let _span = debug_span!("plan").entered();
        spec.expect_inputs_apart()?;
        let (files, finished) = segment_file::open_all(&spec.segments, common)?;
        let mut plan = plan(spec, finished, context.check)?;
        report.planned();
        report.warnings = std::mem::take(&mut plan.warnings);
        if !common.compression.fits_name(&targets.blob) {
            report.warnings.add(Warning::OutputName, format!("`{}`", targets.blob.display()));
        }
        Ok(Self { common, plan, files })
    }

    /// Assembles the layer without a cache.
    fn assemble(
        &self,
        context: &BuildContext<'_>,
        output: Output,
        report: &mut Report,
    ) -> Result<(Output, Blob)> {
        let mut blob = CompressionQueue::new(output, self.common.compression, context, true);
        blob.write(&segment::head(&self.plan.directories, self.common.attributes))?;
        blob.end_segment()?;
        for package in &self.plan.packages {
            self.segment(package, context, &mut blob, report)?;
        }
        segment::write_tail(&mut blob)?;
        match blob.finish()? {
            (output, _, Some(hashes)) => Ok((output, hashes.finish())),
            (_, _, None) => Err(Error::new(Fault::Internal, "a layer was not hashed")),
        }
    }

    /// Appends a package's segment without a cache.
    fn segment(
        &self,
        package: &PackagePlan,
        context: &BuildContext<'_>,
        blob: &mut CompressionQueue<'_>,
        report: &mut Report,
    ) -> Result<()> {
        let (_span, watch) = (span(package).entered(), Stopwatch::start());
        if let Some(file) = &package.segment {
            self.append_file(file.index, package, blob, None)?;
            report.add(package, Source::File, watch.elapsed());
            return Ok(());
        }
        // What a layer does not keep needs no hash of its own.
        let keeps = !blob.writer.is_hashing();
        if keeps {
            blob.record(None)?;
        }
        let wheels = Wheels::open(&package.wheels, context.check)?;
        let attributes = self.common.attributes;
        segment::write_package(package, &wheels, attributes, blob, context.check, None)?;
        if !package.wheels.is_empty() {
            blob.settle()?;
            finish_wheels(&wheels, report)?;
        }
        if keeps {
            blob.store(None)?;
        }
        report.add(package, Source::Alone, watch.elapsed());
        Ok(())
    }

    /// Appends the segment that a file holds.
    fn append_file(
        &self,
        index: usize,
        package: &PackagePlan,
        blob: &mut CompressionQueue<'_>,
        cache: Option<&Cache>,
    ) -> Result<()> {
        let file = &self.files[index];
        let headers = HeaderCheck::new(&package.entries, self.common.attributes);
        // A process looks at a file once.
        let look = cache.map(|cache| cache.files().look(file.seal(), file.stamp()));
        let members = file.members(matches!(look, Some(None)))?;
        if !blob.append(cached::FinishedSegment::File(Box::new(members)), Some(headers))? {
            return Err(file.damaged());
        }
        if let (Some(cache), Some(Some(look))) = (cache, look) {
            cache.files().add(*file.seal(), look);
        }
        Ok(())
    }
}

/// Makes sure of what was taken from wheels, and warns of those that had nothing to give.
fn finish_wheels(wheels: &Wheels, report: &mut Report) -> Result<()> {
    wheels.expect_unchanged()?;
    for wheel in wheels.useless() {
        report.warnings.add(Warning::Wheel, wheel);
    }
    Ok(())
}

/// A package's part in a trace.
fn span(package: &PackagePlan) -> Span {
    let name = String::from_utf8_lossy(&package.name);
    debug_span!("package", %name, entries = package.entries.len())
}

impl FinishedLayer {
    /// Makes the layer's files appear: all of them, or none.
    pub fn publish(self) -> Result<()> {
        let target = self.blob.target().to_owned();
        self.blob.publish()?;
        match self.metadata.map_or(Ok(()), Output::publish) {
            Ok(()) => Ok(()),
            Err(error) => {
                fs::remove(&target);
                Err(error)
            }
        }
    }
}
