//! A Bazel that does anything that a Bazel may: sessions made from seeds.
//!
//! A session in which the worker gets something wrong is written to a file, and the command that
//! plays it again is shown. `FAKE_BAZEL_SEED` plays one session alone, `FAKE_BAZEL_SCHEDULES` that
//! many.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use xtask::session::{
    Answer, End, Known, Numbers, Pace, Place, Replay, Request, Session, Step, replay,
};

use crate::PYLAYER;

/// What a run plays, if nobody wants otherwise.
const SCHEDULES: u64 = 600;

/// How many requests the worker does at a time.
const SLOTS: usize = 8;

/// Where requests read and write.
const SANDBOXES: [&str; 2] = ["", "__sandbox/1/_main/"];

/// What a request is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A layer of this small file.
    Small(usize),
    /// A layer that takes a while.
    Slow,
    /// A layer that takes longer than anybody waits.
    Endless,
    /// A file that is missing.
    Missing(usize),
    /// A flag that there is not.
    Usage,
}

/// A request that has been sent and whose answer has not been waited for.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is one fact, in any combination")]
struct Open {
    id: i32,
    kind: Kind,
    outputs: Vec<String>,
    cancelled: bool,
    replaced: bool,
    superseded: bool,
    /// An earlier request with its number may have an answer on the way that looks like one to a
    /// cancel, or to an output that came again, of this request.
    never_cancel: bool,
    never_supersede: bool,
}

impl Open {
    /// Whether its end waits for somebody to give it up.
    fn holds_its_slot(&self) -> bool {
        self.kind == Kind::Endless && !self.cancelled && !self.replaced && !self.superseded
    }
}

/// Makes a session.
struct Fake {
    numbers: Numbers,
    steps: Vec<Step>,
    open: Vec<Open>,
    /// From this number on none has been used, as Bazel from 8.3 on counts.
    fresh: i32,
}

impl Fake {
    fn session(seed: u64) -> Session {
        let mut numbers = Numbers::new(seed);
        let startup = vec![
            format!("--jobs={}", 1 + numbers.below(3)),
            (*numbers.one_of(&["--cache-dir=none", "--cache-size=1GiB"])).to_owned(),
        ];
        let mut fake = Self { numbers, steps: files(), open: Vec::new(), fresh: 100 };
        for _ in 0..fake.numbers.below(40) {
            match fake.numbers.below(10) {
                0..5 => fake.request(),
                5..7 => fake.cancel(),
                _ => fake.wait(),
            }
        }
        // Either all have their answers, or the end comes in the middle.
        if fake.numbers.below(3) > 0 {
            fake.settle();
        }
        let about = vec![format!("Made from the seed {seed}.")];
        Session { about, startup, steps: fake.steps, ..Session::default() }
    }

    fn request(&mut self) {
        let id = match self.numbers.below(4) {
            0 => {
                self.fresh += 1;
                self.fresh
            }
            _ => i32::try_from(self.numbers.below(5)).unwrap(),
        };
        let mut kind = match self.numbers.below(10) {
            0..4 => Kind::Small(self.numbers.below(3)),
            4..5 => Kind::Slow,
            5..8 => Kind::Endless,
            8 => Kind::Missing(self.numbers.below(9)),
            _ => Kind::Usage,
        };
        let held = self.open.iter().filter(|open| open.holds_its_slot()).count();
        if kind == Kind::Endless && held == SLOTS - 1 {
            kind = Kind::Usage;
        }
        let (sandbox, outputs) = self.outputs();
        // What cannot be read writes nothing, and so takes nothing from others.
        let outputs = if kind == Kind::Usage { Vec::new() } else { outputs };
        let arguments = self.arguments(kind, &outputs, sandbox);
        let taken = |open: &&Open| open.outputs.iter().any(|output| outputs.contains(output));
        let same_id = |open: &&Open| open.id == id;
        // Answers that may be on their way already have to be known for what they are.
        let looks_like = |old: &Open| answer(id, old.kind) == answer(id, kind);
        if self.open.iter().filter(taken).any(|open| open.never_supersede)
            || self.open.iter().filter(same_id).any(looks_like)
        {
            return;
        }
        let never_cancel = self.open.iter().filter(same_id).any(|open| open.cancelled);
        let never_supersede = self.open.iter().filter(same_id).any(|open| open.superseded);
        for old in &mut self.open {
            old.replaced |= old.id == id;
            old.superseded |= old.outputs.iter().any(|output| outputs.contains(output));
        }
        let verbosity = i32::from(self.numbers.below(10) == 0) * 10;
        self.steps.push(Step::Request(Request {
            id,
            arguments,
            sandbox_dir: sandbox.trim_end_matches('/').into(),
            verbosity,
            ..Request::default()
        }));
        self.steps.push(Step::Due(answer(id, kind)));
        let (cancelled, replaced, superseded) = (false, false, false);
        self.open.push(Open {
            id,
            kind,
            outputs,
            cancelled,
            replaced,
            superseded,
            never_cancel,
            never_supersede,
        });
    }

