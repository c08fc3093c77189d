//! A storm: eight workers on one cache are killed and stopped, while the cache is collected,
//! cleared, verified and damaged. No layer is wrong, no request fails, the limit holds, and nothing
//! is left behind.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use xtask::session::Numbers;

use super::FOREVER;
use super::scene::Scene;
use crate::support::worker::Worker;

/// How long it lasts.
const STORM: Duration = Duration::from_secs(300);

const WORKERS: u64 = 8;

/// The cache's limit in bytes, which a few of the large segments fill.
const LIMIT: u64 = 64 << 20;

const LIMIT_FLAG: &str = "--cache-size=64MiB";

/// What has happened so far.
#[derive(Debug, Default)]
struct Figures {
    layers: AtomicU64,
    compared: AtomicU64,
    unanswered: AtomicU64,
    kills: AtomicU64,
    stops: AtomicU64,
    clears: AtomicU64,
    collections: AtomicU64,
    verifications: AtomicU64,
    damages: AtomicU64,
    /// The most bytes of the disk that the cache ever took.
    peak: AtomicU64,
    over: AtomicBool,
}

impl Figures {
    fn are_final(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

fn count(figure: &AtomicU64) {
    figure.fetch_add(1, Ordering::Relaxed);
}

fn pause(numbers: &mut Numbers, below: Duration) {
    let nanoseconds = numbers.below(usize::try_from(below.as_nanos()).unwrap());
    thread::sleep(Duration::from_nanos(nanoseconds as u64));
}

/// All files below a folder; what goes away meanwhile is passed over.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut pending) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                pending.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}

/// One client of one worker after the other.
struct Client<'a> {
    scene: &'a Scene,
    figures: &'a Figures,
    number: u64,
    numbers: Numbers,
}

impl Client<'_> {
    /// The arguments of a layer, with which it is to be compared if its place among the known ones
    /// is given.
    fn layer(&mut self) -> (Vec<String>, Option<usize>) {
        let place = match self.numbers.below(20) {
            0 => self.numbers.below(2),
            _ => 2 + self.numbers.below(self.scene.known.len() - 2),
        };
        let mut arguments = self.scene.known[place].arguments.clone();
        if self.numbers.below(4) == 0 {
            // One that there has never been.
            let mtime = format!("--mtime={}", 1000 + self.numbers.next() % 1_000_000_000);
            arguments.insert(0, mtime);
            return (arguments, None);
        }
        (arguments, Some(place))
    }

    /// The life of a worker, until it is killed or has done enough.
    fn life(&mut self) {
        let startup = ["--cache-dir=cache", LIMIT_FLAG, "--jobs=2"];
        let mut worker = Worker::start(self.scene.folder.path(), &startup);
        let pid = Pid::from_child(&worker.child);
        let answers = worker.answers();
        for _ in 0..=self.numbers.below(20) {
            let mut due = BTreeMap::new();
            for place in 0..=self.numbers.below(5) {
                let (layer, known) = self.layer();
                let output = format!("storm-{}-{place}", self.number);
                drop(fs::remove_file(self.scene.base("").join(&output)));
                let mut arguments = vec!["layer".to_owned(), format!("--output={output}")];
                arguments.extend(layer.iter().cloned());
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let id = 1 + i32::try_from(place).unwrap();
                worker.request(id, &arguments);
                due.insert(id, (output, layer, known));
            }
            match self.numbers.below(16) {
                0 | 1 => {
                    pause(&mut self.numbers, Duration::from_millis(80));
                    kill_process(pid, Signal::KILL).unwrap();
                    worker.child.wait().unwrap();
                    count(&self.figures.kills);
                    // What was published before is whole, answered or not.
                    for (output, layer, known) in due.into_values() {
                        if self.scene.base("").join(&output).exists() {
                            self.check(&output, &layer, known);
                        } else {
                            count(&self.figures.unanswered);
                        }
                    }
                    return;
                }
                2 => {
                    pause(&mut self.numbers, Duration::from_millis(80));
                    kill_process(pid, Signal::STOP).unwrap();
                    pause(&mut self.numbers, Duration::from_secs(3));
                    kill_process(pid, Signal::CONT).unwrap();
                    count(&self.figures.stops);
                }
                _ => {}
            }
            while !due.is_empty() {
                let answer = answers.recv_timeout(FOREVER).unwrap();
                let (output, layer, known) = due.remove(&answer.request_id).unwrap();
                assert_eq!((answer.exit_code, &*answer.output), (0, ""), "{layer:?}");
                self.check(&output, &layer, known);
            }
            if self.figures.are_final() {
                break;
            }
        }
        worker.close();
        assert!(worker.child.wait().unwrap().success());
    }

    fn check(&mut self, output: &str, layer: &[String], known: Option<usize>) {
        count(&self.figures.layers);
        let blob = fs::read(self.scene.base("").join(output)).unwrap();
        let same = match known {
            Some(place) => blob == self.scene.known[place].blob,
            None if self.numbers.below(10) == 0 => blob == self.scene.once(layer.to_vec()).blob,
            None => return,
        };
        count(&self.figures.compared);
        assert!(same, "{output} has wrong bytes: {layer:?}");
    }
}

