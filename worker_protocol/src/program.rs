//! A worker program's `main`: a persistent worker, or the same work once.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::{env, fs};

use crate::job::{self, Abandoned, CancelToken, Handler, Outcome, Reply};
use crate::messages::WorkRequest;
use crate::runtime::{Options, serve};

/// How deep flag files may name others.
const NESTED: usize = 16;

/// What `main` of a worker program may return.
///
/// With `--persistent_worker` among the arguments, where Bazel puts it, [`serve`] is called;
/// other arguments beside it, the worker's startup flags, are the program's affair. Without it the
/// arguments are those of one request, which is handled at once: that is how Bazel runs the action
/// where it uses no worker, and how people do. An argument `@FILE` stands for the lines of that
/// file, of which one that begins with `@` stands for another file's again; `@@` at the start means
/// no file (as Bazel does for a worker's action). The reply's text goes to standard error.
pub fn main(handler: impl Handler, options: Options) -> ExitCode {
    if env::args_os().any(|argument| argument == "--persistent_worker") {
        return match serve(handler, options) {
            Ok(exit) => exit.code().into(),
            Err(error) => error.code().into(),
        };
    }
    let mut arguments = Vec::new();
    let expanded = env::args_os().skip(1).try_for_each(|argument| {
        let argument = argument.into_string();
        let argument = argument.map_err(|other| format!("{}: not UTF-8\n", other.display()))?;
        expand(argument, NESTED, &mut arguments)
    });
    let (code, text) = match expanded.map(|()| arguments) {
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
    let reply = match job::call(handler, &request, &CancelToken::new()) {
        Outcome::Replied(reply) => reply,
        Outcome::Panicked(message) => job::panic_reply(&message),
        Outcome::Abandoned => Reply { exit_code: 1, output: format!("{Abandoned}\n") },
    };
    (reply.exit_code, reply.output)
}

fn expand(argument: String, nested: usize, into: &mut Vec<String>) -> Result<(), String> {
    let file = match argument.strip_prefix('@') {
        Some(file) if !file.starts_with('@') => file,
        _ => {
            into.push(argument);
            return Ok(());
        }
    };
    if nested == 0 {
        return Err(format!("{file}: flag files name each other without end\n"));
    }
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}\n"))?;
    text.lines().try_for_each(|line| expand(line.to_owned(), nested - 1, into))
}
