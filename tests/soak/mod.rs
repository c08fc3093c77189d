//! One worker for very many requests of all kinds: in the end it holds no more than it did after
//! the first thousand.

mod mixture;
mod scene;
mod storm;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use worker_protocol::messages::WorkResponse;
use xtask::processes;
use xtask::session::Numbers;

use crate::support::worker::Worker;
use crate::support::{Folder, PYLAYER};
use mixture::{Due, Mixture};
use scene::Scene;

/// What has not happened by now will not.
const FOREVER: Duration = Duration::from_secs(120);

/// How glibc's malloc is told to have so many heaps. What one of them has been given back no other
/// one can use: with a heap for each thread their holes find their level late.
const HEAPS: &str = "MALLOC_ARENA_MAX";

/// What a process holds while it has nothing to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Holds {
    /// Resident memory, in bytes.
    memory: u64,
    descriptors: usize,
    threads: u64,
}

struct Soak {
    scene: Scene,
    worker: Worker,
    answers: Receiver<WorkResponse>,
    mixture: Mixture,
    numbers: Numbers,
    /// What the figures are about.
    heaps: &'static str,
}

impl Soak {
    fn start(seed: u64, heaps: Option<&str>) -> Self {
        let scene = Scene::new();
        // So small a cache is collected all the time.
        let startup = ["--cache-dir=cache", "--cache-size=48MiB", "--jobs=2", "--log=info"];
        let mut command = Command::new(PYLAYER);
        command.args(startup).arg("--persistent_worker").envs(heaps.map(|heaps| (HEAPS, heaps)));
        let mut worker = Worker::of(&mut command, scene.folder.path());
        let answers = worker.answers();
        let mixture = Mixture::new(seed);
        Self {
            scene,
            worker,
            answers,
            mixture,
            numbers: Numbers::new(!seed),
            heaps: if heaps.is_some() { ", one heap" } else { "" },
        }
    }

    /// Sends a few requests at once and waits for all answers.
    fn batch(&mut self) {
        let mut due: BTreeMap<i32, Due> = BTreeMap::new();
        let mut cancels = Vec::new();
        let first = self.mixture.first_id();
        for place in 0..=i32::try_from(self.numbers.below(16)).unwrap() {
            let asked = self.mixture.ask(&self.scene, first, place);
            for frame in &asked.frames {
                self.worker.send_frame(frame);
            }
            cancels.extend(asked.cancels);
            due.extend(asked.due);
        }
        for id in cancels {
            self.worker.cancel(id);
        }
        while !due.is_empty() {
            let answer = self.answers.recv_timeout(FOREVER).unwrap();
            let expected = due.remove(&answer.request_id);
            let expected = expected.unwrap_or_else(|| panic!("nobody asked for {answer:?}"));
            expected.check(&self.scene, &answer);
        }
        // Too late for some, and of others nobody has ever heard.
        self.worker.cancel(first);
        self.worker.cancel(-1);
    }

    /// Goes on until so many requests were sent in all, and looks at the worker then.
    #[expect(clippy::print_stdout, reason = "the figures, with --nocapture")]
    fn until(&mut self, requests: u64, known: Option<Holds>) -> Holds {
        while self.mixture.sent < requests {
            self.batch();
        }
        let holds = self.at_rest(known);
        let Holds { memory, descriptors, threads } = holds;
        println!(
            "{:>7} requests{}: {:>6} KiB resident, {descriptors} descriptors, {threads} threads",
            self.mixture.sent,
            self.heaps,
            memory >> 10
        );
        holds
    }

    /// What the worker holds once it has let go of what was given up and of collecting its cache:
    /// no file is open but those that are when it does nothing.
    #[expect(clippy::disallowed_methods, reason = "a test that waits for too long has failed")]
    fn at_rest(&self, known: Option<Holds>) -> Holds {
        let start = Instant::now();
        loop {
            let files = processes::open_files(self.worker.child.id());
            let below = |file: &std::path::PathBuf| file.starts_with(self.scene.folder.path());
            let busy = files.iter().any(below);
            let holds = self.holds(files.len());
            let same = known.is_none_or(|known| known.descriptors == holds.descriptors);
            // Eight do requests, as many more may prepare some, two compress, and a third for new
            // requests; the others decide, look after the cache, and keep time.
            assert!(holds.threads <= 8 + 8 + 3 + 5, "{holds:?}");
            if !busy && same {
                return holds;
            }
            assert!(start.elapsed() < FOREVER, "{holds:?}, not {known:?}: {files:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn holds(&self, descriptors: usize) -> Holds {
        let status = format!("/proc/{}/status", self.worker.child.id());
        let status = fs::read_to_string(status).unwrap();
        let number = |name: &str| -> u64 {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            value.trim().trim_end_matches(" kB").parse().unwrap()
        };
        Holds { memory: number("VmRSS:") << 10, descriptors, threads: number("Threads:") }
    }

    /// Ends the worker, which has nothing more to say and leaves nothing behind.
    fn end(mut self) -> Folder {
        assert_eq!(self.answers.try_recv(), Err(TryRecvError::Empty));
        self.worker.close();
        assert!(self.worker.child.wait().unwrap().success());
        assert_eq!(self.answers.recv().ok(), None);
        self.scene.folder
    }
}

/// Sends so many requests, after the first thousand, and compares: the memory may grow by so many
/// bytes.
fn soak(marks: &[u64], heaps: Option<&str>, growth: u64) {
    let mut soak = Soak::start(0x50a4, heaps);
    let early = soak.until(1000, None);
    for &mark in marks {
        let late = soak.until(mark, Some(early));
        let fits = late.memory <= early.memory + growth;
        assert!(fits, "after {mark} requests {late:?}, after 1000 {early:?}");
    }
    soak.mixture.check_that_all_kinds_came();
    let folder = soak.end();
    for base in scene::BASES {
        for entry in fs::read_dir(folder.path().join(base)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            // None that was given up, and none with a name of the worker's own.
            let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
            let ours = ["big", "box", "cache", "code", "code.whl", "endless", "links", "text"];
            let outputs = ["new", "out", "json", "log"];
            assert!(ours.contains(&name) || outputs.contains(&name), "{base}/{name} is left");
        }
    }
}

#[test]
fn thousands_of_requests_leave_nothing_in_the_worker() {
    soak(&[3000], Some("1"), 16 << 20);
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak`"]
fn a_hundred_thousand_requests_leave_nothing_in_the_worker() {
    // What is allocated grows by the two tables that are not full before: blobs found intact, and
    // checkpoints. With those made small it is the same after 1,000 and 20,000 requests to a few KiB;
    // the rest of what is resident is holes.
    soak(&[10_000, 30_000, 100_000], Some("1"), 16 << 20);
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak`"]
fn a_hundred_thousand_requests_leave_little_in_as_many_heaps_as_there_are() {
    soak(&[10_000, 30_000, 100_000], None, 48 << 20);
}
