//! Wheels: whatever lies there in place of one, the layer has the contents of the tree.

#![no_main]

use std::cell::LazyCell;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use libfuzzer_sys::fuzz_target;
use pylayer::cli::{Action, Invocation};
use pylayer::service::Service;
use worker_protocol::CancelToken;

/// A tree, what its layer is made with, and the archive that has to come of it.
struct Tree {
    folder: tempfile::TempDir,
    service: Service,
    archive: Vec<u8>,
}

thread_local! {
    /// Files of a size that is worth a member; among them one that is compared in pieces.
    static SMALL: LazyCell<Tree> = LazyCell::new(|| Tree::new(&[("m/a.py", 20_000), ("m/b.so", 40_000)]));
    static LARGE: LazyCell<Tree> = LazyCell::new(|| Tree::new(&[("m/a.py", 20_000), ("m/big.so", 4_300_000)]));
}

impl Tree {
    fn new(files: &[(&str, usize)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, size) in files {
            let path = folder.path().join("tree").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let content: Vec<u8> =
                (0..*size).map(|at| b"pylayer"[at % 7 * at / 1000 % 7]).collect();
            std::fs::write(path, content).unwrap();
        }
        let startup = ["--jobs=1", "layer"].map(OsString::from);
        let Ok(Invocation::Once(startup, _)) = Invocation::parse(startup) else { unreachable!() };
        let service = Service::once(startup).unwrap();
        let mut tree = Self { folder, service, archive: Vec::new() };
        tree.archive = tree.layer(None);
        tree
    }

    fn layer(&self, wheel: Option<&Path>) -> Vec<u8> {
        let output = self.folder.path().join("layer");
        let named = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        let mut arguments = vec!["layer".to_owned(), named("output", &output)];
        arguments.push("--package=p".to_owned());
        arguments.extend(wheel.map(|wheel| named("wheel", wheel)));
        arguments.push(named("tree", &self.folder.path().join("tree")));
        arguments.push("--to=app".to_owned());
        let arguments = arguments.into_iter().map(OsString::from).collect();
        let action = Action::parse(arguments, Path::new("")).unwrap();
        self.service.perform(action, &CancelToken::new()).unwrap();
        let blob = std::fs::read(&output).unwrap();
        let mut archive = Vec::new();
        MultiGzDecoder::new(&*blob).read_to_end(&mut archive).unwrap();
        archive
    }

    fn check(&self, wheel: &[u8]) {
        let path = self.folder.path().join("p-1-py3-none-any.whl");
        std::fs::write(&path, wheel).unwrap();
        assert!(self.layer(Some(&path)) == self.archive, "the contents are other ones");
    }
}

fuzz_target!(|data: &[u8]| {
    match data.split_last() {
        Some((1, wheel)) => LARGE.with(|tree| tree.check(wheel)),
        Some((_, wheel)) => SMALL.with(|tree| tree.check(wheel)),
        None => SMALL.with(|tree| tree.check(&[])),
    }
});
