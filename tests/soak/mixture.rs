//! Requests of all kinds, made from a seed, and what has to come of each.

use std::collections::BTreeSet;
use std::fs;

use prost::Message as _;
use worker_protocol::messages::{WorkRequest, WorkResponse};
use xtask::session::Numbers;

use super::scene::{BASES, Known, Scene};
use crate::support::sha256sum;

/// What is sent, and what has to be answered.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) frames: Vec<Vec<u8>>,
    /// To be cancelled when all of the batch is sent.
    pub(super) cancels: Vec<i32>,
    pub(super) due: Vec<(i32, Due)>,
}

/// The answer to a request.
pub(super) enum Due {
    /// This exit code, and these words.
    Exit(i32, &'static str),
    Layer(Layer),
    Cancelled,
    /// The cancel may have come too late.
    LayerOrCancelled(Layer),
}

/// A layer that has to be there when it is answered.
pub(super) struct Layer {
    base: &'static str,
    output: String,
    metadata: Option<String>,
    expected: Expected,
}

enum Expected {
    /// The layer with this number.
    Known(usize),
    /// What a one-shot run makes of these arguments.
    Once(Vec<String>),
    /// Nobody looks.
    Any,
}

/// The kinds of requests.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Known,
    New,
    Missing,
    Usage,
    NoCommand,
    Unreadable,
    Check,
    CheckFails,
    Cancelled,
    CancelledSoon,
    SameId,
    SameOutput,
}

/// How often each comes, of a hundred.
const KINDS: [(Kind, usize); 12] = [
    (Kind::Known, 50),
    (Kind::New, 10),
    (Kind::Missing, 6),
    (Kind::Usage, 4),
    (Kind::NoCommand, 2),
    (Kind::Unreadable, 4),
    (Kind::Check, 4),
    (Kind::CheckFails, 3),
    (Kind::Cancelled, 4),
    (Kind::CancelledSoon, 5),
    (Kind::SameId, 4),
    (Kind::SameOutput, 4),
];

/// Makes requests.
pub(super) struct Mixture {
    numbers: Numbers,
    /// How many requests were made; cancels are none.
    pub(super) sent: u64,
    /// From this number on none has been used, as Bazel from 8.3 on counts.
    fresh: i32,
    came: BTreeSet<Kind>,
}

impl Mixture {
    pub(super) fn new(seed: u64) -> Self {
        Self { numbers: Numbers::new(seed), sent: 0, fresh: 1000, came: BTreeSet::new() }
    }

    /// The first number of a batch: Bazel's workers of one request at a time have 0, those of
    /// several begin with 1 in every build or go on counting.
    pub(super) fn first_id(&mut self) -> i32 {
        self.fresh += 100;
        *self.numbers.one_of(&[0, 1, self.fresh])
    }

