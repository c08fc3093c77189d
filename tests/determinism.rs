//! Same input, same bytes: whatever the form of the request, the threads, the order, the place,
//! the clock, the locale, or the umask.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::worker::{Worker, request};
use crate::support::{Folder, PYLAYER, Run, sha256sum};

/// Two packages of many files, one of them larger than a member.
fn packages() -> Folder {
    let folder = Folder::new();
    for number in 0..300 {
        let text = format!("print({number})\n").repeat(number);
        folder.file(&format!("one/m{number}.py"), text.as_bytes());
    }
    let big: Vec<u8> = (0..9_000_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    folder.file("two/big.so", &big);
    folder.link("two/big.so.1", "big.so");
    folder.file("one/é è.py", b"# coding: utf-8");
    folder
}

const ARGUMENTS: [&str; 8] = [
    "--package=one",
    "--tree=one",
    "--to=app/one",
    "--package=two",
    "--tree=two",
    "--to=app/two",
    "--empty",
    "--to=app/__init__.py",
];

fn blob(folder: &Path, change: impl FnOnce(&mut Command), arguments: &[&str]) -> String {
    let mut command = Command::new(PYLAYER);
    command.current_dir(folder).args(arguments);
    change(&mut command);
    let run = Run::of(&mut command);
    assert_eq!((run.code, &*run.stderr), (0, ""));
    sha256sum(&fs::read(folder.join("out")).unwrap())
}

#[test]
fn nothing_around_the_request_changes_a_byte() {
    let folder = packages();
    for compression in ["--compression=gzip:6", "--compression=zstd:3", "--compression=none"] {
        let layer = [&["layer", "--output=out", compression], &ARGUMENTS[..]].concat();
        let run = |change: fn(&mut Command)| blob(folder.path(), change, &layer);
        let expected = run(|_| ());
        assert_eq!(run(|c| _ = c.env("TZ", "Asia/Tokyo").env("LC_ALL", "C")), expected);
        assert_eq!(run(|c| _ = c.env_clear()), expected);
        assert_eq!(run(|c| _ = c.env("SOURCE_DATE_EPOCH", "1")), expected);
        for jobs in ["--jobs=1", "--jobs=2", "--jobs=7"] {
            let arguments = [&[jobs], &layer[..]].concat();
            assert_eq!(blob(folder.path(), |_| (), &arguments), expected, "{jobs}");
        }
        let elsewhere = Folder::new();
        let absolute: Vec<String> = layer
            .iter()
            .map(|a| a.replace("--tree=", &format!("--tree={}/", folder.path().display())))
            .collect();
        let absolute: Vec<&str> = absolute.iter().map(String::as_str).collect();
        assert_eq!(blob(elsewhere.path(), |_| (), &absolute), expected, "another directory");
        let mut umask = Command::new("sh");
        umask.args(["-c", "umask 077; exec \"$0\" \"$@\"", PYLAYER]).args(&layer);
        let run = Run::of(umask.current_dir(folder.path()));
        assert_eq!((run.code, sha256sum(&folder.read("out"))), (0, expected), "umask");
    }
}

#[test]
fn the_files_own_modes_and_times_do_not_matter() {
    let folder = packages();
    let layer = [&["layer", "--output=out"], &ARGUMENTS[..]].concat();
    let expected = blob(folder.path(), |_| (), &layer);
    let file = folder.path().join("one/m7.py");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o6444)).unwrap();
    let epoch = std::time::SystemTime::UNIX_EPOCH;
    fs::File::open(&file).unwrap().set_modified(epoch).unwrap();
    assert_eq!(blob(folder.path(), |_| (), &layer), expected);
}

#[test]
fn the_order_of_packages_and_sources_does_not_matter() {
    let folder = packages();
    let layer = |arguments: &[&str]| {
        blob(folder.path(), |_| (), &[&["layer", "--output=out"], arguments].concat())
    };
    let (one, two, empty) = (&ARGUMENTS[..3], &ARGUMENTS[3..4], &ARGUMENTS[6..]);
    let tree = &ARGUMENTS[4..6];
    let expected = layer(&ARGUMENTS);
    assert_eq!(layer(&[two, tree, empty, one].concat()), expected);
    assert_eq!(layer(&[two, empty, tree, one].concat()), expected);
    let files = ["--file=one/m1.py", "--to=a", "--file=one/m2.py", "--to=b"];
    assert_eq!(layer(&files), layer(&[&files[2..], &files[..2]].concat()));
}

#[test]
fn all_forms_of_a_request_give_the_same_bytes() {
    let folder = packages();
    let line = |output| [&["layer", output, "--compression=zstd"], &ARGUMENTS[..]].concat();
    let expected = blob(folder.path(), |_| (), &line("--output=out"));

    let params = line("--output=from-file").join("\n") + "\n";
    folder.file("params", params.as_bytes());
    assert_eq!(folder.run(&["@params"]).code, 0);
    // Flag and value may be two arguments, and so two lines.
    let split = line("--output=from-split").join("\n").replace('=', "\n");
    folder.file("split", split.as_bytes());
    assert_eq!(folder.run(&["--jobs", "2", "@split"]).code, 0);

    folder.file("worker-params", params.replace("from-file", "from-worker-file").as_bytes());
    let mut worker = Worker::start(folder.path(), &[]);
    for (id, arguments) in [(1, line("--output=from-worker")), (2, vec!["@worker-params"])] {
        worker.request(id, &arguments);
        let response = worker.response();
        assert_eq!((response.request_id, response.exit_code, &*response.output), (id, 0, ""));
    }

    // With sandbox_dir, all paths are below it, and so is a params file.
    fs::create_dir_all(folder.path().join("box/1")).unwrap();
    for tree in ["one", "two"] {
        let moved = folder.path().join("box/1").join(tree);
        fs::rename(folder.path().join(tree), moved).unwrap();
    }
    folder.file("box/1/params", params.replace("from-file", "boxed-file").as_bytes());
    for (id, arguments) in [(3, line("--output=boxed")), (4, vec!["@params"])] {
        let mut request = request(id, &arguments);
        request.sandbox_dir = "box/1".to_owned();
        worker.send(&request);
        let response = worker.response();
        assert_eq!((response.request_id, response.exit_code, &*response.output), (id, 0, ""));
    }
    assert!(worker.end().success());
    for output in [
        "from-file",
        "from-split",
        "from-worker",
        "from-worker-file",
        "box/1/boxed",
        "box/1/boxed-file",
    ] {
        assert_eq!(sha256sum(&folder.read(output)), expected, "{output}");
    }
}
