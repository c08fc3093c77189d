//! The files of the requests, the layers that are asked for again and again, and their bytes as
//! one-shot runs make them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use worker_protocol::messages::Input;
use xtask::session::{Numbers, noise};

use crate::support::zip::{Member, archive};
use crate::support::{Folder, Run, sha256sum, tree};

/// Where requests read and write: in the working directory, and in a sandbox.
pub(super) const BASES: [&str; 2] = ["", "box"];

/// What a new package holds: so many bytes that the first thousand requests fill the cache's
/// memory, whose limit is 24 MiB.
const NEW: usize = 56 << 10;

/// A layer that is asked for again and again.
pub(super) struct Known {
    /// Without the outputs.
    pub(super) arguments: Vec<String>,
    pub(super) blob: Vec<u8>,
    pub(super) metadata: Vec<u8>,
}

/// The files below one folder: twice, the second time as in a sandbox.
pub(super) struct Scene {
    pub(super) folder: Folder,
    pub(super) known: Vec<Known>,
    /// The files of the packages with their content's SHA-256 as hex.
    files: Vec<(String, String)>,
}

impl Scene {
    pub(super) fn new() -> Self {
        let folder = Folder::new();
        let code = noise(200_000, 1);
        for base in BASES {
            let file = |path: &str, content: &[u8]| {
                folder.file(&Path::new(base).join(path).to_string_lossy(), content)
            };
            for number in 0..12 {
                let line = format!("print({number})\n");
                file(&format!("text/t{number}.py"), line.repeat(1 + number * 9).as_bytes());
            }
            file("code/code/module.py", &code);
            file("code/code/small.py", b"import os\n");
            file("code.whl", &archive(&[Member::new("code/module.py", &code)]));
            file("links/b", b"");
            folder.link(&Path::new(base).join("links/a").to_string_lossy(), "b");
            // Its segment is larger than those that the cache keeps in memory.
            file("big/big.so", &noise(9 << 20, 2));
            let endless = File::create(folder.path().join(base).join("endless")).unwrap();
            endless.set_len(1 << 40).unwrap();
        }
        let mut scene = Self { folder, known: Vec::new(), files: Vec::new() };
        scene.known = layers().into_iter().map(|arguments| scene.once(arguments)).collect();
        for package in ["big", "code", "links", "text"] {
            for (path, what) in tree(&scene.folder.path().join(package)) {
                if what.starts_with("file") {
                    let digest = what.rsplit(':').next().unwrap().to_owned();
                    scene.files.push((format!("{package}/{path}"), digest));
                }
            }
        }
        scene
    }

    /// The folder that a request's paths are relative to.
    pub(super) fn base(&self, base: &str) -> PathBuf {
        self.folder.path().join(base)
    }

    /// Writes a package that nobody has seen; gives its folder.
    pub(super) fn new_package(&self, base: &str, place: i32, seed: u64) -> String {
        let mut numbers = Numbers::new(seed);
        let content: Vec<u8> = std::iter::repeat_with(|| numbers.next().to_le_bytes())
            .take(NEW / 8)
            .flatten()
            .collect();
        let package = format!("new{place}");
        let folder = self.base(base).join(&package);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("data"), content).unwrap();
        package
    }

    /// What Bazel says about the packages' files, `claim` made of each digest.
    pub(super) fn inputs(&self, claim: impl Fn(&str) -> Vec<u8>) -> Vec<Input> {
        let input =
            |(path, digest): &(String, String)| Input { path: path.clone(), digest: claim(digest) };
        self.files.iter().map(input).collect()
    }

    /// What a one-shot run makes of these arguments.
    pub(super) fn once(&self, arguments: Vec<String>) -> Known {
        self.once_in("", arguments)
    }

    pub(super) fn once_in(&self, base: &str, arguments: Vec<String>) -> Known {
        let once = tempfile::tempdir().unwrap();
        let file = |name: &str| once.path().join(name);
        let mut command = self.folder.command(&["layer"]);
        command.current_dir(self.base(base)).args(&arguments);
        command.arg(format!("--output={}", file("blob").display()));
        command.arg(format!("--metadata={}", file("json").display()));
        let run = Run::of(&mut command);
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.stderr);
        let (blob, metadata) = (fs::read(file("blob")).unwrap(), fs::read(file("json")).unwrap());
        assert!(String::from_utf8_lossy(&metadata).contains(&sha256sum(&blob)));
        Known { arguments, blob, metadata }
    }
}

/// Each package alone, with and without its wheel, merged ones, in all codecs; the large one first.
fn layers() -> Vec<Vec<String>> {
    const TEXT: &[&str] = &["--package=text", "--tree=text", "--to=app/text"];
    const LINKS: &[&str] = &["--package=links", "--tree=links", "--to=app/links"];
    const CODE: &[&str] = &["--package=code", "--tree=code", "--to=app"];
    const WHEEL: &[&str] = &["--package=code", "--wheel=code.whl", "--tree=code", "--to=app"];
    const BIG: &[&str] = &["--package=big", "--tree=big", "--to=app/big"];
    let layer = |compression: &str, parts: &[&[&str]]| {
        let words = parts.concat();
        let words = words.iter().map(ToString::to_string);
        [format!("--compression={compression}")].into_iter().chain(words).collect()
    };
    let mut layers = vec![layer("zstd:1", &[BIG]), layer("gzip:1", &[BIG, TEXT])];
    for compression in ["none", "gzip:1", "gzip:6", "zstd:1", "zstd:3"] {
        for parts in [
            &[TEXT][..],
            &[LINKS],
            &[CODE],
            &[WHEEL],
            &[TEXT, CODE, LINKS],
            &[TEXT, WHEEL, LINKS],
            &[&["--owner=7", "--group=8", "--mtime=9"], TEXT],
        ] {
            layers.push(layer(compression, parts));
        }
    }
    layers
}