    /// The request at a place of a batch. It has two numbers of its own.
    pub(super) fn ask(&mut self, scene: &Scene, first: i32, place: i32) -> Asked {
        let id = first + 2 * place;
        let kind = self.kind();
        self.came.insert(kind);
        let base = *self.numbers.one_of(&BASES);
        let mut asked = Asked::default();
        let layer = |words: &[&str]| -> Vec<String> {
            ["layer"].iter().chain(words).map(ToString::to_string).collect()
        };
        let gone = format!("--output=gone{place}");
        let endless = layer(&[&gone, "--file=endless", "--to=x"]);
        let log = format!("--output=log{place}");
        let check = |layers: &str| -> Vec<String> {
            let words = ["check", &log, layers, "--package=text", "--tree=text"];
            words.iter().map(ToString::to_string).collect()
        };
        let due = match kind {
            Kind::Known => Due::Layer(self.known(scene, &mut asked, (id, base, place))),
            Kind::New => Due::Layer(self.new_one(scene, &mut asked, (id, base, place))),
            Kind::Missing => {
                self.send(&mut asked, id, base, layer(&[&gone, "--file=missing", "--to=x"]));
                Due::Exit(1, "missing")
            }
            Kind::Usage => {
                self.send(&mut asked, id, base, layer(&[&gone, "--frobnicate"]));
                Due::Exit(2, "--frobnicate")
            }
            Kind::NoCommand => {
                self.send(&mut asked, id, base, Vec::new());
                Due::Exit(2, "command")
            }
            Kind::Unreadable => {
                self.send(&mut asked, id, base, layer(&[&gone, "--file=~", "--to=x"]));
                // Nothing before has this byte, and no text has the other.
                let frame = asked.frames.last_mut().unwrap();
                *frame.iter_mut().find(|byte| **byte == b'~').unwrap() = 0xff;
                Due::Exit(1, "cannot be read")
            }
            Kind::Check => {
                self.send(&mut asked, id, base, check("--layers=3"));
                Due::Exit(0, "")
            }
            Kind::CheckFails => {
                self.send(&mut asked, id, base, check("--layers=128"));
                Due::Exit(1, "image has 128 layers")
            }
            Kind::Cancelled => {
                self.send(&mut asked, id, base, endless);
                asked.cancels.push(id);
                Due::Cancelled
            }
            Kind::CancelledSoon => {
                asked.cancels.push(id);
                Due::LayerOrCancelled(self.known(scene, &mut asked, (id, base, place)))
            }
            Kind::SameId => {
                self.send(&mut asked, id, base, endless);
                Due::Layer(self.known(scene, &mut asked, (id, base, place)))
            }
            Kind::SameOutput => {
                let output = format!("--output=./out{place}");
                let old = layer(&[&output, "--file=endless", "--to=x"]);
                self.send(&mut asked, id + 1, base, old);
                asked.due.push((id + 1, Due::Exit(1, "superseded")));
                Due::Layer(self.known(scene, &mut asked, (id, base, place)))
            }
        };
        asked.due.push((id, due));
        asked
    }

    fn kind(&mut self) -> Kind {
        // The first thousand fill the cache's memory.
        if self.sent < 1000 && self.numbers.below(2) == 0 {
            return Kind::New;
        }
        let mut left = self.numbers.below(100);
        let kind = KINDS.iter().find(|(_, share)| {
            let found = left < *share;
            left = left.saturating_sub(*share);
            found
        });
        kind.unwrap().0
    }

    fn send(&mut self, asked: &mut Asked, id: i32, base: &str, arguments: Vec<String>) {
        let request = WorkRequest {
            request_id: id,
            arguments,
            sandbox_dir: base.to_owned(),
            verbosity: *self.numbers.one_of(&[0, 0, 0, 10]),
            ..WorkRequest::default()
        };
        self.push(asked, &request);
    }

    fn push(&mut self, asked: &mut Asked, request: &WorkRequest) {
        self.sent += 1;
        asked.frames.push(request.encode_length_delimited_to_vec());
    }

