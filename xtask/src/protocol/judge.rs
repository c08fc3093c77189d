//! What a worker owes, and whether it pays: one answer a request, none besides.
//!
//! The judge sees what Bazel sees, and no more. Where a number or an output comes again before
//! its first request is answered, an answer that was on its way already is as good as none.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::Response;

/// What the answer to a request may be.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// Anything that the rules allow.
    Any,
    /// This exit code, and a text that has all of these in it.
    Exit(i32, Vec<String>),
}

/// A request, as Bazel remembers it.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is one observation, in any combination")]
pub(crate) struct Owed {
    id: i32,
    due: Due,
    outputs: BTreeSet<PathBuf>,
    /// A cancel came for it before its answer.
    cancelled: bool,
    /// A later request came with its number, before its answer.
    replaced: bool,
    /// A later request came with one of its outputs, before its answer.
    superseded: bool,
    answer: Option<Response>,
    /// Its answer is none that it can have.
    wrong: bool,
}

/// Remembers requests, and takes answers.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    owed: Vec<Owed>,
    complaints: Vec<String>,
}

impl Judge {
    /// A request has been sent; gives its place among all.
    pub(crate) fn request(&mut self, id: i32, outputs: BTreeSet<PathBuf>, due: Due) -> usize {
        for old in self.owed.iter_mut().filter(|old| old.answer.is_none()) {
            old.replaced |= old.id == id;
            old.superseded |= !old.outputs.is_disjoint(&outputs);
        }
        self.owed.push(Owed {
            id,
            due,
            outputs,
            cancelled: false,
            replaced: false,
            superseded: false,
            answer: None,
            wrong: false,
        });
        self.owed.len() - 1
    }

    /// A cancel has been sent: it means the last request with this number.
    pub(crate) fn cancel(&mut self, id: i32) {
        if let Some(last) = self.owed.iter_mut().rfind(|owed| owed.id == id) {
            last.cancelled |= last.answer.is_none();
        }
    }

    /// An answer has come; gives the place of the request that it answers.
    pub(crate) fn answer(&mut self, response: Response) -> Option<usize> {
        if response.output.len() >= 64 << 10 {
            self.complain(format!("an answer's text has {} bytes", response.output.len()));
        }
        let waiting = |owed: &Owed| owed.id == response.id && owed.answer.is_none();
        // The newest that it can belong to: an older one's may never have been sent.
        let fits = |owed: &Owed| waiting(owed) && owed.accepts(&response);
        if let Some(place) = self.owed.iter().rposition(fits) {
            self.owed[place].answer = Some(response);
            return Some(place);
        }
        let Some(place) = self.owed.iter().rposition(waiting) else {
            let why = if self.owed.iter().any(|owed| owed.id == response.id) {
                "every request with this number has its answer"
            } else {
                "no request has this number"
            };
            self.complain(format!("{response:?}: {why}"));
            return None;
        };
        self.complain(format!("{response:?} is no answer to {:?}", self.owed[place]));
        self.owed[place].answer = Some(response);
        self.owed[place].wrong = true;
        Some(place)
    }

    /// What was wrong.
    pub(crate) fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    /// A request that was sent.
    pub(crate) fn owed(&self, place: usize) -> &Owed {
        &self.owed[place]
    }

    /// All that was wrong.
    pub(crate) fn complaints(self) -> Vec<String> {
        self.complaints
    }
}

impl Owed {
    pub(crate) fn answer(&self) -> Option<&Response> {
        self.answer.as_ref()
    }

    /// Whether it ended by itself, as it would have alone. One that Bazel had given up may have
    /// failed because its sources were changed since.
    pub(crate) fn ended_by_itself(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| {
            !self.wrong && !answer.was_cancelled && (answer.exit_code == 0 || !self.given_up())
        })
    }

    /// Whether Bazel can have given it up before its answer.
    pub(crate) fn given_up(&self) -> bool {
        self.replaced || self.superseded || self.cancelled
    }

    fn accepts(&self, response: &Response) -> bool {
        if response.was_cancelled {
            return self.cancelled;
        }
        if self.superseded && response.exit_code == 1 && response.output.contains("superseded") {
            return true;
        }
        match &self.due {
            Due::Any => true,
            Due::Exit(0, said) if said.is_empty() => {
                response.exit_code == 0 && response.output.is_empty()
            }
            Due::Exit(code, said) => {
                response.exit_code == *code
                    && said.iter().all(|text| response.output.contains(text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: i32, exit_code: i32) -> Response {
        Response { id, exit_code, ..Response::default() }
    }

    fn cancelled(id: i32) -> Response {
        Response { id, was_cancelled: true, ..Response::default() }
    }

    fn outputs(path: &str) -> BTreeSet<PathBuf> {
        BTreeSet::from([PathBuf::from(path)])
    }

    fn good() -> Due {
        Due::Exit(0, Vec::new())
    }

    #[test]
    fn an_answer_belongs_to_one_request() {
        let mut judge = Judge::default();
        judge.request(1, outputs("a"), good());
        judge.request(2, outputs("b"), Due::Exit(1, vec!["why".to_owned()]));
        let why = Response { output: "that is why".to_owned(), ..answer(2, 1) };
        assert_eq!(judge.answer(why), Some(1));
        assert_eq!(judge.answer(answer(1, 0)), Some(0));
        assert!(judge.complaints().is_empty());
    }

    #[test]
    fn what_nobody_asked_for_is_complained_of() {
        let wrong: [(&str, &[Response]); 5] = [
            ("every request with this number", &[answer(1, 0), answer(1, 0)]),
            ("no request has this number", &[answer(2, 0)]),
            ("is no answer to", &[cancelled(1)]),
            ("is no answer to", &[answer(1, 1)]),
            ("is no answer to", &[Response { output: "chatty".to_owned(), ..answer(1, 0) }]),
        ];
        for (said, answers) in wrong {
            let mut judge = Judge::default();
            judge.request(1, outputs("a"), good());
            for answer in answers {
                judge.answer(answer.clone());
            }
            let complaints = judge.complaints();
            assert!(complaints.len() == 1 && complaints[0].contains(said), "{complaints:?}");
        }
    }

    #[test]
    fn a_cancel_means_the_last_request_with_its_number_while_that_is_unanswered() {
        let mut judge = Judge::default();
        judge.request(1, outputs("a"), good());
        judge.cancel(1);
        assert_eq!(judge.answer(cancelled(1)), Some(0));
        judge.cancel(1);
        judge.request(1, outputs("a"), good());
        judge.answer(cancelled(1));
        assert_eq!(judge.complaints().len(), 1);
    }

    #[test]
    fn an_answer_on_its_way_when_the_number_came_again_is_no_second_one() {
        let mut judge = Judge::default();
        judge.request(1, outputs("a"), good());
        judge.request(1, outputs("b"), Due::Exit(1, vec!["b".to_owned()]));
        assert_eq!(judge.answer(answer(1, 0)), Some(0));
        let bad = Response { output: "b".to_owned(), ..answer(1, 1) };
        assert_eq!(judge.answer(bad), Some(1));
        assert!(judge.owed(0).given_up() && !judge.owed(1).given_up());
        assert!(judge.complaints().is_empty());
    }

    #[test]
    fn who_lost_the_output_may_fail() {
        let mut judge = Judge::default();
        let first = judge.request(1, outputs("a"), good());
        judge.request(2, outputs("a"), good());
        let lost = Response { output: "superseded by".to_owned(), ..answer(1, 1) };
        assert_eq!(judge.answer(lost), Some(first));
        assert!(!judge.owed(first).ended_by_itself());
        assert!(judge.complaints().is_empty());
    }
}
