//! A [Bazel persistent worker] runtime: implement [`Handler`], call [`main`].
//!
//! The worker is multiplexed, cancellable and fit for multiplex sandboxing; it
//! serves a Bazel that uses none of these as well. It speaks the protobuf
//! protocol and, with the feature `json`, the JSON one: see [`Protocol`]. It runs on [tokio], with
//! a runtime of its own ([`main`], [`serve`]) or the caller's ([`serve_async`], [`run`]); handlers
//! are ordinary blocking code, or asynchronous ([`Async`]). For Unix only.
//!
//! # The protocol
//!
//! What a worker owes Bazel, the module that pays, and a test that would notice
//! (those of the modules stand beside them, the others in `tests/`). The rules are those
//! of Bazel's `worker_protocol.proto`, its documentation on creating and multiplexing
//! workers, and, where these are silent, of what Bazel 7.7.1 was seen to do.
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
//! - **Reading never waits**, not for a slot, not for a job, not for a request to be understood,
//!   not for Bazel to take a response: a cancel would be stuck behind what it is meant to stop.
//!   `worker`; `cancels_are_heard_while_all_slots_are_busy`,
//!   `a_request_that_is_slow_to_prepare_holds_up_no_other`,
//!   `requests_are_read_although_no_answer_is`.
//! - **A number comes again** while its first request still runs: Bazel before
//!   8.3, after Ctrl-C. The first is abandoned and never answered, since its answer
//!   would be taken for the second's. [`state`];
//!   `a_reused_id_abandons_the_old_request_unanswered`.
//! - **An output comes again** under another number. The first request is
//!   abandoned and answered as failed; the second starts when the first has ended.
//!   [`state`], [`Handler::prepare`];
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
//!   [`Request::path`]; the example below.
//! - **The end**. At the end of input the worker finishes and answers what it was sent, and ends
//!   ([`OnClose`]). Once nobody reads its answers it ends within a second, whatever still runs;
//!   SIGTERM ends it at once. [`serve`]; `the_end_of_input_is_exit_code_0`,
//!   `a_worker_whose_answers_nobody_reads_ends`, `a_signal_ends_the_worker`.
//! - **Text** is UTF-8, or Bazel kills the worker, and below 64 KiB. [`Reply`];
//!   `output_is_cut_at_a_character_below_64_kib`.
//! - **Failures**. A panic costs its own request, and so does a request that
//!   cannot be decoded as long as its number can. Broken frames end the worker, with the reason on
//!   standard error. `job`, [`codec`],
//!   [`ServeError`]; `a_panic_costs_one_request`, `an_unreadable_request_costs_itself`,
//!   `broken_input_is_exit_code_3_and_a_message`.
//!
//! # Example
//!
//! ```no_run
//! use std::path::PathBuf;
//! use std::process::ExitCode;
//!
//! use worker_protocol::{Context, Error, Handler, Options, Reply, Request};
//!
//! /// Makes empty files.
//! struct Touch;
//!
//! impl Handler for Touch {
//!     type Job = Vec<PathBuf>;
//!
//!     fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, Self::Job), Error> {
//!         let arguments = request.expanded_arguments()?;
//!         let files: Vec<_> = arguments.iter().map(|file| request.path(file)).collect();
//!         Ok((files.clone(), files))
//!     }
//!
//!     fn handle(&self, files: Self::Job, context: &Context) -> Result<Reply, Error> {
//!         for file in files {
//!             context.publish(|| std::fs::write(&file, ""))??;
//!         }
//!         Ok(Reply::default())
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     worker_protocol::main(Touch, Options::default())
//! }
//! ```
//!
//! `examples/concat.rs` is a complete program. With the feature `testing`, [`testing`] has a Bazel for
//! the tests of a handler.
//!
//! [Bazel persistent worker]: https://bazel.build/remote/persistent
//! [tokio]: https://tokio.rs
#![cfg_attr(
    not(feature = "testing"),
    doc = "[`testing`]: https://docs.rs/worker_protocol/latest/worker_protocol/testing/index.html"
)]
// docs.rs shows which feature an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(unix))]
compile_error!("worker_protocol is for Unix: Bazel's workers on Windows have other streams");

pub mod codec;
mod fate;
mod handler;
mod held;
mod job;
#[cfg(feature = "json")]
mod json;
/// The messages of `proto/worker_protocol.proto`, which says what each field means.
#[allow(clippy::pedantic, reason = "generated by prost from proto/worker_protocol.proto")]
#[rustfmt::skip]
pub mod messages;
mod options;
mod params;
mod program;
mod protocol;
mod reply;
mod request;
mod runtime;
pub mod state;
mod stdio;
#[cfg(feature = "testing")]
pub mod testing;
mod worker;

pub use handler::{Async, AsyncHandler, Handler};
pub use job::{Abandoned, CancelToken, Context, Outcome};
pub use options::{OnClose, Options};
pub use params::{MAX_PARAMS, read_params_file};
pub use program::main;
/// The implementation of protobuf that [`messages`] are made with.
pub use prost;
pub use protocol::Protocol;
pub use reply::{Error, INTERNAL_ERROR, MAX_OUTPUT, Reply};
pub use request::Request;
pub use runtime::{Exit, ServeError, run, serve, serve_async};

/// The examples in the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
