//! Plays Bazel's part of a session to a worker, and says what the worker got wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::stage::{OneShot, Stage};
use super::{Answer, End, Request, Session, Step, order, text};
use crate::protocol::{Due, Heard, Judge, Process, Response};
use crate::shell::{Context as _, Result};

pub use super::stage::Known;

/// How the stream reaches the worker.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// In pieces of so many bytes, with a rest after each.
    pub pieces: Option<(usize, Duration)>,
    /// All that may be sent before the next answer, in one piece.
    pub together: bool,
    /// Requests that do not depend on each other in another order: which.
    pub order: Option<u64>,
    /// The input ends after so many bytes.
    pub cut: Option<u64>,
    /// Nobody reads answers any more once the input has ended.
    pub hang_up: bool,
}

/// How a session is replayed.
#[derive(Debug)]
pub struct Replay<'a> {
    /// The worker.
    pub worker: &'a Path,
    /// How fast, and in which order.
    pub pace: Pace,
    /// What one-shot runs are known to give.
    pub known: &'a Known,
}

/// What a replay has shown.
#[derive(Debug, Default)]
pub struct Report {
    /// What the worker did wrong; nothing, if it keeps the rules.
    pub complaints: Vec<String>,
    /// What happened, in order, for people.
    pub transcript: Vec<String>,
    /// Where the frames ended that were sent, in bytes.
    pub frames: Vec<u64>,
    /// The most threads that the worker had for requests.
    pub busiest: usize,
}

/// A replay that goes on.
struct Player<'a> {
    replay: &'a Replay<'a>,
    stage: Stage,
    process: Process,
    judge: Judge,
    report: Report,
    /// Bytes that may still wait.
    unsent: Vec<u8>,
    sent: u64,
    /// What would be sent by now without a cut.
    meant: u64,
    /// Whether the input has been cut.
    cut: bool,
    /// The requests, in the order in which they were sent, and their outputs.
    requests: Vec<(Request, Vec<Vec<u8>>)>,
    /// What one-shot runs gave, by the request's place among all.
    once: BTreeMap<usize, OneShot>,
    /// Outputs whose request has its answer: nobody is to touch them any more.
    settled: BTreeMap<Vec<u8>, (u64, i64, i64)>,
    start: Instant,
}

/// Replays a session.
pub fn replay(session: &Session, replay: &Replay<'_>) -> Result<Report> {
    let stage = Stage::new(session)?;
    let mut command = Command::new(replay.worker);
    command.args(&session.startup).arg("--persistent_worker").current_dir(&stage.directory);
    // All that Bazel sets.
    command.env_clear().env("TMPDIR", "/tmp");
    let process = Process::start(&mut command, &stage.log())?;
    let mut player = Player {
        replay,
        stage,
        process,
        judge: Judge::default(),
        report: Report::default(),
        unsent: Vec::new(),
        sent: 0,
        meant: 0,
        cut: false,
        requests: Vec::new(),
        once: BTreeMap::new(),
        settled: BTreeMap::new(),
        start: Instant::now(),
    };
    let steps = order::steps(session, replay.pace.order);
    let mut places = BTreeMap::new();
    let mut exit_code = 0;
    for step in &steps {
        if player.cut {
            break;
        }
        match &session.steps[step.at] {
            Step::Place { path, what } => {
                player.look_before(path)?;
                player.stage.place(path, what)?;
            }
            Step::Request(request) if request.cancel => player.cancel(request)?,
            Step::Request(request) => {
                places.insert(step.at, player.request(request, step.due.clone())?);
            }
            Step::Bytes(bytes) => {
                player.say(|| format!("=> {} bytes that are no request", bytes.len()));
                player.send(bytes)?;
            }
            Step::Answer(answer) => {
                let place = step.answers.and_then(|request| places.get(&request));
                player.wait(answer, place.copied())?;
            }
            // Known to the judge from the beginning.
            Step::Due(_) => {}
            Step::Output { path, digest } => {
                player.flush()?;
                player.compare(path, digest);
            }
            Step::End { exit_code: code } => exit_code = *code,
        }
    }
    player.end(exit_code)
}

