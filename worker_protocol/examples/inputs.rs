//! A worker that speaks JSON, and writes down what Bazel says of an action's inputs:
//! `inputs OUTPUT`, or `inputs @FILE` with the same.

use std::path::PathBuf;
use std::process::ExitCode;

use worker_protocol::{Context, Error, Handler, Options, Protocol, Reply, Request};

struct Inputs;

impl Handler for Inputs {
    type Job = (PathBuf, String);

    fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, Self::Job), Error> {
        let [output] = &*request.expanded_arguments()? else {
            return Err(Error::failed(2, "inputs OUTPUT"));
        };
        let output = request.path(output);
        // Bazel's digests are hex text, in the bytes of this field.
        let line = |path: &str, digest: &[u8]| {
            [&String::from_utf8_lossy(digest), " ", path, "\n"].concat()
        };
        let text = request.inputs.iter().map(|input| line(&input.path, &input.digest)).collect();
        Ok((vec![output.clone()], (output, text)))
    }

    fn handle(&self, (output, text): Self::Job, context: &Context) -> Result<Reply, Error> {
        context
            .publish(|| std::fs::write(&output, text))?
            .map_err(|error| Error::failed(1, format!("{}: {error}", output.display())))?;
        Ok(Reply::default())
    }
}

fn main() -> ExitCode {
    worker_protocol::main(Inputs, Options::default().protocol(Protocol::Json))
}
