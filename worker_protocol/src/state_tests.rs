use std::collections::VecDeque;

use super::*;
use crate::reply::Reply;

/// A state whose events and actions are written in a line each. A job is prepared as soon as the
/// state asks for it, unless the test does that itself.
struct Table {
    state: State,
    outputs: HashMap<JobNumber, Vec<PathBuf>>,
    by_hand: bool,
}

fn table(slots: usize) -> Table {
    let state = State::new(NonZeroUsize::new(slots).unwrap());
    Table { state, outputs: HashMap::new(), by_hand: false }
}

fn table_by_hand(slots: usize) -> Table {
    Table { by_hand: true, ..table(slots) }
}

fn replied() -> Outcome {
    Outcome::Replied(Reply { exit_code: 0, output: "done".to_owned() })
}

fn show(action: &Action) -> String {
    match action {
        Action::Prepare { job } => format!("prepare {}", job.0),
        Action::Start { job } => format!("start {}", job.0),
        Action::Abandon { job } => format!("abandon {}", job.0),
        Action::Forget { job } => format!("forget {}", job.0),
        Action::Hold { job } => format!("hold {}", job.0),
        Action::Exit => "exit".to_owned(),
        Action::Respond { response } if response.was_cancelled => {
            assert_eq!((response.exit_code, response.output.as_str()), (0, ""));
            format!("cancelled {}", response.request_id)
        }
        Action::Respond { response } => {
            let text = response.output.split(['\n', ':']).next().unwrap();
            let first = text.split(' ').next().unwrap();
            format!("respond {} {} {first}", response.request_id, response.exit_code)
        }
    }
}

impl Table {
    #[track_caller]
    fn expect(&mut self, event: Event, actions: &[&str]) -> &mut Self {
        let mut events = VecDeque::from([event]);
        let mut shown = Vec::new();
        while let Some(event) = events.pop_front() {
            for action in self.state.handle(event) {
                match action {
                    Action::Prepare { job } if !self.by_hand => {
                        let outputs = Ok(self.outputs[&job].clone());
                        events.push_back(Event::Prepared { job, outputs });
                    }
                    action => shown.push(show(&action)),
                }
            }
        }
        assert_eq!(shown, actions);
        self
    }

    #[track_caller]
    fn request(&mut self, job: u64, id: i32, outputs: &[&str], actions: &[&str]) -> &mut Self {
        let job = JobNumber(job);
        self.outputs.insert(job, outputs.iter().map(PathBuf::from).collect());
        self.expect(Event::Request { job, id }, actions)
    }

    #[track_caller]
    fn prepared(&mut self, job: u64, actions: &[&str]) -> &mut Self {
        let job = JobNumber(job);
        let outputs = Ok(self.outputs[&job].clone());
        self.expect(Event::Prepared { job, outputs }, actions)
    }

    #[track_caller]
    fn refused(&mut self, job: u64, outcome: Outcome, actions: &[&str]) -> &mut Self {
        self.expect(Event::Prepared { job: JobNumber(job), outputs: Err(outcome) }, actions)
    }

    #[track_caller]
    fn stopped(&mut self, actions: &[&str]) -> &mut Self {
        self.expect(Event::Stopped, actions)
    }

    #[track_caller]
    fn cancel(&mut self, id: i32, actions: &[&str]) -> &mut Self {
        self.expect(Event::Cancel { id }, actions)
    }

    #[track_caller]
    fn finished(&mut self, job: u64, outcome: Outcome, actions: &[&str]) -> &mut Self {
        self.expect(Event::Finished { job: JobNumber(job), outcome }, actions)
    }

    #[track_caller]
    fn waited(&mut self, job: u64, actions: &[&str]) -> &mut Self {
        self.expect(Event::Waited { job: JobNumber(job) }, actions)
    }

    #[track_caller]
    fn closed(&mut self, actions: &[&str]) -> &mut Self {
        self.expect(Event::Closed, actions)
    }
}

#[test]
fn answers_come_in_the_order_of_the_ends() {
    table(2)
        .request(1, 11, &[], &["start 1"])
        .request(2, 12, &[], &["start 2"])
        .request(3, 13, &[], &[])
        .request(4, 14, &[], &[])
        .finished(2, replied(), &["respond 12 0 done", "start 3"])
        .finished(3, replied(), &["respond 13 0 done", "start 4"])
        .finished(1, replied(), &["respond 11 0 done"])
        .finished(4, replied(), &["respond 14 0 done"]);
}

#[test]
fn every_id_is_echoed() {
    for id in [0, -1, 1, i32::MIN, i32::MAX] {
        let answer = format!("respond {id} 0 done");
        table(1).request(1, id, &[], &["start 1"]).finished(1, replied(), &[&answer]);
    }
}

#[test]
fn a_queued_request_is_cancelled_at_once() {
    table(1)
        .request(1, 11, &[], &["start 1"])
        .request(2, 12, &[], &[])
        .cancel(12, &["forget 2", "cancelled 12"])
        .cancel(12, &[])
        .finished(1, replied(), &["respond 11 0 done"]);
}

