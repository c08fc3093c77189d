//! Actions that come as `WorkRequest`s.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tracing::{info_span, warn};
use worker_protocol::{Abandoned, Context, Handler, Reply, Request};

use super::{Answer, Origin, Service};
use crate::cli::Action;
use crate::error::{Error, Fault, Result};
use crate::fs;
use crate::observe::Verbose;
use crate::pipeline::InputDigests;

/// A `WorkRequest` that has been read.
#[derive(Debug)]
pub struct Job {
    action: Action,
    request: Request,
}

impl Handler for Service {
    type Job = Job;

    fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, Job), worker_protocol::Error> {
        let arguments = request.arguments.iter().map(OsString::from).collect();
        let base = base(&request);
        let action = Action::parse(arguments, base).map_err(|error| failed(&error))?;
        if matches!(&action, Action::Layer(layer) | Action::Segment(layer) if layer.writes_to_stdout())
        {
            let what = "`--output=-` is for a command at a shell, not for a worker";
            return Err(failed(&Error::usage(what)));
        }
        if matches!(action, Action::Load(_)) {
            // What it starts prints to standard output, which is the protocol's.
            let what = "`pylayer load` is for a shell, not for a worker";
            return Err(failed(&Error::usage(what)));
        }
        let outputs = match &action {
            // What cannot be read as a whole fails when it is handled, and writes nothing.
            Action::Layer(layer) | Action::Segment(layer) => layer
                .targets(base)
                .map_or_else(|_| Vec::new(), |targets| targets.files().map(fs::identity).collect()),
            Action::Check(check) => vec![fs::identity(&check.target())],
            Action::Image(image) => {
                let outputs = std::iter::once(image.target(base)).chain(image.report(base));
                outputs.map(|output| fs::identity(&output)).collect()
            }
            Action::Inspect(inspect) => {
                inspect.target(base).iter().map(|output| fs::identity(output)).collect()
            }
            Action::Print(_) | Action::Cache(_) | Action::Diff(_) | Action::Load(_) => Vec::new(),
        };
        Ok((outputs, Job { action, request }))
    }

    fn handle(&self, job: Job, context: &Context) -> Result<Reply, worker_protocol::Error> {
        let Job { action, request } = job;
        let base = base(&request);
        let known = request.inputs.iter().filter(|input| !input.digest.is_empty());
        let input_digests =
            InputDigests::new(base, known.map(|input| (input.path.as_bytes(), &*input.digest)));
        let origin = Origin { base, input_digests: &input_digests, cancel: context.token() };
        let _verbose = Verbose::new(request.verbosity);
        // The runtime's own span began before this request was known to be verbose.
        let told = request.verbosity > 0;
        let _span = told.then(|| info_span!("request", id = request.request_id).entered());
        // What goes wrong with a request that nobody wants is nobody's concern: its sources may be
        // gone already.
        let why = |error: Error| match context.check() {
            Ok(()) => failed(&error),
            Err(abandoned) => abandoned.into(),
        };
        let Answer { text, differs, notes, warnings } = self.act(action, origin).map_err(why)?;
        let mut output = text + &notes;
        for (kind, line) in warnings {
            warn!("{line}");
            if kind.is_for_users() {
                output = format!("{output}pylayer: warning: {line}\n");
            }
        }
        if differs {
            let code = Fault::Input.exit_code().into();
            return Err(worker_protocol::Error::failed(code, output));
        }
        Ok(Reply::text(output))
    }
}

/// What a request's paths are relative to: its sandbox, or the working directory. Paths without a
/// sandbox stay as they are, so that messages have them as Bazel wrote them.
fn base(request: &Request) -> &Path {
    if request.sandbox_dir.is_empty() { Path::new("") } else { request.base() }
}

/// What Bazel is told of an error.
fn failed(error: &Error) -> worker_protocol::Error {
    match error.fault() {
        Fault::Abandoned => Abandoned.into(),
        fault => worker_protocol::Error::failed(
            fault.exit_code().into(),
            format_args!("pylayer: {error}"),
        ),
    }
}
