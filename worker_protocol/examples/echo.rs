//! A complete worker. It answers with its arguments and can be told to misbehave:
//!
//! `--print`: print to standard output, here and from a child. `--panic`: panic.
//! `--wait`: work until cancelled. `--stuck`: work on whatever happens.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use worker_protocol::{Abandoned, Context, Error, Options, Reply, Request};

fn echo(request: &Request, context: &Context) -> Result<Reply, Error> {
    match request.arguments.first().map(String::as_str) {
        Some("--print") => {
            print()?;
            Ok(Reply::default())
        }
        Some("--panic") => panic!("as asked"),
        Some(how @ ("--wait" | "--stuck")) => {
            drop(writeln!(io::stderr(), "working"));
            while how == "--stuck" || context.check().is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
            Err(Abandoned.into())
        }
        _ => Ok(Reply::text(request.arguments.join("\n"))),
    }
}

#[allow(clippy::print_stdout, reason = "what a careless library does")]
fn print() -> io::Result<()> {
    println!("printed by the worker");
    Command::new("sh").args(["-c", "cat; echo printed by a child"]).status().map(drop)
}

fn main() -> ExitCode {
    worker_protocol::main(echo, Options::default().slots(NonZeroUsize::MIN))
}
