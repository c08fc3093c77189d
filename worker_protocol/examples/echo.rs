//! A complete worker. It answers with its arguments and can be told to misbehave:
//!
//! `--print`: print to standard output, here and from a child. `--panic`: panic.
//! `--wait`: work until cancelled. `--stuck`: work on whatever happens.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use worker_protocol::messages::WorkRequest;
use worker_protocol::{Abandoned, CancelToken, Handler, Options, Reply, serve};

struct Echo;

impl Handler for Echo {
    fn handle(&self, request: &WorkRequest, cancel: &CancelToken) -> Result<Reply, Abandoned> {
        match request.arguments.first().map(String::as_str) {
            Some("--print") => Ok(match print() {
                Ok(()) => Reply::default(),
                Err(error) => Reply { exit_code: 1, output: error.to_string() },
            }),
            Some("--panic") => panic!("as asked"),
            Some(how @ ("--wait" | "--stuck")) => {
                drop(writeln!(io::stderr(), "working"));
                while how == "--stuck" || !cancel.is_abandoned() {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(Abandoned)
            }
            _ => Ok(Reply { exit_code: 0, output: request.arguments.join("\n") }),
        }
    }
}

#[allow(clippy::print_stdout, reason = "what a careless library does")]
fn print() -> io::Result<()> {
    println!("printed by the worker");
    Command::new("sh").args(["-c", "cat; echo printed by a child"]).status().map(drop)
}

fn main() -> ExitCode {
    let options = Options { slots: NonZeroUsize::MIN, ..Options::default() };
    match serve(Echo, options) {
        Ok(exit) => exit.code().into(),
        Err(error) => error.code().into(),
    }
}
