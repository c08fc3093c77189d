//! A worker that speaks JSON, and writes down what Bazel says of an action's inputs:
//! `inputs OUTPUT`, or `inputs @FILE` with the same.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use worker_protocol::messages::WorkRequest;
use worker_protocol::{Abandoned, CancelToken, Handler, Options, Protocol, Reply};

struct Inputs;

impl Handler for Inputs {
    fn outputs(&self, request: &WorkRequest) -> Vec<PathBuf> {
        let output = request.arguments.first();
        output.map(|path| Path::new(&request.sandbox_dir).join(path)).into_iter().collect()
    }

    fn handle(&self, request: &WorkRequest, cancel: &CancelToken) -> Result<Reply, Abandoned> {
        let outputs = self.outputs(request);
        let [output] = &*outputs else {
            return Ok(Reply { exit_code: 2, output: "inputs OUTPUT\n".to_owned() });
        };
        let mut text = String::new();
        for input in &request.inputs {
            // Bazel's digests are hex text, in the bytes of this field.
            let digest = String::from_utf8_lossy(&input.digest);
            text.push_str(&[&digest, " ", &*input.path, "\n"].concat());
        }
        Ok(match cancel.publish(|| std::fs::write(output, text))? {
            Ok(()) => Reply::default(),
            Err(error) => {
                Reply { exit_code: 1, output: format!("{}: {error}\n", output.display()) }
            }
        })
    }
}

fn main() -> ExitCode {
    worker_protocol::main(Inputs, Options { protocol: Protocol::Json, ..Options::default() })
}
