//! A worker program's `main`: a persistent worker, or the same work once.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::{env, fs};

use crate::job::{CancelToken, Handler};
use crate::messages::WorkRequest;
use crate::runtime::{Options, serve};

/// What `main` of a worker program may return.
///
/// With `--persistent_worker` among the arguments, where Bazel puts it, [`serve`] is called;
/// other arguments beside it, the worker's startup flags, are the program's affair. Without it the
/// arguments are those of one request, which is handled at once: that is how Bazel runs the action
/// where it uses no worker, and how people do. An argument `@FILE` stands for the lines of that
/// file, unless it begins with `@@` (as Bazel expands the flag files of a worker's action). The
/// reply's text goes to standard error.
pub fn main(handler: impl Handler, options: Options) -> ExitCode {
    let arguments = env::args().skip(1);
    if env::args().any(|argument| argument == "--persistent_worker") {
        return match serve(handler, options) {
            Ok(exit) => exit.code().into(),
            Err(error) => error.code().into(),
        };
    }
    let (code, text) = match expand(arguments) {
        Ok(arguments) => once(&handler, arguments),
        Err(text) => (1, text),
    };
    // Without a standard error there is nobody to tell.
    drop(io::stderr().write_all(text.as_bytes()));
    // What does not fit a process's exit code is a failure all the same.
    u8::try_from(code).unwrap_or(u8::MAX).into()
}

fn once(handler: &impl Handler, arguments: Vec<String>) -> (i32, String) {
    let request = WorkRequest { arguments, ..WorkRequest::default() };
    match handler.handle(&request, &CancelToken::new()) {
        Ok(reply) => (reply.exit_code, reply.output),
        Err(abandoned) => (1, format!("{abandoned}\n")),
    }
}

fn expand(arguments: impl Iterator<Item = String>) -> Result<Vec<String>, String> {
    let mut expanded = Vec::new();
    for argument in arguments {
        match argument.strip_prefix('@') {
            Some(file) if !file.starts_with('@') => {
                let text =
                    fs::read_to_string(file).map_err(|error| format!("{file}: {error}\n"))?;
                expanded.extend(text.lines().map(str::to_owned));
            }
            _ => expanded.push(argument),
        }
    }
    Ok(expanded)
}
