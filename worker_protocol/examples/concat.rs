//! A worker that writes files one after the other: `concat OUTPUT INPUT...`, or `concat @FILE`
//! with the same, one a line.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use worker_protocol::messages::WorkRequest;
use worker_protocol::{Abandoned, CancelToken, Handler, Options, Reply};

struct Concat;

impl Handler for Concat {
    fn outputs(&self, request: &WorkRequest) -> Vec<PathBuf> {
        let output = request.arguments.first();
        output.map(|path| Path::new(&request.sandbox_dir).join(path)).into_iter().collect()
    }

    fn handle(&self, request: &WorkRequest, cancel: &CancelToken) -> Result<Reply, Abandoned> {
        let base = Path::new(&request.sandbox_dir);
        let Some((output, inputs)) = request.arguments.split_first() else {
            return Ok(failed(2, &"concat OUTPUT INPUT..."));
        };
        let output = base.join(output);
        // Beside the output: renamed when it is complete, removed when it is dropped.
        let written = tempfile::NamedTempFile::new_in(output.parent().unwrap_or(base));
        let mut written = match written {
            Ok(file) => file,
            Err(error) => return Ok(failed(1, &format!("{}: {error}", output.display()))),
        };
        for input in inputs {
            cancel.check()?;
            let copied = fs::read(base.join(input)).and_then(|bytes| written.write_all(&bytes));
            if let Err(error) = copied {
                return Ok(failed(1, &format!("{input}: {error}")));
            }
        }
        Ok(match cancel.publish(|| written.persist(&output))? {
            Ok(_) => Reply::default(),
            Err(error) => failed(1, &error),
        })
    }
}

fn failed(exit_code: i32, why: &impl ToString) -> Reply {
    Reply { exit_code, output: why.to_string() + "\n" }
}

fn main() -> ExitCode {
    worker_protocol::main(Concat, Options::default())
}
