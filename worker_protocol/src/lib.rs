//! A [Bazel persistent worker] runtime: implement [`Handler`], call [`serve`].
//!
//! The worker is multiplexed, cancellable and fit for multiplex sandboxing; it
//! serves a Bazel that uses none of these as well. It speaks the protobuf
//! protocol and, with the feature `json`, the JSON one: see [`Protocol`].
//!
//! # The protocol
//!
//! What a worker owes Bazel, the module that pays, and a test that would notice
//! (those of the modules stand beside them, the others in `tests/`). The rules are those
//! of Bazel's `worker_protocol.proto`, its documentation on creating and multiplexing
//! workers, and, where these are silent, of what Bazel 4.2.3 was seen to do.
//!
//! - **Frames**. A frame is a varint length and a message. Length 0 is a message
//!   too, unknown fields are skipped, and the input may end between frames but not
//!   inside one. [`codec`]; `codec::tests`, `tests/independent`.
//! - **Start**. The arguments, `--persistent_worker` among them, are the
//!   program's affair; Bazel sets next to no environment, and this crate reads none.
//!   Standard error is the worker's log. [`serve`]; `tests/process.rs`.
//! - **Standard output** carries responses and not one byte more. Whatever else
//!   prints, in this process or in a child, prints to standard error; a child's
//!   standard input is empty. `stdio`; `only_responses_reach_standard_output`.
//! - **One answer**. Every request that is no cancel is answered once,
//!   under its own `request_id` (0 and negative ones too), after its last file access,
//!   in whatever order they end. The exceptions are named below. [`state`];
//!   `every_schedule_keeps_the_rules`, `every_id_is_echoed`,
//!   `answers_come_in_the_order_of_the_ends`.
//! - **Reading never waits**, not for a slot, not for a job, not for Bazel to
//!   take a response: a cancel would be stuck behind what it is meant to stop.
//!   `threads`; `cancels_are_heard_while_all_slots_are_busy`,
//!   `requests_are_read_although_no_answer_is`.
//! - **A number comes again** while its first request still runs: Bazel before
//!   8.3, after Ctrl-C. The first is abandoned and never answered, since its answer
//!   would be taken for the second's. [`state`];
//!   `a_reused_id_abandons_the_old_request_unanswered`.
//! - **An output comes again** under another number. The first request is
//!   abandoned and answered as failed; the second starts when the first has ended.
//!   [`state`], [`Handler::outputs`];
//!   `a_reused_output_waits_until_the_old_request_has_stopped`.
//! - **Outputs appear** under the token's lock, so that an abandoned request
//!   publishes nothing. [`CancelToken::publish`]; `nothing_is_published_after_abandon`.
//! - **A cancel** stops its request, queued or running. The answer says
//!   `was_cancelled`, or is the ordinary one if the work was done already. A cancel for
//!   any other number is late or repeated and has no answer. Nothing but a cancel leads
//!   to `was_cancelled`. [`state`]; `late_unknown_and_second_cancels_have_no_answer`,
//!   `a_cancel_after_publishing_gets_the_ordinary_answer`.
//! - **Sandboxing**. `sandbox_dir` stands before every relative path that the
//!   handler touches; the working directory is the process's and never changes.
//!   [`Handler`]; the example below.
//! - **The end**. The end of input ends the worker within a second, whatever
//!   still runs, and SIGTERM does at once; nothing new starts. [`serve`],
//!   [`Options::close_grace`]; `the_end_of_input_is_exit_code_0`,
//!   `a_signal_ends_the_worker`.
//! - **Text** is UTF-8, or Bazel kills the worker, and below 64 KiB. [`Reply`];
//!   `output_is_cut_at_a_character_below_64_kib`.
//! - **Failures**. A panic costs its own request, and so does a request that
//!   cannot be decoded as long as its number can. Broken frames and a closed standard
//!   output end the worker, with the reason on standard error. `job`, [`codec`],
//!   [`ServeError`]; `a_panic_costs_one_request`, `an_unreadable_request_costs_itself`,
//!   `broken_input_is_exit_code_3_and_a_message`,
//!   `a_closed_standard_output_is_exit_code_3_and_a_message`.
//!
//! # Example
//!
//! [`serve`] takes over standard input and output; [`run`] does the same for any
//! streams, here two pipes:
//!
//! ```
//! use std::io::{Read, pipe};
//! use std::path::Path;
//!
//! use worker_protocol::messages::{WorkRequest, WorkResponse};
//! use worker_protocol::{Abandoned, CancelToken, Exit, Handler, Options, Reply};
//!
//! struct Touch;
//!
//! impl Handler for Touch {
//!     fn handle(&self, request: &WorkRequest, cancel: &CancelToken) -> Result<Reply, Abandoned> {
//!         for path in &request.arguments {
//!             let path = Path::new(&request.sandbox_dir).join(path);
//!             if let Err(error) = cancel.publish(|| std::fs::write(&path, ""))? {
//!                 return Ok(Reply { exit_code: 1, output: error.to_string() });
//!             }
//!         }
//!         Ok(Reply::default())
//!     }
//! }
//!
//! # use prost::Message;
//! # use std::io::Write;
//! let (input, mut to_worker) = pipe()?;
//! let (mut from_worker, output) = pipe()?;
//! let worker = std::thread::spawn(|| {
//!     worker_protocol::run(Touch, input, output, Options::default())
//! });
//!
//! let request = WorkRequest { request_id: 7, ..WorkRequest::default() };
//! to_worker.write_all(&request.encode_length_delimited_to_vec())?;
//! let mut response = [0; 3];
//! from_worker.read_exact(&mut response)?;
//! assert_eq!(WorkResponse::decode_length_delimited(&response[..])?.request_id, 7);
//!
//! drop(to_worker);
//! assert_eq!(worker.join().unwrap()?, Exit::Clean);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/concat.rs` is a complete program, with [`main`].
//!
//! [Bazel persistent worker]: https://bazel.build/remote/persistent

pub mod codec;
mod job;
#[cfg(feature = "json")]
mod json;
/// The messages of `proto/worker_protocol.proto`, which says what each field means.
#[allow(clippy::pedantic, reason = "generated by prost from proto/worker_protocol.proto")]
#[rustfmt::skip]
pub mod messages;
mod paths;
mod program;
mod protocol;
mod runtime;
mod signals;
pub mod state;
mod stdio;
mod threads;

pub use job::{Abandoned, CancelToken, Handler, INTERNAL_ERROR, MAX_OUTPUT, Outcome, Reply};
pub use paths::normal_path;
pub use program::main;
pub use protocol::Protocol;
pub use runtime::{Exit, Options, ServeError, run, serve};

/// The example in the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
