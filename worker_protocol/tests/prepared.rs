//! How requests are prepared, asynchronous handlers, and schedules from seeds.

#![allow(clippy::unwrap_used, reason = "the test fails then, as it should")]

#[allow(dead_code, reason = "the other test uses the rest")]
mod support;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use support::{Bazel, End, request, slots};
use worker_protocol::testing::{self, Schedule};
use worker_protocol::{Abandoned, Async, AsyncHandler, Context, Error, Reply, Request};

#[test]
fn a_request_that_is_slow_to_prepare_holds_up_no_other() {
    let mut bazel = Bazel::start(slots(2));
    bazel.request(1, &["slow to prepare"]);
    bazel.request(2, &["a"]);
    bazel.call(2).end(End::Reply(0, ""));
    bazel.expect(2, 0, "");
    bazel.request(3, &["a"]);
    let running = bazel.call(3);
    bazel.cancel(3);
    running.wait_until_abandoned();
    running.end(End::Abandoned);
    bazel.expect_cancelled(3);
    // Its cancel waits for its last access to a file.
    bazel.cancel(1);
    bazel.seen();
    bazel.slow.send(()).unwrap();
    bazel.expect_cancelled(1);
    assert!(!bazel.has_call());
    bazel.end_clean();
}

#[test]
fn the_later_of_two_requests_with_one_output_counts_also_if_it_is_prepared_first() {
    let mut bazel = Bazel::start(slots(2));
    bazel.request(1, &["slow to prepare", "a"]);
    bazel.request(2, &["./a"]);
    bazel.call(2).end(End::Reply(0, "later"));
    bazel.expect(2, 0, "later");
    bazel.slow.send(()).unwrap();
    bazel.expect(1, 1, "superseded");
    assert!(!bazel.has_call());
    bazel.end_clean();
}

/// Waits for its cancel, on the worker's runtime.
struct Patient;

impl AsyncHandler for Patient {
    type Job = Request;

    fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, Request), Error> {
        Ok((Vec::new(), request))
    }

    async fn handle(&self, request: Request, context: Context) -> Result<Reply, Error> {
        if request.arguments.is_empty() {
            return Ok(Reply::text("at once"));
        }
        context.token().abandoned().await;
        Err(Abandoned.into())
    }
}

#[test]
fn an_asynchronous_handler_hears_a_cancel() {
    let mut bazel = testing::Bazel::start(Async(Patient), slots(2));
    bazel.send(request(1, &["wait"]));
    bazel.send(request(2, &[]));
    assert_eq!(bazel.receive().unwrap().output, "at once");
    bazel.cancel(1);
    assert!(bazel.receive().unwrap().was_cancelled);
    assert!(bazel.end().is_clean());
}

/// Checks in itself what `testing` cannot see: that no two requests write one file at a time.
#[test]
fn a_worker_keeps_the_rules_in_every_schedule() {
    for seed in 0..300 {
        let schedule = Schedule::from_seed(seed, 6);
        let writing: Mutex<HashSet<String>> = Mutex::default();
        let handler = WritesOne(writing);
        let options = slots(usize::try_from(1 + seed % 4).unwrap())
            .superseded_hold(Duration::from_micros(seed % 3 * 500));
        let kinds = |kind: usize| request(0, &[["a", "b", "c", "panic", "fail", ""][kind]]);
        let played = schedule.play(handler, options, kinds);
        assert_eq!(played, Ok(()), "seed {seed}: {schedule:?}");
    }
}

struct WritesOne(Mutex<HashSet<String>>);

impl worker_protocol::Handler for WritesOne {
    type Job = String;

    fn prepare(&self, request: Request) -> Result<(Vec<PathBuf>, String), Error> {
        let file = request.arguments.concat();
        match &*file {
            "panic" => panic!("as asked"),
            "fail" => Err(Error::failed(1, "as asked")),
            "" => Ok((Vec::new(), file)),
            _ => Ok((vec![request.path(&file)], file)),
        }
    }

    fn handle(&self, file: String, context: &Context) -> Result<Reply, Error> {
        let alone = file.is_empty() || self.0.lock().unwrap().insert(file.clone());
        assert!(alone, "two requests write {file}");
        for _ in 0..100 {
            thread::yield_now();
        }
        self.0.lock().unwrap().remove(&file);
        context.check()?;
        Ok(Reply::default())
    }
}
