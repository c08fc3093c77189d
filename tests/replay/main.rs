//! Sessions, recorded from Bazel or written by hand, replayed to the worker; and sessions that no
//! Bazel ever had, made from seeds. Nothing is needed but the worker.

#![allow(clippy::unwrap_used, reason = "the test fails then, as it should")]

mod fake;
mod wrong;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use xtask::session::{Known, Pace, Place, Replay, Report, Session, Step, replay};

/// The binary under test.
const PYLAYER: &str = env!("CARGO_BIN_EXE_pylayer");

fn sessions() -> Vec<(PathBuf, Session)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/replay");
    let mut files: Vec<PathBuf> = ["recorded", "written"]
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "session"))
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let session = Session::parse(&fs::read_to_string(&path).unwrap());
        let session = session.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, session)
    };
    files.into_iter().map(read).collect()
}

fn play(session: &Session, pace: Pace) -> Report {
    let known = Known::default();
    replay(session, &Replay { worker: Path::new(PYLAYER), pace, known: &known }).unwrap()
}

/// Replays all sessions, several at a time.
fn play_all(paces: impl Fn(&Session) -> Vec<Pace> + Sync) {
    let sessions = sessions();
    assert!(sessions.len() >= 15, "{}", sessions.len());
    std::thread::scope(|scope| {
        for (path, session) in &sessions {
            let paces = &paces;
            scope.spawn(move || {
                for pace in paces(session) {
                    let Report { complaints, transcript, .. } = play(session, pace.clone());
                    let transcript = transcript.join("\n");
                    let path = path.display();
                    assert!(
                        complaints.is_empty(),
                        "{path} {pace:?}: {complaints:#?}\n{transcript}"
                    );
                }
            });
        }
    });
}

#[test]
fn every_session_is_answered_as_it_should_be() {
    play_all(|_| vec![Pace::default()]);
}

#[test]
fn it_does_not_matter_in_which_pieces_a_session_arrives() {
    play_all(|_| {
        let pieces = |size, pause| Pace {
            pieces: Some((size, Duration::from_micros(pause))),
            ..Pace::default()
        };
        let together = Pace { together: true, ..Pace::default() };
        vec![together, pieces(1, 0), pieces(7, 500), pieces(4096, 1000)]
    });
}

#[test]
fn it_does_not_matter_in_which_order_independent_requests_arrive() {
    play_all(|_| {
        let order = |seed| Pace { order: Some(seed), ..Pace::default() };
        (0..6).map(order).collect()
    });
}

/// A cut at the end of a frame is the end of the input, any other breaks the frame; both in the
/// middle of whatever is going on. What was answered by then is right, and nothing is left.
#[test]
fn a_session_may_be_cut_anywhere() {
    play_all(|session| {
        let frames = play(session, Pace::default()).frames;
        let breaks = |at: &u64| [*at, at.saturating_sub(1), at + 1];
        let mut cuts: Vec<u64> = frames.iter().flat_map(breaks).collect();
        // Past the last frame there is nothing to be cut.
        cuts.retain(|cut| frames.last().is_some_and(|last| cut <= last));
        cuts.dedup();
        let every = cuts.len().div_ceil(24).max(1);
        // What takes long is cancelled in what follows: after the cut, nobody waits for it.
        let long = |step: &Step| {
            matches!(step, Step::Place { what: Place::Hole(_) | Place::Noise { .. }, .. })
        };
        let hang_up = session.steps.iter().any(long);
        let cuts = cuts.into_iter().step_by(every);
        cuts.map(|at| Pace { cut: Some(at), hang_up, ..Pace::default() }).collect()
    });
}