#[test]
fn a_running_request_is_cancelled_when_it_has_stopped() {
    table(1)
        .request(1, 11, &[], &["start 1"])
        .cancel(11, &["abandon 1"])
        .cancel(11, &[])
        .finished(1, Outcome::Abandoned, &["cancelled 11"])
        .cancel(11, &[]);
}

#[test]
fn a_cancel_after_the_work_was_done_gets_the_ordinary_answer() {
    table(1).request(1, 11, &[], &["start 1"]).cancel(11, &["abandon 1"]).finished(
        1,
        replied(),
        &["respond 11 0 done"],
    );
    table(1).request(1, 11, &[], &["start 1"]).cancel(11, &["abandon 1"]).finished(
        1,
        Outcome::Panicked("x".to_owned()),
        &["respond 11 70 the"],
    );
}

#[test]
fn late_and_unknown_cancels_have_no_answer() {
    table(1)
        .cancel(11, &[])
        .request(1, 11, &[], &["start 1"])
        .cancel(12, &[])
        .cancel(0, &[])
        .finished(1, replied(), &["respond 11 0 done"])
        .cancel(11, &[]);
}

#[test]
fn a_reused_id_replaces_a_running_request() {
    table(2)
        .request(1, 7, &["a"], &["start 1"])
        .request(2, 7, &["b"], &["abandon 1", "start 2"])
        .finished(1, replied(), &[])
        .cancel(7, &["abandon 2"])
        .finished(2, Outcome::Abandoned, &["cancelled 7"]);
}

#[test]
fn a_reused_id_replaces_a_queued_request() {
    table(1)
        .request(1, 1, &[], &["start 1"])
        .request(2, 7, &[], &[])
        .request(3, 7, &[], &["forget 2"])
        .finished(1, replied(), &["respond 1 0 done", "start 3"])
        .finished(3, replied(), &["respond 7 0 done"]);
}

#[test]
fn a_reused_id_silences_a_cancelled_and_a_superseded_request() {
    table(3)
        .request(1, 7, &[], &["start 1"])
        .cancel(7, &["abandon 1"])
        .request(2, 7, &["a"], &["start 2"])
        .finished(1, Outcome::Abandoned, &[])
        .request(3, 8, &["a"], &["abandon 2"])
        .request(4, 7, &[], &["start 4"])
        .finished(2, Outcome::Abandoned, &["start 3"])
        .finished(4, replied(), &["respond 7 0 done"])
        .finished(3, replied(), &["respond 8 0 done"]);
}

#[test]
fn a_reused_id_with_the_same_output_waits_for_the_old_request() {
    table(2)
        .request(1, 7, &["a"], &["start 1"])
        .request(2, 7, &["a"], &["abandon 1"])
        .finished(1, Outcome::Abandoned, &["start 2"])
        .finished(2, replied(), &["respond 7 0 done"]);
}

#[test]
fn a_reused_output_waits_and_fails_the_old_request() {
    table(2)
        .request(1, 1, &["a", "b"], &["start 1"])
        .request(2, 2, &["b", "c", "b"], &["abandon 1"])
        // Nobody else waits for them.
        .request(3, 3, &["d"], &["start 3"])
        // The cancel of a superseded request changes nothing.
        .cancel(1, &[])
        .finished(3, replied(), &["respond 3 0 done"])
        .finished(1, replied(), &["hold 1", "start 2"])
        .finished(2, replied(), &["respond 2 0 done"])
        .waited(1, &["respond 1 1 superseded"]);
}

#[test]
fn a_held_answer_is_never_sent_under_a_number_that_has_come_again() {
    table(2)
        .request(1, 1, &["a"], &["start 1"])
        .request(2, 2, &["a"], &["abandon 1"])
        .finished(1, Outcome::Abandoned, &["hold 1", "start 2"])
        .request(3, 1, &[], &["start 3"])
        .waited(1, &[])
        .finished(3, replied(), &["respond 1 0 done"]);
}

#[test]
fn held_answers_are_sent_when_no_request_can_come_any_more() {
    table(1)
        .request(1, 1, &["a"], &["start 1"])
        .request(2, 2, &["a"], &["abandon 1"])
        .request(3, 3, &["a"], &["forget 2", "hold 2"])
        .closed(&["respond 2 1 superseded"])
        .finished(1, Outcome::Abandoned, &["respond 1 1 superseded", "start 3"])
        .finished(3, replied(), &["respond 3 0 done", "exit"]);
}

#[test]
fn a_reused_output_fails_a_queued_request_at_once() {
    table(1)
        .request(1, 1, &["a"], &["start 1"])
        .request(2, 2, &["a"], &["abandon 1"])
        .request(3, 3, &["a"], &["forget 2", "hold 2"])
        .finished(1, Outcome::Abandoned, &["hold 1", "start 3"])
        .finished(3, replied(), &["respond 3 0 done"]);
}

