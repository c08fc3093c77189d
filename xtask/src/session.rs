//! Sessions between a Bazel and a worker: recorded, read, replayed.
//!
//! `tests/replay/README.md` describes the format for people; [`Session::parse`] reads it and
//! [`Session::write`] writes it.

mod order;
pub(crate) mod record;
mod replay;
mod stage;
pub(crate) mod tee;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

pub use replay::{Known, Pace, Replay, Report, replay};

pub use crate::protocol::Request;
use crate::shell::{Context as _, Result, failure};
use crate::ui;

pub(crate) use text::hex;

/// A session, as a file holds it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Session {
    /// What it shows, one line each.
    pub about: Vec<String>,
    /// The worker's working directory, relative to the output base.
    pub directory: PathBuf,
    /// The worker's startup flags, without `--persistent_worker`.
    pub startup: Vec<String>,
    /// What happens, in this order.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// A file is there from now on. Bytes, since no name has to be UTF-8.
    Place {
        /// Relative to the working directory, or below `{base}`.
        path: Vec<u8>,
        /// What it is.
        what: Place,
    },
    /// Bazel sends a request, or a cancel.
    Request(Request),
    /// Bazel sends these bytes, whatever they are.
    Bytes(Vec<u8>),
    /// Bazel waits for this answer.
    Answer(Answer),
    /// The last request with this number has this answer, if it has one. Nobody waits for it.
    Due(Answer),
    /// The file that the requests have left has this SHA-256 digest, in hex.
    Output {
        /// Relative to the working directory.
        path: Vec<u8>,
        /// Without `sha256:`.
        digest: String,
    },
    /// The input ends here, and the worker with this exit code.
    End {
        /// 0 where nothing was wrong.
        exit_code: i32,
    },
}

/// What a path is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// A file with this content.
    File(Vec<u8>),
    /// A file whose compression takes long: see [`noise`].
    Noise {
        /// In bytes.
        size: usize,
        /// Which.
        seed: u64,
    },
    /// A file of so many zero bytes, none of which is stored.
    Hole(u64),
    /// A symbolic link with this text, in which `{base}` is the output base.
    Link(Vec<u8>),
}

/// An answer that is waited for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Its `request_id`.
    pub id: i32,
    /// How the request ended.
    pub end: End,
    /// What its text has in it.
    pub said: Vec<String>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// With this exit code.
    Exit(i32),
    /// With `was_cancelled`.
    Cancelled,
}

/// What the output base is called in a session.
pub(crate) const BASE: &[u8] = b"{base}";

/// What names an output.
const FLAGS: [&[u8]; 2] = [b"--output=", b"--metadata="];

/// Bytes that look random and of which few differ, so that zstd's upper levels take seconds for
/// each MiB. Their first line says what they are.
pub fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut bytes = format!("noise {seed}\n").into_bytes();
    let mut numbers = Numbers::new(seed);
    let letters = |byte: usize| [0, 2, 4, 6].map(|shift| b"acgt"[byte >> shift & 3]);
    let letters: Vec<[u8; 4]> = (0..256).map(letters).collect();
    while bytes.len() < size {
        for byte in numbers.next().to_le_bytes() {
            bytes.extend_from_slice(&letters[usize::from(byte)]);
        }
    }
    bytes.truncate(size);
    bytes
}

/// Numbers that look random, as `SplitMix64` makes them.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[allow(clippy::should_implement_trait, reason = "these have no end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        // The remainder of a division by an usize is one.
        usize::try_from(self.next() % end as u64).unwrap_or_default()
    }

    /// One of these.
    pub fn one_of<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }
}

impl Session {
    /// The files that the requests name as their outputs, in the order of the requests.
    pub(crate) fn outputs(request: &Request) -> Vec<Vec<u8>> {
        let value = |argument: &Vec<u8>| {
            FLAGS.iter().find_map(|flag| argument.strip_prefix(*flag)).map(<[u8]>::to_vec)
        };
        let outputs = request.arguments.iter().filter_map(value);
        let dir = &request.sandbox_dir;
        let join = |path: Vec<u8>| match (&**dir, path.first()) {
            (b"", _) | (_, Some(b'/')) => path,
            (dir, _) => [dir, b"/", &path].concat(),
        };
        outputs.map(join).collect()
    }
}

/// Replays a session's file and shows what happens. What the worker gets wrong is the error.
pub(crate) fn replay_for_people(file: &Path, worker: &Path, pace: Pace) -> Result<()> {
    let text = fs::read_to_string(file).context(file.display())?;
    let session = Session::parse(&text).context(file.display())?;
    let report = replay(&session, &Replay { worker, pace, known: &Known::default() })?;
    for line in &report.transcript {
        ui::print(format_args!("{line}\n"));
    }
    match &report.complaints[..] {
        [] => {
            ui::done("the worker keeps the rules");
            Ok(())
        }
        complaints => Err(failure(format!("the worker is wrong:\n{}", complaints.join("\n")))),
    }
}
