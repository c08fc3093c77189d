//! The whole runtime over pipes. Every order of events is forced by the test:
//! nothing sleeps, and nothing depends on how long a step takes.

#![allow(clippy::unwrap_used, reason = "the test fails then, as it should")]

#[allow(dead_code, reason = "the other test uses the rest")]
mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use support::{Bazel, End, FOREVER, request, slots};
use worker_protocol::codec::FrameError;
use worker_protocol::messages::WorkRequest;
use worker_protocol::prost::Message as _;
use worker_protocol::testing;
use worker_protocol::{Abandoned, Context, Exit, OnClose, Reply, Request, ServeError};

#[test]
fn answers_come_in_the_order_of_the_ends() {
    let mut bazel = Bazel::start(slots(3));
    for id in [0, -1, 7] {
        bazel.request(id, &[]);
    }
    // Three threads report in any order.
    let mut calls: Vec<_> = (0..3).map(|_| bazel.any_call()).collect();
    calls.sort_by_key(|call| call.id);
    for call in calls.iter().rev() {
        call.end(End::Reply(0, "done"));
        bazel.expect(call.id, 0, "done");
    }
    bazel.end_clean();
}

#[test]
fn a_failure_is_an_ordinary_answer() {
    let mut bazel = Bazel::start(slots(1));
    bazel.request(1, &[]);
    bazel.call(1).end(End::Reply(2, "no such file"));
    bazel.expect(1, 2, "no such file");
    bazel.end_clean();
}

#[test]
fn cancels_are_heard_while_all_slots_are_busy() {
    let mut bazel = Bazel::start(slots(1));
    bazel.request(1, &[]);
    let running = bazel.call(1);
    bazel.request(2, &[]);
    bazel.request(3, &[]);
    bazel.cancel(2);
    bazel.expect_cancelled(2);
    assert!(!running.token.is_abandoned());

    bazel.cancel(1);
    running.wait_until_abandoned();
    running.end(End::Abandoned);
    bazel.expect_cancelled(1);
    bazel.call(3).end(End::Reply(0, ""));
    bazel.expect(3, 0, "");
    bazel.end_clean();
}

#[test]
fn a_cancel_after_publishing_gets_the_ordinary_answer() {
    let mut bazel = Bazel::start(slots(1));
    bazel.request(1, &[]);
    let call = bazel.call(1);
    call.token.publish(|| ()).unwrap();
    bazel.cancel(1);
    call.wait_until_abandoned();
    call.end(End::Reply(0, "published"));
    bazel.expect(1, 0, "published");
    bazel.end_clean();
}

#[test]
fn late_unknown_and_second_cancels_have_no_answer() {
    let mut bazel = Bazel::start(slots(1));
    bazel.cancel(9);
    bazel.request(1, &[]);
    let call = bazel.call(1);
    bazel.cancel(1);
    bazel.cancel(1);
    call.wait_until_abandoned();
    call.end(End::Abandoned);
    bazel.expect_cancelled(1);
    bazel.cancel(1);
    bazel.request(2, &[]);
    bazel.call(2).end(End::Reply(0, ""));
    bazel.expect(2, 0, "");
    bazel.cancel(2);
    bazel.end_clean();
}

#[test]
fn a_reused_id_abandons_the_old_request_unanswered() {
    let mut bazel = Bazel::start(slots(2));
    bazel.request(1, &["a"]);
    let old = bazel.call(1);
    bazel.request(1, &["b"]);
    let new = bazel.call(1);
    assert_eq!(old.token.publish(|| ()), Err(Abandoned));
    assert!(!new.token.is_abandoned());
    old.end(End::Reply(0, "old"));
    new.end(End::Reply(0, "new"));
    bazel.expect(1, 0, "new");
    bazel.end_clean();
}

#[test]
fn a_reused_output_waits_until_the_old_request_has_stopped() {
    let mut bazel = Bazel::start(slots(3));
    bazel.request(1, &["out/a"]);
    let old = bazel.call(1);
    bazel.request(2, &["./out//x/../a"]);
    old.wait_until_abandoned();
    // A third request shows that the loop has dealt with the second.
    bazel.request(3, &["out/b"]);
    let other = bazel.call(3);
    assert!(!bazel.has_call());
    assert_eq!(old.token.publish(|| ()), Err(Abandoned));

    old.end(End::Abandoned);
    bazel.expect(1, 1, "superseded");
    bazel.call(2).end(End::Reply(0, "new"));
    bazel.expect(2, 0, "new");
    other.end(End::Reply(0, ""));
    bazel.expect(3, 0, "");
    bazel.end_clean();
}

#[test]
fn a_panic_costs_one_request() {
    let mut bazel = Bazel::start(slots(1));
    bazel.request(1, &[]);
    bazel.call(1).end(End::Panic);
    bazel.expect(1, 70, "as the test says");
    bazel.request(2, &["panic in prepare"]);
    bazel.expect(2, 70, "no outputs");
    bazel.request(3, &[]);
    bazel.call(3).end(End::Reply(0, ""));
    bazel.expect(3, 0, "");
    bazel.end_clean();
}

#[test]
fn stopping_unasked_is_an_internal_error() {
    let mut bazel = Bazel::start(slots(1));
    bazel.request(1, &[]);
    bazel.call(1).end(End::Abandoned);
    bazel.expect(1, 70, "bug");
    bazel.end_clean();
}

#[test]
fn an_empty_frame_is_a_request() {
    let mut bazel = Bazel::start(slots(1));
    bazel.send_bytes(&[0]);
    bazel.call(0).end(End::Reply(0, ""));
    bazel.expect(0, 0, "");
    bazel.end_clean();
}