#[test]
fn a_cancelled_request_whose_output_comes_again_is_still_cancelled() {
    table(2)
        .request(1, 1, &["a"], &["start 1"])
        .cancel(1, &["abandon 1"])
        .request(2, 2, &["a"], &[])
        .cancel(2, &["forget 2", "cancelled 2"])
        .finished(1, Outcome::Abandoned, &["cancelled 1"]);
}

#[test]
fn failures_of_the_handler_cost_one_request() {
    table(2)
        .request(1, 1, &[], &["start 1"])
        .request(2, 2, &[], &["start 2"])
        .finished(1, Outcome::Panicked("boom".to_owned()), &["respond 1 70 the"])
        .finished(2, Outcome::Abandoned, &["respond 2 70 the"]);
}

#[test]
fn after_the_end_of_input_all_that_was_accepted_is_answered() {
    table(1)
        .request(1, 1, &[], &["start 1"])
        .request(2, 2, &[], &[])
        .request(3, 3, &[], &[])
        .closed(&[])
        .request(4, 4, &[], &["forget 4"])
        .cancel(3, &["forget 3", "cancelled 3"])
        .finished(1, replied(), &["respond 1 0 done", "start 2"])
        .closed(&[])
        .finished(2, replied(), &["respond 2 0 done", "exit"])
        .closed(&[])
        .stopped(&[]);
}

#[test]
fn a_stop_abandons_what_runs_and_forgets_the_rest() {
    table(2)
        .request(1, 1, &[], &["start 1"])
        .request(2, 2, &[], &["start 2"])
        .request(3, 3, &[], &[])
        .cancel(2, &["abandon 2"])
        .closed(&[])
        .stopped(&["abandon 1", "forget 3"])
        .stopped(&[])
        .request(4, 4, &[], &["forget 4"])
        .finished(2, Outcome::Abandoned, &[])
        .finished(1, Outcome::Panicked(String::new()), &["exit"])
        .finished(1, replied(), &[])
        .closed(&[]);
}

#[test]
fn work_done_before_the_stop_reached_it_is_answered() {
    table(1).request(1, 1, &[], &["start 1"]).stopped(&["abandon 1"]).finished(
        1,
        replied(),
        &["respond 1 0 done", "exit"],
    );
}

#[test]
fn an_idle_worker_exits_at_once() {
    table(1).closed(&["exit"]);
    table(1).stopped(&["exit"]);
}

#[test]
fn as_many_are_prepared_as_may_run_whatever_runs() {
    table_by_hand(2)
        .request(1, 1, &[], &["prepare 1"])
        .request(2, 2, &[], &["prepare 2"])
        .request(3, 3, &[], &[])
        .request(4, 4, &[], &[])
        // One that is slow holds up nobody else.
        .prepared(2, &["start 2", "prepare 3"])
        .prepared(3, &["start 3", "prepare 4"])
        .prepared(4, &[])
        .prepared(1, &[])
        .finished(2, replied(), &["respond 2 0 done", "start 1"])
        .finished(3, replied(), &["respond 3 0 done", "start 4"]);
}

#[test]
fn what_cannot_be_prepared_is_answered() {
    table_by_hand(1)
        .request(1, 1, &[], &["prepare 1"])
        .refused(1, replied(), &["respond 1 0 done"])
        .request(2, 2, &[], &["prepare 2"])
        .cancel(2, &[])
        .refused(2, Outcome::Panicked(String::new()), &["respond 2 70 the"])
        .request(3, 3, &[], &["prepare 3"])
        .request(4, 3, &[], &[])
        .refused(3, replied(), &["prepare 4"])
        .closed(&[])
        .refused(4, replied(), &["respond 3 0 done", "exit"]);
}

#[test]
fn what_is_given_up_while_it_is_prepared_ends_then() {
    table_by_hand(2)
        .request(1, 1, &[], &["prepare 1"])
        .request(2, 2, &[], &["prepare 2"])
        .request(3, 3, &[], &[])
        .cancel(3, &[])
        .cancel(1, &[])
        .prepared(1, &["forget 1", "cancelled 1", "prepare 3"])
        .prepared(3, &["forget 3", "cancelled 3"])
        .stopped(&[])
        .prepared(2, &["forget 2", "exit"]);
}

#[test]
fn the_later_request_has_the_output_in_whatever_order_they_are_prepared() {
    table_by_hand(3)
        .request(1, 1, &["a"], &["prepare 1"])
        .request(2, 2, &["a"], &["prepare 2"])
        .request(3, 3, &["a", "b"], &["prepare 3"])
        .prepared(2, &["start 2"])
        .prepared(1, &["forget 1", "hold 1"])
        .prepared(3, &["abandon 2"])
        .finished(2, Outcome::Abandoned, &["hold 2", "start 3"])
        .finished(3, replied(), &["respond 3 0 done"]);
    // Also when it has ended by then.
    let mut table = table_by_hand(2);
    table
        .request(1, 1, &["a"], &["prepare 1"])
        .request(2, 2, &["a"], &["prepare 2"])
        .prepared(2, &["start 2"])
        .finished(2, replied(), &["respond 2 0 done"])
        .prepared(1, &["forget 1", "hold 1"]);
    assert!(table.state.ended.is_empty());
}