    /// A request for a layer that is known.
    fn known(
        &mut self,
        scene: &Scene,
        asked: &mut Asked,
        (id, base, place): (i32, &'static str, i32),
    ) -> Layer {
        // The large ones, which come first, are rare.
        let large = self.numbers.below(40) == 0;
        let number = if large {
            self.numbers.below(2)
        } else {
            2 + self.numbers.below(scene.known.len() - 2)
        };
        let layer = self.layer(base, place, Expected::Known(number));
        let inputs = match self.numbers.below(4) {
            0 => scene.inputs(|digest| digest.as_bytes().to_vec()),
            1 => scene.inputs(raw),
            // Of nothing that there is.
            2 => scene.inputs(|digest| digest.bytes().rev().collect()),
            _ => Vec::new(),
        };
        let request = WorkRequest {
            request_id: id,
            arguments: layer.arguments(&scene.known[number].arguments),
            inputs,
            sandbox_dir: base.to_owned(),
            verbosity: *self.numbers.one_of(&[0, 0, 0, 10]),
            ..WorkRequest::default()
        };
        self.push(asked, &request);
        layer
    }

    /// A request for a layer that there has never been.
    fn new_one(
        &mut self,
        scene: &Scene,
        asked: &mut Asked,
        (id, base, place): (i32, &'static str, i32),
    ) -> Layer {
        // Of a large one the files are known, though not with this time.
        let large = self.numbers.below(12) == 0;
        let package = if large {
            "big".to_owned()
        } else {
            scene.new_package(base, place, self.numbers.next())
        };
        let compression = *self.numbers.one_of(&["none", "gzip:1", "gzip:6", "zstd:1", "zstd:3"]);
        let mut arguments = vec![
            format!("--compression={compression}"),
            format!("--package={package}"),
            format!("--tree={package}"),
            "--to=app".to_owned(),
            // In between what is known, so that hashes go on from checkpoints of others.
            "--package=links".to_owned(),
            "--tree=links".to_owned(),
            "--to=app/links".to_owned(),
        ];
        if large {
            arguments.push(format!("--mtime={}", self.sent));
        }
        let looked_at = self.numbers.below(60) == 0;
        let expected = if looked_at { Expected::Once(arguments.clone()) } else { Expected::Any };
        let layer = self.layer(base, place, expected);
        self.send(asked, id, base, layer.arguments(&arguments));
        layer
    }

    fn layer(&mut self, base: &'static str, place: i32, expected: Expected) -> Layer {
        let metadata = (self.numbers.below(2) == 0).then(|| format!("json{place}"));
        Layer { base, output: format!("out{place}"), metadata, expected }
    }

    pub(super) fn check_that_all_kinds_came(&self) {
        assert_eq!(self.came.len(), KINDS.len(), "{:?}", self.came);
    }
}

/// The bytes that hex digits stand for.
fn raw(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2).map(|at| &hex[at..at + 2]);
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

impl Due {
    /// The answer is the one that has to come.
    pub(super) fn check(self, scene: &Scene, answer: &WorkResponse) {
        let WorkResponse { exit_code, output, was_cancelled, .. } = answer;
        match self {
            Self::Exit(code, said) => {
                assert_eq!((*exit_code, *was_cancelled), (code, false), "{said}: {answer:?}");
                let fits = if said.is_empty() { output.is_empty() } else { output.contains(said) };
                assert!(fits, "{said}: {answer:?}");
            }
            Self::Cancelled => assert!(was_cancelled, "{answer:?}"),
            Self::LayerOrCancelled(_) if *was_cancelled => {}
            Self::Layer(layer) | Self::LayerOrCancelled(layer) => {
                assert_eq!((*exit_code, &**output, *was_cancelled), (0, "", false));
                layer.check(scene);
            }
        }
    }
}

impl Layer {
    fn arguments(&self, sources: &[String]) -> Vec<String> {
        let mut arguments = vec!["layer".to_owned(), format!("--output={}", self.output)];
        arguments.extend(self.metadata.iter().map(|metadata| format!("--metadata={metadata}")));
        arguments.extend_from_slice(sources);
        arguments
    }

    fn check(self, scene: &Scene) {
        let base = scene.base(self.base);
        let blob = fs::read(base.join(&self.output)).unwrap();
        let metadata = self.metadata.map(|metadata| fs::read(base.join(metadata)).unwrap());
        let once;
        let expected: &Known = match self.expected {
            Expected::Known(number) => &scene.known[number],
            Expected::Once(arguments) => {
                once = scene.once_in(self.base, arguments);
                &once
            }
            Expected::Any => return,
        };
        // The bytes themselves would fill the screen.
        let same = blob == expected.blob;
        assert!(same, "{:?} gave {}", expected.arguments, sha256sum(&blob));
        if let Some(metadata) = metadata {
            assert_eq!(metadata, expected.metadata, "{:?}", expected.arguments);
        }
    }
}
