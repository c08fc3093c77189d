//! The machine gives out, or changes under our hands: a clear error, no file, nobody else hurt.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::worker::Worker;
use crate::support::{Folder, PYLAYER, Run, sha256sum};

#[test]
fn a_file_that_grows_or_shrinks_while_it_is_read_is_named() {
    // The kernel's own files are shorter or longer than they say, at every reading.
    for (file, said) in [
        ("/proc/version", "/proc/version"),
        ("/sys/kernel/mm/transparent_hugepage/enabled", "transparent_hugepage"),
    ] {
        let folder = Folder::new();
        let run = folder.run(&["layer", "--output=out", "--file", file, "--to=x"]);
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains(said) && run.stderr.contains("changed"), "{}", run.stderr);
        assert_eq!(folder.names(), [""; 0]);
    }
}

#[test]
fn one_ctrl_c_ends_a_layer_whose_reader_has_stalled() {
    let folder = Folder::new();
    folder.file("f", &vec![0; 4 << 20]);
    let arguments = ["layer", "--output=-", "--compression=none", "--file=f", "--to=f"];
    let mut child = folder.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    // It writes, and soon waits for somebody to read more.
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::INT.as_raw()));
}

#[test]
fn a_full_disk_is_an_environment_error_and_leaves_nothing() {
    let folder = Folder::new();
    let noise: Vec<u8> = (0..400_000_u64)
        .flat_map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_le_bytes())
        .collect();
    folder.file("f", &noise);
    std::fs::create_dir(folder.path().join("small")).unwrap();
    // A mount of one's own needs no privilege in a user namespace of one's own.
    let script = format!(
        "mount -t tmpfs -o size=1m tmpfs small || exit 99
         {PYLAYER} layer --output=small/out --metadata=small/json --compression=none --file=f --to=f
         code=$?; ls -A small; exit $code"
    );
    let run = Run::of(
        Command::new("unshare").args(["-rm", "sh", "-c", &script]).current_dir(folder.path()),
    );
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("small/out") && run.stderr.contains("No space"), "{}", run.stderr);
    assert_eq!(run.stdout, "", "left behind");
}

#[test]
fn a_write_that_fails_hurts_no_other_request() {
    let folder = Folder::new().with(&[("f", "content")]);
    // A write beyond the limit fails with EFBIG, and the process gets SIGXFSZ.
    let script = format!("ulimit -f 64; exec {PYLAYER} --persistent_worker");
    let noise: Vec<u8> = (0..400_000_u64)
        .flat_map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_le_bytes())
        .collect();
    folder.file("big", &noise);
    let mut worker = Worker::of(Command::new("sh").args(["-c", &script]), folder.path());
    worker.request(1, &["layer", "--output=a", "--file=big", "--to=x"]);
    worker.request(2, &["layer", "--output=b", "--file=f", "--to=x"]);
    let mut responses = [worker.response(), worker.response()];
    responses.sort_by_key(|response| response.request_id);
    assert_eq!(responses.each_ref().map(|response| response.exit_code), [3, 0]);
    assert!(responses[0].output.contains("`a`"), "{}", responses[0].output);
    assert!(worker.end().success());
    assert_eq!(folder.names(), ["b", "big", "f"]);
}

#[test]
fn a_worker_with_little_room_for_memory_answers_all_the_same() {
    let folder = Folder::new();
    let content: Vec<u8> = (0..9_000_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    folder.file("big", &content[..9 << 20]);
    let expected = sha256sum(&folder.layer(&["--file=big", "--to=x"]));
    for kilobytes in [60_000, 100_000, 150_000, 160_000, 250_000] {
        // The second time there is a cache to fill and to read from.
        for cache in ["none", &format!("cache-{kilobytes}")] {
            let script = format!(
                "ulimit -v {kilobytes}; exec {PYLAYER} --cache-dir={cache} --jobs=2 \
                 --persistent_worker"
            );
            let mut worker = Worker::of(Command::new("sh").args(["-c", &script]), folder.path());
            for id in 1..=6 {
                worker.request(id, &["layer", &format!("--output=o{id}"), "--file=big", "--to=x"]);
            }
            for _ in 1..=6 {
                let response = worker.response();
                match response.exit_code {
                    0 => {
                        let output = folder.read(&format!("o{}", response.request_id));
                        assert_eq!(sha256sum(&output), expected, "{kilobytes}, {cache}");
                    }
                    code => assert_eq!(code, 3, "{response:?}"),
                }
            }
            assert!(worker.end().success(), "{kilobytes}, {cache}");
        }
    }
}

#[test]
fn a_worker_without_threads_says_so() {
    if !rustix::process::getuid().is_root() {
        return; // Root alone can be somebody who has no other process.
    }
    // One thread besides the first: it compresses, and none is left for requests.
    let limits = ["--reuid=64321", "--clear-groups", "prlimit", "--nproc=2", PYLAYER];
    let worker = ["--cache-dir=none", "--jobs=1", "--persistent_worker"];
    let run = Run::of(Command::new("setpriv").args(limits).args(worker).current_dir("/"));
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert!(run.stderr.contains("Resource temporarily unavailable"), "{}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
}

#[test]
fn metadata_that_cannot_be_written_takes_the_blob_with_it() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("json")).unwrap();
    let run = folder.run(&["layer", "--output=out", "--metadata=json"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_eq!(folder.names(), ["json"]);
}

#[test]
fn a_layer_says_its_digest_in_an_attribute_where_it_can() {
    let folder = Folder::new().with(&[("f", "content")]);
    let layer = ["--file=f", "--to=x"];
    let plain = folder.layer(&layer);
    let name = "user.checksum.sha256";
    let with_attribute = |name: &str| {
        let startup = format!("--digest-attribute={name}");
        let run = folder.run(&[&*startup, "layer", "--output=out", "--file=f", "--to=x"]);
        assert_eq!((run.code, &*run.stderr), (0, ""));
        assert_eq!(folder.read("out"), plain);
    };
    with_attribute(name);
    let supported =
        rustix::fs::setxattr(folder.path().join("f"), name, b"x", rustix::fs::XattrFlags::empty());
    let mut digest = [0; 33];
    let found = rustix::fs::getxattr(folder.path().join("out"), name, &mut digest);
    let found = found.map(|length| {
        let hex = digest[..length].iter().map(|byte| format!("{byte:02x}"));
        format!("sha256:{}", hex.collect::<String>())
    });
    assert_eq!(found.ok(), supported.ok().map(|()| sha256sum(&plain)));
    // Where no file system has such an attribute, the layer is what counts.
    with_attribute("no.such.namespace");
}
