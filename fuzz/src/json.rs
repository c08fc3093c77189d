//! The JSON protocol: any bytes end the worker in one of the ways that it may end, and what it
//! answers is lines of JSON.

#![no_main]

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use worker_protocol::messages::WorkRequest;
use worker_protocol::{
    Abandoned, CancelToken, Exit, Handler, Options, Protocol, Reply, ServeError, run,
};

struct Echo;

impl Handler for Echo {
    fn handle(&self, request: &WorkRequest, _: &CancelToken) -> Result<Reply, Abandoned> {
        Ok(Reply { exit_code: request.verbosity, output: request.arguments.join("\n") })
    }
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let kept = Kept::default();
    let options = Options {
        protocol: Protocol::Json,
        max_frame: 1 << 12,
        close_grace: Duration::from_secs(10),
        ..Options::default()
    };
    let ended = run(Echo, Cursor::new(data.to_vec()), kept.clone(), options);
    assert!(matches!(ended, Ok(Exit::Clean) | Err(ServeError::Input(_))), "{ended:?}");
    let written = kept.0.lock().unwrap();
    let text = std::str::from_utf8(&written).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    assert!(text.lines().all(|line| line.starts_with("{\"exitCode\":") && line.ends_with('}')));
});
