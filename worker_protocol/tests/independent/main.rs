//! The messages as another implementation understands them: rust-protobuf, whose
//! types in `messages.rs` are generated from the same file (see `generated.rs`).

#![allow(clippy::unwrap_used, reason = "the test fails then, as it should")]

#[allow(unreachable_pub, clippy::restriction, clippy::pedantic, clippy::nursery, reason = "generated")]
#[rustfmt::skip]
mod messages;

#[cfg(feature = "json")]
mod json;

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::num::NonZeroUsize;
use std::thread::{self, JoinHandle};

use proptest::prelude::*;
use prost::Message as _;
use protobuf::{CodedInputStream, Message as _};
use tokio::net::unix::pipe;
use tokio::runtime::Builder;
use worker_protocol::codec::{self, MAX_FRAME};
use worker_protocol::messages as ours;
use worker_protocol::{Context, Error, Exit, Options, Reply, Request, ServeError, run};

use crate::messages as theirs;

fn request() -> impl Strategy<Value = ours::WorkRequest> {
    let input = (".*", any::<Vec<u8>>()).prop_map(|(path, digest)| ours::Input { path, digest });
    let texts = prop::collection::vec(".*", 0..4);
    let inputs = prop::collection::vec(input, 0..4);
    (texts, inputs, any::<i32>(), any::<bool>(), any::<i32>(), ".*").prop_map(
        |(arguments, inputs, request_id, cancel, verbosity, sandbox_dir)| ours::WorkRequest {
            arguments,
            inputs,
            request_id,
            cancel,
            verbosity,
            sandbox_dir,
        },
    )
}

fn their_request(request: ours::WorkRequest) -> theirs::WorkRequest {
    let input = |input: ours::Input| theirs::Input {
        path: input.path,
        digest: input.digest,
        ..theirs::Input::default()
    };
    theirs::WorkRequest {
        arguments: request.arguments,
        inputs: request.inputs.into_iter().map(input).collect(),
        request_id: request.request_id,
        cancel: request.cancel,
        verbosity: request.verbosity,
        sandbox_dir: request.sandbox_dir,
        ..theirs::WorkRequest::default()
    }
}

proptest! {
    #[test]
    fn their_requests_are_our_requests(request in request()) {
        let bytes = their_request(request.clone()).write_length_delimited_to_bytes().unwrap();
        let read = codec::read_request(&mut &bytes[..], MAX_FRAME).unwrap();
        prop_assert_eq!(read, Some(request));
    }

    #[test]
    fn our_requests_are_their_requests(request in request()) {
        let bytes = request.encode_length_delimited_to_vec();
        let mut stream = CodedInputStream::from_bytes(&bytes);
        let read: theirs::WorkRequest = stream.read_message().unwrap();
        prop_assert!(stream.eof().unwrap());
        prop_assert_eq!(read, their_request(request));
    }

    #[test]
    fn our_responses_are_their_responses(
        (exit_code, output, request_id, was_cancelled) in
            (any::<i32>(), ".*", any::<i32>(), any::<bool>()),
    ) {
        let response =
            ours::WorkResponse { exit_code, output: output.clone(), request_id, was_cancelled };
        let mut bytes = Vec::new();
        codec::write_response(&mut bytes, &response).unwrap();
        let mut stream = CodedInputStream::from_bytes(&bytes);
        let read: theirs::WorkResponse = stream.read_message().unwrap();
        prop_assert!(stream.eof().unwrap());
        let expected = theirs::WorkResponse {
            exit_code,
            output,
            request_id,
            was_cancelled,
            ..theirs::WorkResponse::default()
        };
        prop_assert_eq!(&read, &expected);
        // And back, through a decoder that is ours.
        let back = ours::WorkResponse::decode_length_delimited(
            &expected.write_length_delimited_to_bytes().unwrap()[..],
        );
        prop_assert_eq!(back.unwrap(), response);
    }
}

fn describe(request: &Request, _: &Context) -> Result<Reply, Error> {
    let output = format!("{} {:?}", request.sandbox_dir, request.inputs);
    Err(Error::from(Reply::failed(request.verbosity, output)))
}

/// A worker between two pipes, on a runtime of the caller's.
fn serve(
    input: PipeReader,
    output: PipeWriter,
    options: Options,
) -> JoinHandle<Result<Exit, ServeError>> {
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let served = runtime.block_on(async {
            let input = pipe::Receiver::from_owned_fd(input.into()).unwrap();
            run(describe, input, pipe::Sender::from_owned_fd(output.into()).unwrap(), options).await
        });
        runtime.shutdown_background();
        served
    })
}

#[test]
fn a_client_of_their_make_is_served() {
    let (input, mut to_worker) = pipe().unwrap();
    let (mut from_worker, output) = pipe().unwrap();
    let worker = serve(input, output, Options::default().slots(NonZeroUsize::MIN));
    for request_id in 0..3 {
        let request = ours::WorkRequest {
            request_id,
            inputs: vec![ours::Input { path: "é".to_owned(), digest: vec![0xff] }],
            verbosity: 10,
            sandbox_dir: "__sandbox/1/_main".to_owned(),
            ..ours::WorkRequest::default()
        };
        let request = their_request(request).write_length_delimited_to_bytes().unwrap();
        to_worker.write_all(&request).unwrap();
        let mut length = [0];
        from_worker.read_exact(&mut length).unwrap();
        let mut body = vec![0; length[0].into()];
        from_worker.read_exact(&mut body).unwrap();
        let response = theirs::WorkResponse::parse_from_bytes(&body).unwrap();
        assert_eq!((response.request_id, response.exit_code), (request_id, 10));
        assert!(response.output.starts_with("__sandbox/1/_main [Input { path: \"é\""));
        assert!(!response.was_cancelled);
    }
    drop(to_worker);
    assert_eq!(worker.join().unwrap().unwrap(), Exit::Clean);
}
