//! A workspace, its Bazel, and what its builds leave.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use xtask::bazel::{Action, Bazel, Build, Layer};

/// The mnemonics of all actions that make layers, or parts of them.
pub(crate) const MNEMONICS: [&str; 4] =
    ["PyImageSegment", "PyImagePkgLayer", "PyImageMergedLayer", "PyImageLayer"];

/// Bazel in a workspace, one at a time.
pub(crate) struct Scene {
    pub(crate) bazel: Bazel,
    pub(crate) workspace: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

/// A layer's name and bytes.
pub(crate) type Bytes = Vec<(String, Vec<u8>)>;

/// The checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where all workspaces and output bases are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("bazel")
}

/// Bazel in a workspace. All share one output user root, so what is fetched is fetched once.
pub(crate) fn bazel(workspace: &Path) -> Bazel {
    Bazel::new(workspace, &folder(), &worker()).unwrap()
}

/// The worker under test.
#[expect(clippy::disallowed_methods, reason = "the environment says which worker to test")]
pub(crate) fn worker() -> PathBuf {
    // Cargo's own build of the worker does, too, though slowly.
    let worker = std::env::var_os("PYLAYER_BINARY").map(PathBuf::from);
    worker.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_pylayer")))
}

impl Scene {
    /// The example, where it stands.
    pub(crate) fn example() -> Self {
        Self::at(root().join("examples/webapi"))
    }

    /// A copy of a workspace of the checkout, to be changed.
    pub(crate) fn copy(source: &str, name: &str) -> Self {
        let workspace = folder().join(name);
        xtask::copy_workspace(root(), source, &workspace).unwrap();
        Self::at(workspace)
    }

    fn at(workspace: PathBuf) -> Self {
        // A test that failed leaves nothing behind that another one could trip over.
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { bazel: bazel(&workspace), workspace, _alone: alone }
    }

    /// Forgets what earlier tests have built here, and what their worker remembers.
    pub(crate) fn forget(&self) {
        self.bazel.clean().unwrap();
        drop(fs::remove_dir_all(self.bazel.output_base().unwrap().join("pylayer")));
    }

    /// Builds `//:image`, which has to succeed.
    pub(crate) fn build(&self, options: &[&str]) -> Build {
        build(&self.bazel, options)
    }

    /// The names of the logs of all workers that the server has started.
    pub(crate) fn worker_logs(&self) -> Vec<String> {
        let folder = self.bazel.output_base().unwrap().join("bazel-workers");
        let logs = fs::read_dir(folder).unwrap().map(|log| name(&log.unwrap().path()));
        logs.filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "log")).collect()
    }

    /// The folder of a repository that a module extension has made.
    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        xtask::bazel::repository(&self.bazel.output_base().unwrap().join("external"), name).unwrap()
    }
}

/// Builds `//:image`, which has to succeed.
pub(crate) fn build(bazel: &Bazel, options: &[&str]) -> Build {
    let build = bazel.build("//:image", options).unwrap();
    assert!(build.success, "{options:?}: {}", build.said);
    assert!(!build.layers.is_empty(), "{options:?}: {}", build.said);
    build
}

/// The actions of a build that made layers.
pub(crate) fn layer_actions(build: &Build) -> Vec<&Action> {
    build.actions.iter().filter(|action| action.is_layer()).collect()
}

/// How the layers were made.
pub(crate) fn runners(build: &Build) -> Vec<&str> {
    layer_actions(build).iter().map(|action| &*action.runner).collect()
}

/// The blobs and the JSON of a build, to be read before the next one.
pub(crate) fn bytes(layers: &[Layer]) -> Bytes {
    let files = layers.iter().flat_map(|layer| [&layer.blob, &layer.metadata]);
    files.map(|file| (name(file), fs::read(file).unwrap())).collect()
}

/// Has Bazel make the layers again, and nothing else.
pub(crate) fn remove(layers: &[Layer]) {
    for layer in layers {
        fs::remove_file(&layer.blob).unwrap();
        fs::remove_file(&layer.metadata).unwrap();
    }
}

pub(crate) fn assert_same(found: &Bytes, expected: &Bytes, what: &str) {
    let names = |bytes: &Bytes| bytes.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{what}");
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        // The bytes themselves would fill the screen.
        assert!(found == expected, "{what}: {name} differs");
    }
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_string_lossy().into_owned()
}
