//! Frames of the worker protocol: any bytes, whole and in crumbs.

#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use prost::Message as _;
use worker_protocol::codec::read_request;
use worker_protocol::messages::WorkRequest;

/// The limit, small enough to be met.
const LIMIT: u64 = 1 << 12;

/// Gives a byte at a time, with interruptions.
struct Crumbs<'a>(&'a [u8], bool);

impl Read for Crumbs<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}

/// What is read until there is nothing more, and why there is not.
fn all(input: &mut impl Read) -> (Vec<WorkRequest>, Option<String>) {
    let mut read = Vec::new();
    loop {
        match read_request(input, LIMIT) {
            Ok(Some(request)) => read.push(request),
            Ok(None) => return (read, None),
            Err(error) => return (read, Some(error.to_string())),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let whole = all(&mut &*data);
    assert_eq!(whole, all(&mut Crumbs(data, false)));
    let (read, _) = whole;
    for request in read {
        let bytes = request.encode_length_delimited_to_vec();
        let again = all(&mut &*bytes);
        assert_eq!(again, (vec![request], None));
    }
});
