//! The JSON protocol, spoken with another implementation of protobuf's JSON.

use std::io::{BufRead as _, BufReader, Write as _, pipe};
use std::thread;

use proptest::prelude::*;
use protobuf_json_mapping::{PrintOptions, parse_from_str, print_to_string_with_options};
use worker_protocol::{Exit, Options, Protocol};

use crate::{ours, request, serve, their_request, theirs};

/// A request as Bazel writes it, or with the defaults, names and numbers of other writers.
fn text(request: ours::WorkRequest, other: bool) -> String {
    let options = PrintOptions {
        always_output_default_values: other,
        proto_field_name: other,
        ..PrintOptions::default()
    };
    let text = print_to_string_with_options(&their_request(request), &options).unwrap();
    // Gson, which Bazel writes with, makes HTML-safe text of it.
    if other { text } else { text.replace('=', "\\u003d") }
}

/// So many answers of the worker to these bytes, sent in pieces of this length.
fn answers(bytes: &[u8], piece: usize, count: usize) -> Vec<theirs::WorkResponse> {
    let (input, mut to_worker) = pipe().unwrap();
    let (from_worker, output) = pipe().unwrap();
    let worker = serve(input, output, Options::default().protocol(Protocol::Json));
    let bytes = bytes.to_vec();
    let sender = thread::spawn(move || {
        bytes.chunks(piece).for_each(|piece| to_worker.write_all(piece).unwrap());
        to_worker
    });
    let mut lines = BufReader::new(from_worker).lines();
    let read = lines.by_ref().take(count);
    let answers = read.map(|line| parse_from_str(&line.unwrap()).unwrap()).collect();
    drop(sender.join().unwrap());
    assert!(lines.next().is_none());
    assert_eq!(worker.join().unwrap().unwrap(), Exit::Clean);
    answers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn their_requests_are_answered_as_they_understand(
        requests in prop::collection::vec((request(), any::<bool>()), 0..5),
        newlines: bool,
        piece in 1..200_usize,
    ) {
        let mut bytes = String::new();
        let mut expected = Vec::new();
        for (number, (mut request, other)) in requests.into_iter().enumerate() {
            request.request_id = i32::try_from(number).unwrap() - 1;
            // A cancel for a request that is answered already has no answer.
            request.cancel = false;
            expected.push((
                request.request_id,
                request.verbosity,
                format!("{} {:?}\n", request.sandbox_dir, request.inputs),
            ));
            bytes += &text(request, other);
            if newlines {
                bytes.push('\n');
            }
        }
        let mut found: Vec<_> = answers(bytes.as_bytes(), piece, expected.len())
            .into_iter()
            .map(|answer| (answer.request_id, answer.exit_code, answer.output))
            .collect();
        found.sort();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_request_is_answered_before_anything_follows_it() {
    let (input, mut to_worker) = pipe().unwrap();
    let (from_worker, output) = pipe().unwrap();
    let mut from_worker = BufReader::new(from_worker);
    let worker = serve(input, output, Options::default().protocol(Protocol::Json));
    for request_id in 0..3 {
        // As some executors write it: no newline.
        write!(to_worker, "{{\"requestId\":{request_id}}}").unwrap();
        let mut line = String::new();
        from_worker.read_line(&mut line).unwrap();
        let answer: theirs::WorkResponse = parse_from_str(&line).unwrap();
        assert_eq!(answer.request_id, request_id);
    }
    drop(to_worker);
    assert_eq!(worker.join().unwrap().unwrap(), Exit::Clean);
}
