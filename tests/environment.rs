//! The machine gives out, or changes under our hands: a clear error, no file, nobody else hurt.

use std::process::Command;

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
    // Beyond the limit a write fails with EFBIG, as on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f 64; exec {PYLAYER} --persistent_worker");
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
