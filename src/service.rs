//! What all ways of running share: an action comes in, its files appear, a reply goes out.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use worker_protocol::messages::WorkRequest;
use worker_protocol::{Abandoned, CancelToken, Handler, Reply};

use crate::cli::{Action, Startup};
use crate::crew::Crew;
use crate::error::{Error, Fault, Result};
use crate::pipeline;

/// Performs actions; one for the process.
#[derive(Debug)]
pub struct Service {
    crew: Crew,
}

impl Service {
    /// Starts what the actions share.
    pub fn new(startup: &Startup) -> Result<Self> {
        Ok(Self { crew: Crew::new(startup.jobs)? })
    }

    /// Performs one action, its paths relative to `base`; gives what to tell the user, which is
    /// nothing if all went well.
    pub fn perform(
        &self,
        arguments: Vec<OsString>,
        base: &Path,
        cancel: &CancelToken,
    ) -> Result<String> {
        let request = match Action::parse(arguments, base)? {
            Action::Print(text) => return Ok(text),
            Action::Layer(request) => request,
        };
        let (targets, spec) = request.into_spec(base)?;
        let check = || cancel.check().map_err(|Abandoned| Error::abandoned());
        let finished = pipeline::build(&targets, &spec, &self.crew, &check)?;
        match cancel.publish(|| finished.publish()) {
            Ok(published) => published.map(|()| String::new()),
            Err(Abandoned) => Err(Error::abandoned()),
        }
    }
}

fn arguments(request: &WorkRequest) -> Vec<OsString> {
    request.arguments.iter().map(OsString::from).collect()
}

impl Handler for Service {
    fn outputs(&self, request: &WorkRequest) -> Vec<PathBuf> {
        let base = Path::new(&request.sandbox_dir);
        // A request that cannot be read fails when it is handled, and writes nothing.
        let Ok(Action::Layer(layer)) = Action::parse(arguments(request), base) else {
            return Vec::new();
        };
        let Ok(targets) = layer.targets(base) else {
            return Vec::new();
        };
        std::iter::once(targets.blob).chain(targets.metadata).collect()
    }

    fn handle(&self, request: &WorkRequest, cancel: &CancelToken) -> Result<Reply, Abandoned> {
        let base = Path::new(&request.sandbox_dir);
        match self.perform(arguments(request), base, cancel) {
            Ok(output) => Ok(Reply { exit_code: 0, output }),
            Err(error) if error.fault() == Fault::Abandoned => Err(Abandoned),
            Err(error) => Ok(Reply {
                exit_code: error.fault().exit_code().into(),
                output: format!("pylayer: {error}\n"),
            }),
        }
    }
}