#[test]
fn an_unreadable_request_costs_itself() {
    let mut bazel = Bazel::start(slots(1));
    // arguments = "\xff", request_id = 9.
    bazel.send_bytes(&[5, 0x0a, 1, 0xff, 0x18, 9]);
    bazel.expect(9, 1, "cannot be read");
    bazel.end_clean();
}

#[test]
fn the_end_of_input_finishes_what_was_accepted() {
    let mut bazel = Bazel::start(slots(1));
    for id in [1, 2, 3] {
        bazel.request(id, &[]);
    }
    bazel.close();
    for id in [1, 2, 3] {
        bazel.call(id).end(End::Reply(0, "done"));
        bazel.expect(id, 0, "done");
    }
    bazel.end_clean();
}

#[test]
fn the_end_of_input_may_abandon_what_runs() {
    let mut bazel = Bazel::start(slots(1).on_close(OnClose::Abandon).close_grace(FOREVER));
    bazel.request(1, &[]);
    let call = bazel.call(1);
    bazel.request(2, &[]);
    bazel.close();
    call.wait_until_abandoned();
    call.end(End::Abandoned);
    bazel.end_clean();
}

#[test]
fn a_job_that_will_not_stop_does_not_delay_the_end() {
    let mut bazel = Bazel::start(slots(1).on_close(OnClose::Abandon).close_grace(Duration::ZERO));
    bazel.request(1, &[]);
    let stuck = bazel.call(1);
    bazel.close();
    bazel.end_clean();
    assert!(stuck.token.is_abandoned());
}

#[test]
fn answers_made_before_the_end_are_written() {
    let mut bazel = Bazel::start(slots(1).on_close(OnClose::Abandon).close_grace(FOREVER));
    bazel.request(1, &[]);
    let call = bazel.call(1);
    bazel.close();
    call.wait_until_abandoned();
    call.end(End::Reply(0, "done in time"));
    bazel.expect(1, 0, "done in time");
    bazel.end_clean();
}

#[test]
fn a_signal_abandons_what_runs_also_after_the_end_of_input() {
    for close in [false, true] {
        let mut bazel = Bazel::start(slots(1));
        bazel.request(1, &[]);
        let stuck = bazel.call(1);
        if close {
            bazel.close();
        }
        bazel.signal(15);
        stuck.wait_until_abandoned();
        let end = bazel.end();
        assert_eq!((end.result.unwrap(), end.unread), (Exit::Terminated(15), vec![]));
    }
}

#[test]
fn broken_input_is_an_error_and_stops_the_jobs() {
    type Is = fn(&FrameError) -> bool;
    let cases: [(&[u8], Is); 4] = [
        (&[5, 1, 2], |e| matches!(e, FrameError::Truncated { part: "body", read: 2 })),
        (&[0x80], |e| matches!(e, FrameError::Truncated { part: "length", read: 1 })),
        (&[0x81, 0x80, 0x80, 0x80, 4], |e| {
            matches!(e, FrameError::TooLarge { length: 1_073_741_825, limit: 1_073_741_824 })
        }),
        (&[1, 0xff], |e| matches!(e, FrameError::Malformed(_))),
    ];
    for (bytes, is_expected) in cases {
        let mut bazel = Bazel::start(slots(1).close_grace(FOREVER));
        bazel.request(1, &[]);
        let call = bazel.call(1);
        bazel.send_bytes(bytes);
        bazel.close();
        call.wait_until_abandoned();
        call.end(End::Abandoned);
        let end = bazel.end();
        assert!(end.unread.is_empty(), "{end:?}");
        let Err(ServeError::Input(error)) = end.result else { panic!("{end:?}") };
        assert!(is_expected(&error), "{error}");
    }
}

#[test]
fn a_worker_whose_answers_nobody_reads_ends() {
    for close in [false, true] {
        let mut bazel = Bazel::start(slots(2).close_grace(FOREVER));
        bazel.request(1, &[]);
        bazel.request(2, &[]);
        let [first, second] = [bazel.any_call(), bazel.any_call()];
        bazel.hang_up();
        if close {
            bazel.close();
        }
        first.end(End::Reply(0, ""));
        second.wait_until_abandoned();
        second.end(End::Abandoned);
        bazel.end_clean();
    }
}

#[test]
fn requests_are_read_although_no_answer_is() {
    let running = Arc::new(AtomicUsize::new(0));
    let busy = {
        let running = Arc::clone(&running);
        move |request: &Request, _: &Context| {
            assert!(running.fetch_add(1, Ordering::SeqCst) < 3, "more than there are slots");
            thread::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(Reply::text(request.arguments.concat()))
        }
    };
    let mut bazel = testing::Bazel::start(busy, slots(3));
    let text = "x".repeat(100);
    let ids = 1..=10_000;
    for id in ids.clone() {
        // Far more than the streams hold: this returns only if the worker reads.
        bazel.send(request(id, &[&text]));
    }
    let answers = ids.clone().map(|_| bazel.receive().unwrap());
    let answered: HashSet<_> = answers
        .inspect(|answer| assert_eq!(answer.exit_code, 0, "{}", answer.output))
        .map(|answer| answer.request_id)
        .collect();
    assert_eq!(answered, ids.collect());
    assert!(bazel.end().is_clean());
}

#[test]
fn requests_may_arrive_in_any_pieces() {
    let mut bazel = Bazel::start(slots(1));
    let frames = [request(1, &["a"]), request(2, &["b"])];
    let bytes: Vec<_> =
        frames.iter().flat_map(WorkRequest::encode_length_delimited_to_vec).collect();
    for byte in bytes {
        bazel.send_bytes(&[byte]);
    }
    for id in [1, 2] {
        bazel.call(id).end(End::Reply(0, ""));
        bazel.expect(id, 0, "");
    }
    bazel.end_clean();
}