    /// A sandbox, and files in it to be written.
    fn outputs(&mut self) -> (&'static str, Vec<String>) {
        let sandbox = *self.numbers.one_of(&SANDBOXES);
        let blob = format!("{sandbox}bin/o{}", self.numbers.below(6));
        let metadata = format!("{blob}.json");
        let both = self.numbers.below(2) == 0;
        (sandbox, if both { vec![blob, metadata] } else { vec![blob] })
    }

    fn arguments(&mut self, kind: Kind, outputs: &[String], sandbox: &str) -> Vec<Vec<u8>> {
        let mut arguments = vec!["layer".to_owned()];
        for (flag, output) in ["--output=", "--metadata="].into_iter().zip(outputs) {
            arguments.push([flag, &output[sandbox.len()..]].concat());
        }
        let (compression, file) = match kind {
            Kind::Small(file) => {
                let compression = *self.numbers.one_of(&["none", "gzip:1", "zstd:3"]);
                (compression, format!("f{file}"))
            }
            Kind::Slow => ("gzip:6", "long".to_owned()),
            Kind::Endless => ("gzip:6", "endless".to_owned()),
            Kind::Missing(number) => ("gzip:6", format!("missing-{number}")),
            Kind::Usage => ("brotli", "f0".to_owned()),
        };
        arguments.push(format!("--compression={compression}"));
        arguments.push(format!("--file={file}"));
        arguments.push("--to=in/layer".to_owned());
        arguments.into_iter().map(String::into_bytes).collect()
    }

    /// A cancel, for a request that may be open, or done, or may never have been.
    fn cancel(&mut self) {
        let id = match self.numbers.below(3) {
            0 => i32::try_from(self.numbers.below(7)).unwrap(),
            _ if self.open.is_empty() => return,
            _ => {
                let at = self.numbers.below(self.open.len());
                self.open[at].id
            }
        };
        self.cancel_id(id);
    }

    fn cancel_id(&mut self, id: i32) {
        if let Some(last) = self.open.iter_mut().rfind(|open| open.id == id) {
            if last.never_cancel {
                return;
            }
            last.cancelled = true;
        }
        self.steps.push(Step::Request(Request { id, cancel: true, ..Request::default() }));
    }

    /// Waits for one of the answers that have to come.
    fn wait(&mut self) {
        let comes = |open: &Open| !open.replaced && !open.holds_its_slot();
        let places: Vec<usize> = (0..self.open.len()).filter(|&at| comes(&self.open[at])).collect();
        if places.is_empty() {
            return;
        }
        let open = self.open.remove(*self.numbers.one_of(&places));
        self.steps.push(Step::Answer(answer(open.id, open.kind)));
    }

    /// Waits for all answers.
    fn settle(&mut self) {
        let held: Vec<i32> =
            self.open.iter().filter(|open| open.holds_its_slot()).map(|open| open.id).collect();
        for id in held {
            self.cancel_id(id);
        }
        for _ in 0..self.open.len() {
            self.wait();
        }
    }