/// Damages a file of the cache, if it is still there.
fn damage(path: &Path, endless: &Path, numbers: &mut Numbers) -> std::io::Result<()> {
    if !fs::symlink_metadata(path)?.is_file() {
        return fs::remove_file(path);
    }
    match numbers.below(5) {
        0 => fs::remove_file(path),
        1 => File::options().write(true).open(path)?.set_len(0),
        2 => {
            let file = File::options().write(true).open(path)?;
            file.set_len(file.metadata()?.len() / 2)
        }
        3 => {
            fs::remove_file(path)?;
            symlink(endless, path)
        }
        _ => {
            let mut bytes = fs::read(path)?;
            if !bytes.is_empty() {
                let at = numbers.below(bytes.len());
                bytes[at] ^= 0x40;
            }
            File::options().write(true).open(path)?.write_all(&bytes)
        }
    }
}

/// Collects, clears, verifies and damages the cache.
fn disturb(scene: &Scene, figures: &Figures) {
    let numbers = &mut Numbers::new(0xd157);
    let [cache, endless] = ["cache", "endless"].map(|name| scene.base("").join(name));
    let look_after = |what: &str, figure: &AtomicU64| {
        let run = scene.folder.run(&["cache", what, "--cache-dir=cache", LIMIT_FLAG]);
        assert_eq!(run.code, 0, "cache {what}: {}{}", run.stdout, run.stderr);
        count(figure);
    };
    while !figures.are_final() {
        pause(numbers, Duration::from_millis(600));
        match numbers.below(40) {
            0 => look_after("clear", &figures.clears),
            1..4 => look_after("verify", &figures.verifications),
            4..10 => look_after("gc", &figures.collections),
            10 => {
                // A whole folder.
                let folder = ["segments", "blobs", "checkpoints", "locks"][numbers.below(4)];
                let versions = fs::read_dir(&cache).into_iter().flatten().flatten();
                for version in versions.filter(|entry| entry.path().is_dir()) {
                    drop(fs::remove_dir_all(version.path().join(folder)));
                }
                count(&figures.damages);
            }
            _ => {
                let files = files(&cache);
                let named_by_hash = |path: &&PathBuf| path.file_name().unwrap().len() == 64;
                let entries: Vec<&PathBuf> = files.iter().filter(named_by_hash).collect();
                let place = numbers.below(entries.len().max(1));
                let done = entries.get(place).map(|file| damage(file, &endless, numbers));
                if done.is_some_and(|done| done.is_ok()) {
                    count(&figures.damages);
                }
            }
        }
    }
}

/// Watches how much of the disk the cache takes.
fn watch(scene: &Scene, figures: &Figures) {
    let numbers = &mut Numbers::new(1);
    while !figures.are_final() {
        let blocks = |path: PathBuf| fs::symlink_metadata(path).map_or(0, |file| file.blocks());
        let bytes = files(&scene.base("").join("cache")).into_iter().map(blocks).sum::<u64>() * 512;
        figures.peak.fetch_max(bytes, Ordering::Relaxed);
        pause(numbers, Duration::from_millis(40));
    }
}

#[test]
#[ignore = "takes minutes: `cargo xtask soak`"]
fn a_storm_leaves_no_wrong_layer_and_no_file() {
    let scene = Scene::new();
    let before = scene.folder.names();
    let figures = Figures::default();
    thread::scope(|scope| {
        for number in 0..WORKERS {
            let numbers = Numbers::new(number);
            let mut client = Client { scene: &scene, figures: &figures, number, numbers };
            scope.spawn(move || {
                while !client.figures.are_final() {
                    client.life();
                }
            });
        }
        scope.spawn(|| disturb(&scene, &figures));
        scope.spawn(|| watch(&scene, &figures));
        thread::sleep(STORM);
        figures.over.store(true, Ordering::Relaxed);
    });
    println!("{WORKERS} workers for {} s: {figures:?}, of {LIMIT}", STORM.as_secs());
    let peak = figures.peak.into_inner();
    assert!(peak <= LIMIT + LIMIT / 20, "the cache took {peak} bytes of {LIMIT}");

    let is_output = |name: &String| name.starts_with("storm-") || name == "cache";
    let left: Vec<String> =
        scene.folder.names().into_iter().filter(|name| !is_output(name)).collect();
    assert_eq!(left, before, "something is left beside the outputs");
    let run = scene.folder.run(&["cache", "verify", "--cache-dir=cache"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let cache = scene.base("").join("cache");
    for file in files(&cache) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let counters = ["CACHEDIR.TAG", "hits", "misses", "collected"];
        let is_lock = file.parent().unwrap().ends_with("locks");
        let is_entry = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_entry || is_lock || counters.contains(&name), "{} is left", file.display());
    }
}
