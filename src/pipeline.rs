//! The road from a valid spec to a finished blob: plan, archive, members, digests, in one pass.

mod cached;
mod claims;
mod functions;
mod keys;
mod large_stream;
mod queue;
mod report;
mod segments;
mod writer;

use std::ffi::OsStr;

pub use claims::Claims;
pub use functions::Functions;
use keys::Common;
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
use crate::layer::spec::Targets;
use crate::layer::warnings::Kind as Warning;
use crate::layer::wheel::Wheels;
use crate::layer::{Checkpoint, LayerSpec};
use crate::observe::Stopwatch;
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
    pub claims: &'a Claims<'a>,
    /// By which function it says so.
    pub functions: &'a Functions,
    /// The extended attribute that says what the blob's digest is.
    pub digest_attribute: Option<&'a OsStr>,
    /// Whether the layer is still wanted.
    pub check: Checkpoint<'a>,
}

/// A layer that is complete and not visible yet.
#[derive(Debug)]
pub struct Finished {
    blob: Output,
    metadata: Option<Output>,
}

/// Builds a layer; says how.
pub fn build(
    targets: &Targets,
    spec: &LayerSpec,
    context: &BuildContext<'_>,
) -> Result<(Finished, Report)> {
    let mut report = Report::start();
    let mut plan = debug_span!("plan").in_scope(|| plan(spec, context.check))?;
    report.planned();
    report.warnings = std::mem::take(&mut plan.warnings);
    if !spec.compression.fits_name(&targets.blob) {
        report.warnings.add(Warning::OutputName, targets.blob.display().to_string());
    }
    let common = Common { compression: spec.compression, attributes: spec.attributes };
    let output =
        if targets.is_stdout() { Output::for_stdout()? } else { Output::create(&targets.blob)? };
    let (blob, facts) = match context.cache {
        Some(cache) => {
            Segments::new(&plan, common, context, cache)?.assemble(output, &mut report)?
        }
        None => straight(&plan, common, context, output, &mut report)?,
    };
    if let Some(name) = context.digest_attribute {
        blob.set_attribute(name, facts.digest.bytes());
    }
    let metadata = match &targets.metadata {
        Some(target) => {
            let mut output = Output::create(target)?;
            output.write(&metadata::json(&facts, spec.compression.media_type())?)?;
            Some(output)
        }
        None => None,
    };
    Ok((Finished { blob, metadata }, report))
}

/// Builds a blob without a cache.
fn straight(
    plan: &Plan,
    common: Common,
    context: &BuildContext<'_>,
    output: Output,
    report: &mut Report,
) -> Result<(Output, Blob)> {
    let Common { compression, attributes } = common;
    let mut blob = CompressionQueue::new(output, compression, context, true);
    blob.write(&segment::head(&plan.directories, attributes))?;
    blob.end_segment()?;
    for package in &plan.packages {
        let (_span, watch) = (span(package).entered(), Stopwatch::start());
        let wheels = Wheels::open(&package.wheels, context.check)?;
        segment::write_package(package, &wheels, attributes, &mut blob, context.check, None)?;
        if !package.wheels.is_empty() {
            blob.settle()?;
            finish_wheels(&wheels, report)?;
        }
        report.add(package, Source::Alone, watch.elapsed());
    }
    segment::write_tail(&mut blob)?;
    match blob.finish()? {
        (output, _, Some(hashes)) => Ok((output, hashes.finish())),
        (_, _, None) => Err(Error::new(Fault::Internal, "a layer was not hashed")),
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

impl Finished {
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
