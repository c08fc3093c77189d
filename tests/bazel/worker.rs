//! The worker in the hands of a real Bazel, when something comes between.
//!
//! Nothing here waits for a time: a test goes on when the worker has the file open that keeps it
//! busy, or when a process has gone.

mod interrupted;
mod killed;
mod many;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use xtask::processes;
use xtask::session::noise;

use crate::scene::{Scene, bazel};
use crate::support::{Run, sha256sum};

/// Several requests at once, whatever the machine.
const SIDE_BY_SIDE: [&str; 2] = ["--jobs=6", "--local_resources=cpu=6"];

/// What has not happened by now will not.
const FOREVER: Duration = Duration::from_secs(120);

/// A workspace of single layers, each of the files in a folder with its name.
struct Layers {
    scene: Scene,
    output_base: PathBuf,
}

/// What changes when somebody writes or replaces a file.
type State = (u64, i64, i64);

impl Layers {
    fn new(name: &str) -> Self {
        let scene = Scene::copy("tests/bazel/layers", name);
        scene.forget();
        let output_base = scene.bazel.output_base().unwrap();
        let layers = Self { scene, output_base };
        for name in ["a", "b", "c", "slow"] {
            layers.write(name, "one.txt", name);
        }
        layers
    }

    /// With another executable as the worker.
    fn with_worker(mut self, worker: &Path) -> Self {
        self.scene.bazel = bazel(&self.scene.workspace).with_worker(worker);
        self
    }

    /// Writes a file of a layer anew.
    fn write(&self, layer: &str, file: &str, content: impl AsRef<[u8]>) {
        let file = self.source(layer, file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        // What a worker still reads stays as it is.
        drop(fs::remove_file(&file));
        fs::write(file, content).unwrap();
    }

    fn source(&self, layer: &str, file: &str) -> PathBuf {
        self.scene.workspace.join(format!("{layer}.d")).join(file)
    }

    /// Has the layer `slow` take longer than any test.
    fn make_slow(&self) {
        static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
        self.write("slow", "noise", NOISE.get_or_init(|| noise(48 << 20, 1)));
    }

    fn make_quick(&self) {
        self.write("slow", "noise", "quick");
    }

    fn start(&self, targets: &[&str], options: &[&str]) -> Child {
        let mut command = self.command(targets, options);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn command(&self, targets: &[&str], options: &[&str]) -> Command {
        let mut command = self.scene.bazel.building("build");
        // No other way than the worker.
        command.args(["--strategy=PyImageLayer=worker", "--output_groups=+metadata"]);
        command.args(options).args(targets.iter().map(|target| format!("//:{target}")));
        command
    }

    /// Builds layers, which has to succeed.
    fn build(&self, targets: &[&str], options: &[&str]) {
        let run = Run::of(&mut self.command(targets, options));
        assert_eq!(run.code, 0, "{targets:?} {options:?}: {}", run.stderr);
    }

    /// Builds `slow` and others, and comes back while a worker, given by its number, is busy with
    /// `slow`.
    fn busy(&self, others: &[&str], options: &[&str]) -> (Child, u32) {
        self.make_slow();
        let mut build = self.start(&[&["slow"], others].concat(), options);
        let noise = self.source("slow", "noise");
        let mut reader = None;
        wait_until("a worker reads the file that takes long", || {
            let ended = build.try_wait().unwrap();
            assert!(ended.is_none(), "Bazel was done too early: {ended:?}");
            let reads = |worker: &u32| processes::open_files(*worker).contains(&noise);
            reader = self.workers().into_iter().find(reads);
            reader.is_some()
        });
        (build, reader.unwrap())
    }

    /// The workers' process numbers.
    fn workers(&self) -> Vec<u32> {
        let mut workers: Vec<u32> =
            processes::workers(&self.output_base).iter().map(|process| process.id).collect();
        workers.sort_unstable();
        workers
    }

    /// Whether a worker has sources or outputs open, be they without a name.
    fn is_at_work(&self, worker: u32) -> bool {
        let places = [
            self.scene.workspace.clone(),
            self.output_base.join("execroot"),
            self.output_base.join("bazel-workers"),
        ];
        processes::open_files(worker).iter().any(|file| {
            let is_log = file.extension().is_some_and(|kind| kind == "log");
            !is_log && places.iter().any(|place| file.starts_with(place))
        })
    }

    fn outputs(&self) -> PathBuf {
        let configurations = self.output_base.join("execroot/_main/bazel-out");
        let mut folders = fs::read_dir(configurations).unwrap().map(|entry| entry.unwrap().path());
        // The other ones are for tools, of which there are none.
        folders.find(|folder| folder.join("bin/a.layer").exists()).unwrap().join("bin")
    }

    /// The layer and its metadata, as files.
    fn states(&self, layer: &str) -> [State; 2] {
        ["layer", "layer.json"].map(|kind| {
            let file = fs::metadata(self.outputs().join(format!("{layer}.{kind}"))).unwrap();
            (file.ino(), file.mtime(), file.mtime_nsec())
        })
    }

    /// Layers are those of their sources, and nothing but layers is there.
    #[track_caller]
    fn check(&self, layers: &[&str]) {
        for layer in layers {
            let blob = fs::read(self.outputs().join(format!("{layer}.layer"))).unwrap();
            assert!(blob == self.once(layer), "{layer} is another layer");
            let metadata = fs::read(self.outputs().join(format!("{layer}.layer.json"))).unwrap();
            let metadata: Value = serde_json::from_slice(&metadata).unwrap();
            assert_eq!(metadata["digest"], sha256sum(&blob), "{layer}");
        }
        self.check_nothing_is_left();
    }

    /// What a one-shot run makes of the sources of a layer.
    fn once(&self, layer: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("once");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pylayer"));
        let compression = if layer == "slow" { "zstd:22" } else { "none" };
        command.current_dir(&self.scene.workspace).arg("layer");
        command.arg(format!("--output={}", output.display()));
        command.arg(format!("--compression={compression}"));
        for file in files(&self.scene.workspace.join(format!("{layer}.d"))) {
            let file = file.strip_prefix(&self.scene.workspace).unwrap().display();
            command.arg(format!("--file={file}")).arg(format!("--to={file}"));
        }
        let run = Run::of(&mut command);
        assert_eq!(run.code, 0, "{}", run.stderr);
        fs::read(output).unwrap()
    }

    /// No temporary file is among the outputs, in sandboxes, or in the cache.
    #[track_caller]
    fn check_nothing_is_left(&self) {
        for folder in [self.outputs(), self.output_base.join("bazel-workers")] {
            for file in files(&folder) {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                let known = ["layer", "json", "params", "log"];
                let ours = file.extension().is_some_and(|kind| known.iter().any(|k| kind == *k))
                    || file.is_symlink()
                    || file.components().any(|part| part.as_os_str() == "names.tree");
                assert!(ours && !name.starts_with('.'), "{} is left", file.display());
            }
        }
        let mut cached = files(&self.output_base.join("pylayer")).into_iter();
        let temporary =
            cached.find(|file| file.extension().is_some_and(|extension| extension == "tmp"));
        assert_eq!(temporary, None);
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut pending) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let is_folder = path.is_dir() && !path.is_symlink();
            if is_folder { &mut pending } else { &mut found }.push(path);
        }
    }
    found
}

#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a test that waits for too long has failed")]
fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < FOREVER, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
