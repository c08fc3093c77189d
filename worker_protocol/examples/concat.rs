//! A worker that writes files one after the other: `concat OUTPUT INPUT...`, or `concat @FILE`
//! with the same, one a line.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use worker_protocol::{Context, Error, Handler, Options, Reply, Request};

struct Concat;

struct Job {
    output: PathBuf,
    inputs: Vec<PathBuf>,
}

impl Handler for Concat {
    type Job = Job;

    fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, Job), Error> {
        let arguments = request.expanded_arguments()?;
        let mut paths = arguments.iter().map(|path| request.path(path));
        let output = paths.next().ok_or_else(|| Error::failed(2, "concat OUTPUT INPUT..."))?;
        Ok((vec![output.clone()], Job { output, inputs: paths.collect() }))
    }

    fn handle(&self, Job { output, inputs }: Job, context: &Context) -> Result<Reply, Error> {
        // Beside the output: renamed when it is complete, removed when it is dropped.
        let folder = output.parent().unwrap_or(Path::new("/"));
        let mut written = tempfile::NamedTempFile::new_in(folder)?;
        for input in inputs {
            context.check()?;
            let bytes = fs::read(&input)
                .map_err(|error| Error::failed(1, format!("{}: {error}", input.display())))?;
            written.write_all(&bytes)?;
        }
        context.publish(|| written.persist(&output))?.map_err(|error| error.error)?;
        Ok(Reply::default())
    }
}

fn main() -> ExitCode {
    worker_protocol::main(Concat, Options::default())
}
