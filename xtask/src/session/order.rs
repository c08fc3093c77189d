//! The order in which a session's steps are played, and what each answer answers.

use super::{Answer, End, Numbers, Request, Session, Step};
use crate::protocol::Due;

/// A step of the session, by its place there.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) at: usize,
    /// What is due to a request.
    pub(super) due: Due,
    /// The request that an answer belongs to.
    pub(super) answers: Option<usize>,
}

/// The steps in the session's order, or in one that Bazel might as well have chosen.
pub(super) fn steps(session: &Session, order: Option<u64>) -> Vec<Turn> {
    let mut turns: Vec<Turn> =
        (0..session.steps.len()).map(|at| Turn { at, due: Due::Any, answers: None }).collect();
    for at in 0..turns.len() {
        let (Step::Answer(answer) | Step::Due(answer)) = &session.steps[at] else { continue };
        let Answer { id, end, said } = answer;
        let asks = |step: &Step| matches!(step, Step::Request(r) if r.id == *id && !r.cancel);
        let Some(request) = session.steps[..at].iter().rposition(asks) else { continue };
        turns[at].answers = Some(request);
        if let End::Exit(code) = end {
            turns[request].due = Due::Exit(*code, said.clone());
        }
    }
    if let Some(seed) = order {
        shuffle(session, &mut turns, &mut Numbers::new(seed));
    }
    turns
}

/// Neighbours change places as long as nobody can tell, often enough for any to come first.
fn shuffle(session: &Session, turns: &mut [Turn], numbers: &mut Numbers) {
    for _ in 0..turns.len() {
        for at in 1..turns.len() {
            let steps = [at - 1, at].map(|at| &session.steps[turns[at].at]);
            if commute(steps[0], steps[1]) && numbers.below(2) == 0 {
                turns.swap(at - 1, at);
            }
        }
    }
}

/// Whether two steps that follow each other may do so the other way round.
fn commute(first: &Step, second: &Step) -> bool {
    let requests = |a: &Request, b: &Request| {
        let outputs = Session::outputs(a);
        a.id != b.id && Session::outputs(b).iter().all(|output| !outputs.contains(output))
    };
    match (first, second) {
        (Step::Request(a), Step::Request(b)) => requests(a, b),
        (Step::Answer(a), Step::Answer(b)) => a.id != b.id,
        // A file can be there earlier than need be, where nobody looks at what it replaces.
        (Step::Request(request), Step::Place { path, .. }) => {
            let reads = |(input, _): &(Vec<u8>, Vec<u8>)| input == path;
            !request.inputs.is_empty() && !request.inputs.iter().any(reads)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(text: &str) -> Session {
        Session::parse(text).unwrap()
    }

    #[test]
    fn an_answer_belongs_to_the_last_request_with_its_number() {
        let session = session(
            "request 1\nrequest 2\nanswer 1 0\nrequest 1\ncancel 1\nanswer 1 5\nrequest 2\ndue 2 3",
        );
        let turns = steps(&session, None);
        let answers: Vec<_> = turns.iter().filter_map(|turn| turn.answers).collect();
        assert_eq!(answers, [0, 3, 6]);
        assert!(matches!(&turns[3].due, Due::Exit(5, _)));
        assert!(matches!(&turns[1].due, Due::Any));
        assert!(matches!(&turns[6].due, Due::Exit(3, _)));
    }

    #[test]
    fn only_what_is_independent_changes_places() {
        let session = session(
            "request 1\n  argument --output=a\nrequest 2\n  argument --output=b\n\
             request 3\n  argument --output=a\ncancel 1\nanswer 2 0\nrequest 4\n",
        );
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let order: Vec<usize> = steps(&session, Some(seed)).iter().map(|t| t.at).collect();
            let place = |step| order.iter().position(|at| *at == step).unwrap();
            // Two with the same output, one number, an answer's both sides.
            assert!(place(0) < place(2) && place(0) < place(3), "{order:?}");
            assert!(place(4) == 4 && place(5) == 5, "{order:?}");
            orders.insert(order);
        }
        assert!(orders.len() > 5, "{orders:?}");
    }
}
