//! What pylayer says to plausible mistakes, as a whole, in `tests/messages.txt`.
//!
//! `UPDATE_MESSAGES=1 cargo test --test black_box messages` writes the file: read what has changed.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Folder, PYLAYER, Run};

/// Command lines, in the order of the file; `sh` begins those that need a shell.
const MISTAKES: &[&str] = &[
    // The command.
    "",
    "layr",
    "--frobnicate",
    "--job=3 layer",
    "help foo",
    "@no-such-file",
    "--persistent_worker layer",
    "cache",
    "completions tcsh",
    // Flags and their values.
    "layer",
    "layer --outptu=x",
    "layer --output",
    "layer --output=x stray",
    "layer --output=x --output=y",
    "layer --output=x --tree=tree",
    "layer --output=x --to=/app",
    "layer --output=x --tree=tree --to=/app --to=/srv",
    "layer --output=x --compression=gzip:10 --tree=tree --to=/app",
    "layer --output=x --compression=brotli --tree=tree --to=/app",
    "layer --output=x --owner=root --tree=tree --to=/app",
    "layer --output=x --tree=tree --to=/app --mode=999",
    "layer --output=x --package=p --include=[ --tree=tree --to=/app",
    "layer --output=x --file=tree/a.py --to=/app/",
    "layer --output=x --tree=tree --to=/../app",
    "--jobs=0 layer",
    "--cache-size=5GB cache stat",
    "--log=loud cache stat",
    "segment --output=x --tree=tree --to=/app",
    "check --output=x",
    "image --output=x --layer=layer.tar --platform=linux",
    "diff layer.tar",
    // Sources.
    "layer --output=x",
    "layer --output=x --tree=missing --to=/app",
    "layer --output=x --file=tree --to=/app",
    "layer --output=x --tree=tree/a.py --to=/app",
    "layer --output=x --tree=dangling --to=/app",
    "layer --output=x --file=tree/a.py --to=/a --file=not-a-wheel.whl --to=/a",
    "layer --output=x --file=tree/a.py --to=/a --file=tree/a.py --to=/a/b",
    "layer --output=x --package=p --include=*.so --tree=tree --to=/app",
    "layer --output=x --package=p --wheel=not-a-wheel.whl --tree=tree --to=/app",
    "layer --output=x --segment=not-a-wheel.whl",
    // Outputs.
    "layer --output=missing/x --tree=tree --to=/app",
    "layer --output=tree --tree=tree --to=/app",
    "layer --output=x.tar.zst --tree=tree --to=/app",
    "image --output=tree --layer=layer.tar",
    "sh ulimit -f 1; pylayer layer --output=x --compression=none --file=large --to=/large",
    "sh pylayer layer --output=/dev/full --tree=tree --to=/app",
    // The cache, images.
    "cache stat",
    "cache stat --cache-dir=missing",
    "cache stat --cache-dir=tree",
    "image --output=x",
    "image --output=x --base=missing --layer=layer.tar",
    "image --output=x --base=tree --layer=layer.tar",
    "inspect missing",
    "inspect not-a-wheel.whl",
    "diff layer.tar missing",
    "load missing",
];

fn folder() -> Folder {
    let folder = Folder::new().with(&[("tree/a.py", "print()\n"), ("not-a-wheel.whl", "x")]);
    folder.link("dangling/link", "nowhere");
    folder.file("large", &[7; 4096]);
    let made = ["layer", "--output=layer.tar", "--compression=none", "--tree=tree", "--to=/app"];
    assert_eq!(folder.run(&made).code, 0);
    folder
}

/// The exit code, and what is said on standard error, without what is the machine's own.
fn tell(line: &str, run: &Run, folder: &Folder) -> String {
    let said = run.stderr.replace(&folder.path().display().to_string(), "FOLDER");
    assert_eq!(run.stdout, "", "{line}: an error is no output");
    let line = line.strip_prefix("sh ").map_or_else(|| format!("pylayer {line}"), str::to_owned);
    format!("$ {}\n{said}[exit code {}]\n\n", line.trim_end(), run.code)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the environment says whether to write the file")]
fn mistakes_are_answered_by_what_why_and_what_to_do() {
    let mut text = String::new();
    for line in MISTAKES {
        let folder = folder();
        let before = folder.names();
        let run = match line.strip_prefix("sh ") {
            None => folder.run(&line.split_whitespace().collect::<Vec<_>>()),
            Some(script) => {
                let mut shell = Command::new("sh");
                let script = script.replace("pylayer", PYLAYER);
                Run::of(shell.args(["-c", &script]).current_dir(folder.path()))
            }
        };
        if run.code != 0 {
            assert_eq!(folder.names(), before, "{line}: a failure leaves a file");
        }
        text += &tell(line, &run, &folder);
    }
    text += &full_disk();
    text += &interrupted();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages.txt");
    if std::env::var_os("UPDATE_MESSAGES").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap();
    let differing = text.split("\n\n").zip(expected.split("\n\n")).find(|(a, b)| a != b);
    assert_eq!(differing, None);
    assert_eq!(text.len(), expected.len());
}

/// A file system that is too small, mounted where only the command sees it.
fn full_disk() -> String {
    let folder = folder();
    folder.file("small/keep", b"");
    folder.file("large", &vec![7; 1 << 20]);
    let script = "mount -t tmpfs -o size=64k tmpfs small && exec \"$0\" layer --output=small/x \
                  --compression=none --file=large --to=/large";
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, PYLAYER]);
    let run = Run::of(unshare.current_dir(folder.path()));
    let mut text = String::from("On a full disk:\n");
    let line = "layer --output=small/x --compression=none --file=large --to=/large";
    write!(text, "{}", tell(line, &run, &folder)).unwrap();
    text
}

/// Ctrl-C on a terminal, once it says how far a layer has come.
fn interrupted() -> String {
    let folder = folder();
    let endless = fs::File::create(folder.path().join("endless")).unwrap();
    endless.set_len(1 << 40).unwrap();
    let before = folder.names();
    let line = "layer --output=x --metadata=x.json --file=endless --to=/endless";
    let mut script = Command::new("script");
    script.args(["-qec", &format!("{PYLAYER} {line}"), "/dev/null"]).current_dir(folder.path());
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut shown, mut byte) = (Vec::new(), [0]);
    let mut screen = script.stdout.take().unwrap();
    while !shown.ends_with(b" read") {
        screen.read_exact(&mut byte).unwrap();
        shown.extend(byte);
    }
    let mut keyboard = script.stdin.take().unwrap();
    keyboard.write_all(b"\x03").unwrap();
    screen.read_to_end(&mut shown).unwrap();
    // A shell gives a process that SIGINT has ended this code.
    assert_eq!(script.wait().unwrap().code(), Some(130));
    assert_eq!(folder.names(), before, "an interrupted layer leaves a file");
    // The terminal shows the key anywhere; how often it says how much, and how much, is the machine's own.
    let said = String::from_utf8(shown).unwrap().replace("\x1b[K", "").replacen("^C", "", 1);
    let is_progress = |line: &&str| line.ends_with("iB read");
    let mut lines: Vec<&str> = said.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
    lines.iter_mut().filter(|line| is_progress(line)).for_each(|line| *line = "SIZE read");
    lines.dedup();
    let lines = lines.join("\n");
    format!("On a terminal, with Ctrl-C:\n$ pylayer {line}\n{lines}\n[exit code 130]\n")
}