    fn pace(seed: u64, session: &Session) -> Pace {
        let mut numbers = Numbers::new(!seed);
        let mut pace = Pace::default();
        match numbers.below(4) {
            0 => pace.together = true,
            1 => pace.pieces = Some((1 + numbers.below(40), Duration::ZERO)),
            _ => {}
        }
        if numbers.below(5) == 0 {
            let frame = |step: &Step| match step {
                Step::Request(request) => request.frame().unwrap().len(),
                _ => 0,
            };
            let total: usize = session.steps.iter().map(frame).sum();
            pace.cut = Some(numbers.below(total + 1) as u64);
        }
        // What never ends by itself is not waited for.
        let endless = |step: &Step| match step {
            Step::Request(request) => request.arguments.contains(&b"--file=endless".to_vec()),
            _ => false,
        };
        pace.hang_up = session.steps.iter().any(endless) || numbers.below(4) == 0;
        pace
    }
}

/// The answer to a request that nobody gives up.
fn answer(id: i32, kind: Kind) -> Answer {
    let (code, said) = match kind {
        Kind::Small(_) | Kind::Slow => (0, vec![]),
        // There is none. It is given up, in one way or the other.
        Kind::Endless => (1, vec!["the end".to_owned()]),
        Kind::Missing(number) => (1, vec![format!("missing-{number}")]),
        Kind::Usage => (2, vec!["brotli".to_owned()]),
    };
    Answer { id, end: End::Exit(code), said }
}

/// The same in all sessions: what is known of one-shot runs holds in all.
fn files() -> Vec<Step> {
    let mut steps = Vec::new();
    for sandbox in SANDBOXES {
        let mut place = |name: &str, what| {
            steps.push(Step::Place { path: format!("{sandbox}{name}").into_bytes(), what });
        };
        for number in 0..3 {
            let content = format!("{number} of `{sandbox}`\n").repeat(1 + number * 5000);
            place(&format!("f{number}"), Place::File(content.into_bytes()));
        }
        place("long", Place::Hole(16 << 20));
        place("endless", Place::Hole(1 << 40));
    }
    steps
}

/// Plays a session; gives the most threads that the worker had for requests.
fn play(seed: u64, known: &Known) -> usize {
    let session = Fake::session(seed);
    let pace = Fake::pace(seed, &session);
    let report =
        replay(&session, &Replay { worker: Path::new(PYLAYER), pace: pace.clone(), known });
    let report = report.unwrap();
    if !report.complaints.is_empty() {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fake-{seed}.session"));
        fs::write(&file, session.write()).unwrap();
        panic!(
            "{:#?}\n{}\n{pace:?}\nagain: FAKE_BAZEL_SEED={seed} cargo test --test replay fake\n\
             or: cargo xtask replay {}",
            report.complaints,
            report.transcript.join("\n"),
            file.display()
        );
    }
    report.busiest
}

#[expect(clippy::disallowed_methods, reason = "the environment says what to play")]
fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name}={value}: {error}")))
}

#[test]
fn the_worker_keeps_the_rules_whatever_bazel_does() {
    let known = Known::default();
    if let Some(seed) = variable("FAKE_BAZEL_SEED") {
        play(seed, &known);
        return;
    }
    let (next, busiest) = (AtomicU64::new(0), AtomicUsize::new(0));
    let schedules = variable("FAKE_BAZEL_SCHEDULES").unwrap_or(SCHEDULES);
    // Much of the time goes by in waiting.
    let threads = 2 * std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= schedules {
                        return;
                    }
                    busiest.fetch_max(play(seed, &known), Ordering::Relaxed);
                }
            });
        }
    });
    // Sometimes as many as there are slots. Never more: that is for the state machine to show, for
    // threads that prepare requests, or have just ended one, count here, too.
    assert!(busiest.into_inner() >= SLOTS || schedules < SCHEDULES, "never all slots are busy");
}
