//! The JSON protocol: any bytes end the worker in one of the ways that it may end, and what it
//! answers is lines of JSON.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Builder;
use worker_protocol::{Context, Error, Exit, Options, Protocol, Reply, Request, ServeError, run};

/// More than is answered to any input that the fuzzer makes.
const ANSWERS: usize = 1 << 24;

fn echo(request: &Request, _: &Context) -> Result<Reply, Error> {
    match request.verbosity {
        0 => Ok(Reply::text(request.arguments.join("\n"))),
        code => Ok(Reply::failed(code, request.arguments.join("\n"))),
    }
}

fuzz_target!(|data: &[u8]| {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let (ended, written) = runtime.block_on(async {
        let (output, mut answers) = tokio::io::duplex(ANSWERS);
        let options = Options::default().protocol(Protocol::Json).max_frame(1 << 12);
        let ended = run(echo, Cursor::new(data.to_vec()), output, options).await;
        let mut written = Vec::new();
        answers.read_to_end(&mut written).await.unwrap();
        (ended, written)
    });
    assert!(matches!(ended, Ok(Exit::Clean) | Err(ServeError::Input(_))), "{ended:?}");
    let text = std::str::from_utf8(&written).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    assert!(text.lines().all(|line| line.starts_with("{\"exitCode\":") && line.ends_with('}')));
});