impl Player<'_> {
    fn say(&mut self, what: impl FnOnce() -> String) {
        let time = self.start.elapsed().as_secs_f64();
        self.report.transcript.push(format!("{time:8.3} {}", what()));
    }

    fn request(&mut self, request: &Request, due: Due) -> Result<usize> {
        let outputs = self.stage.outputs(request);
        for output in &outputs {
            self.settled.remove(output);
        }
        self.stage.prepare_outputs(&outputs)?;
        let paths = outputs.iter().map(|output| self.stage.path(output)).collect();
        let place = self.judge.request(request.id, paths, due);
        self.requests.push((request.clone(), outputs));
        self.say(|| {
            let arguments: Vec<String> =
                request.arguments.iter().map(|argument| text::escape(argument)).collect();
            format!("=> request {}: {}", request.id, arguments.join(" "))
        });
        self.send(&request.frame()?)?;
        self.report.frames.push(self.meant);
        Ok(place)
    }

    fn cancel(&mut self, request: &Request) -> Result<()> {
        self.judge.cancel(request.id);
        self.say(|| format!("=> cancel {}", request.id));
        self.send(&request.frame()?)?;
        self.report.frames.push(self.meant);
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.meant += bytes.len() as u64;
        self.unsent.extend_from_slice(bytes);
        if self.replay.pace.together { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<()> {
        let mut bytes = std::mem::take(&mut self.unsent);
        if let Some(cut) = self.replay.pace.cut
            && self.sent + bytes.len() as u64 >= cut
        {
            bytes.truncate(usize::try_from(cut - self.sent).unwrap_or_default());
            self.cut = true;
        }
        self.sent += bytes.len() as u64;
        let (size, pause) = self.replay.pace.pieces.unwrap_or((usize::MAX, Duration::ZERO));
        for piece in bytes.chunks(size) {
            self.process.send(piece).context("cannot write to the worker")?;
            thread::sleep(pause);
        }
        Ok(())
    }

    /// Waits for an answer.
    fn wait(&mut self, answer: &Answer, place: Option<usize>) -> Result<()> {
        self.flush()?;
        let Some(place) = place else {
            self.judge.complain(format!("the session awaits {answer:?} before its request"));
            return Ok(());
        };
        while self.judge.owed(place).answer().is_none() && !self.cut {
            self.count_threads();
            match self.process.hear() {
                Heard::Answer(response) => self.answer(response),
                other => {
                    self.judge.complain(format!("{other:?} instead of {answer:?}"));
                    self.cut = true;
                }
            }
        }
        // What an answer has to say is judged as it comes; what a cancel led to is known here.
        let owed = self.judge.owed(place);
        let was_cancelled = owed.answer().is_some_and(|answer| answer.was_cancelled);
        if answer.end == End::Cancelled && !was_cancelled {
            self.say(|| format!("   {} was done before its cancel came", answer.id));
        }
        Ok(())
    }

    fn answer(&mut self, response: Response) {
        self.say(|| match &response {
            Response { was_cancelled: true, id, .. } => format!("<= answer {id}: cancelled"),
            Response { id, exit_code, output, .. } => {
                format!("<= answer {id}: {exit_code} {}", output.trim_end())
            }
        });
        let good = response.exit_code == 0 && !response.was_cancelled;
        let Some(place) = self.judge.answer(response) else { return };
        let later = &self.requests[place + 1..];
        for output in &self.requests[place].1 {
            let taken = later.iter().any(|(_, outputs)| outputs.contains(output));
            if good && !taken {
                self.stage.seal(output);
                if let Some(state) = state(&self.stage.path(output)) {
                    self.settled.insert(output.clone(), state);
                }
            }
        }
    }

    /// Requests have threads of their own in the worker, each with this name.
    fn count_threads(&mut self) {
        let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.process.id())) else { return };
        let names = tasks.flatten().filter_map(|task| fs::read(task.path().join("comm")).ok());
        let busy = names.filter(|name| name == b"job\n").count();
        self.report.busiest = self.report.busiest.max(busy);
    }

    /// Does the one-shot runs that need a file as it is now.
    fn look_before(&mut self, replaced: &[u8]) -> Result<()> {
        if !self.stage.has(replaced) {
            return Ok(());
        }
        (0..self.requests.len()).try_for_each(|place| self.once(place).map(drop))
    }

    fn compare(&mut self, path: &[u8], digest: &str) {
        let found = self.stage.digest(path);
        if found.as_deref() != Some(digest) {
            let path = text::escape(path);
            self.judge.complain(format!("{path} has the digest {found:?}, not {digest}"));
        }
    }

    fn end(mut self, exit_code: i32) -> Result<Report> {
        self.flush()?;
        let whole = self.sent == 0 || self.report.frames.contains(&self.sent);
        let expected = match (self.cut, whole) {
            (false, _) => exit_code,
            (true, true) => 0,
            (true, false) => 3,
        };
        self.count_threads();
        self.process.close();
        self.say(|| "=> end of input".to_owned());
        // A broken frame ends the worker anyway.
        if self.replay.pace.hang_up && expected == 0 {
            self.process.hang_up();
            self.say(|| "=> end of reading".to_owned());
        }
        loop {
            match self.process.hear() {
                Heard::Answer(response) => self.answer(response),
                Heard::End => break,
                // The last answer may have been cut.
                Heard::Noise(_) if self.replay.pace.hang_up => break,
                other => {
                    self.judge.complain(format!("{other:?} after the end of the input"));
                    return Ok(self.finish());
                }
            }
        }
        let code = self.process.exit_code()?;
        self.say(|| format!("<= exit {code:?}"));
        let log = fs::read_to_string(self.stage.log()).unwrap_or_default();
        if code != Some(expected) {
            self.judge.complain(format!("exit code {code:?}, not {expected}; its log: {log}"));
        }
        if expected != 0 && log.is_empty() {
            self.judge.complain("it has not said on standard error why it ended");
        }
        self.check_files()?;
        Ok(self.finish())
    }

    fn check_files(&mut self) -> Result<()> {
        for (path, before) in &self.settled {
            if state(&self.stage.path(path)) != Some(*before) {
                let path = text::escape(path);
                self.judge.complain(format!("{path} was touched after its answer"));
            }
        }
        let mut last = BTreeMap::new();
        let mut given_up = BTreeSet::new();
        for (place, (_, outputs)) in self.requests.iter().enumerate() {
            for (at, output) in outputs.iter().enumerate() {
                let unheard = self.replay.pace.hang_up && self.judge.owed(place).answer().is_none();
                if unheard || self.judge.owed(place).given_up() {
                    given_up.insert(self.stage.path(output));
                }
                last.insert(output.clone(), (place, at));
            }
        }
        let outputs = last.keys().map(|output| self.stage.path(output)).collect();
        for path in self.stage.left_behind(&outputs)? {
            self.judge.complain(format!("{} is left behind", path.display()));
        }
        for (output, (place, at)) in &last {
            let path = text::escape(output);
            let made = self.stage.digest(output);
            let once = self.once(*place)?.filter(|once| once.exit_code == Some(0));
            let owed = self.judge.owed(*place);
            let good = owed.ended_by_itself() && owed.answer().is_some_and(|a| a.exit_code == 0);
            match (good, once) {
                (true, once) => {
                    let same = once.as_ref().is_some_and(|once| once.made[*at] == made);
                    if !same || made.is_none() {
                        self.judge.complain(format!("{path} is {made:?}; one-shot: {once:?}"));
                    }
                }
                (false, _) if made.is_some() && !given_up.contains(&self.stage.path(output)) => {
                    let complaint = format!("{path} is there, and its request is not done");
                    self.judge.complain(complaint);
                }
                (false, _) => {}
            }
        }
        self.check_failures()
    }

    /// A request that failed fails in a one-shot run, too.
    fn check_failures(&mut self) -> Result<()> {
        for place in 0..self.requests.len() {
            let owed = self.judge.owed(place);
            let code = owed.answer().map(|answer| answer.exit_code).filter(|code| *code != 0);
            let Some(code) = code.filter(|_| owed.ended_by_itself()) else { continue };
            let once = self.once(place)?;
            if once.as_ref().is_some_and(|once| once.exit_code != Some(code)) {
                self.judge.complain(format!("exit code {code}; one-shot: {once:?}"));
            }
        }
        Ok(())
    }

    /// What a one-shot run gives for a request that has ended by itself; none for any other, and
    /// for one that no command line can say.
    fn once(&mut self, place: usize) -> Result<Option<OneShot>> {
        let (request, outputs) = &self.requests[place];
        if !self.judge.owed(place).ended_by_itself() || !request.is_text() {
            return Ok(None);
        }
        if let Some(once) = self.once.get(&place) {
            return Ok(Some(once.clone()));
        }
        let Replay { worker, known, .. } = self.replay;
        let once = self.stage.once(worker, request, outputs.len(), known)?;
        self.once.insert(place, once.clone());
        Ok(Some(once))
    }

    fn finish(self) -> Report {
        Report { complaints: self.judge.complaints(), ..self.report }
    }
}

/// What changes when somebody writes or replaces a file.
fn state(path: &Path) -> Option<(u64, i64, i64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
}
