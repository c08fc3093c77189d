//! What Bazel claims about its inputs: worth a hit, never a wrong byte.

use worker_protocol::messages::{Input, WorkRequest};

use super::{expected, layer, packages};
use crate::support::worker::{Worker, request};
use crate::support::{Folder, sha256sum};

/// A request with the claims that Bazel makes, changed by `claim`.
fn claiming(folder: &Folder, arguments: &[&str], claim: impl Fn(&[u8]) -> Vec<u8>) -> WorkRequest {
    let mut request = request(1, arguments);
    for tree in ["big", "links", "many"] {
        for (path, what) in crate::support::tree(&folder.path().join(tree)) {
            if what.starts_with("file") {
                let path = format!("{tree}/{path}");
                let digest = claim(&folder.read(&path));
                request.inputs.push(Input { path, digest });
            }
        }
    }
    request.inputs.reverse();
    request
}

fn hex_sha256(content: &[u8]) -> Vec<u8> {
    sha256sum(content).as_bytes()["sha256:".len()..].to_vec()
}

fn raw(hex: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// What Bazel might claim about a content.
type Claim = fn(&[u8]) -> Vec<u8>;

#[test]
fn digests_of_any_kind_give_the_same_bytes() {
    let folder = packages();
    let layer = layer(&["--output=cached", "--explain"]);
    let claims: [(&str, Claim, bool); 7] = [
        ("SHA-256, hex", hex_sha256, true),
        ("SHA-256, raw", |content| raw(&hex_sha256(content)), true),
        ("BLAKE3, hex", |content| blake3::hash(content).to_hex().as_bytes().to_vec(), true),
        ("BLAKE3, raw", |content| blake3::hash(content).as_bytes().to_vec(), true),
        ("empty", |_| Vec::new(), true),
        ("SHA-1", |content| hex_sha256(content)[..40].to_vec(), true),
        ("a lie", |content| hex_sha256(&[content, b"lie"].concat()), false),
    ];
    let expected = expected(&folder, &[]);
    for (name, claim, hits) in claims {
        let cache = tempfile::tempdir().unwrap();
        let cache = format!("--cache-dir={}", cache.path().display());
        let mut worker = Worker::start(folder.path(), &[&cache]);
        let mut last = String::new();
        for _ in 0..3 {
            worker.send(&claiming(&folder, &layer, claim));
            let response = worker.response();
            assert_eq!(response.exit_code, 0, "{name}: {}", response.output);
            assert_eq!(
                (sha256sum(&folder.read("cached")), folder.read("json")),
                expected,
                "{name}"
            );
            last = response.output;
        }
        assert_eq!(last.matches("hit").count() == 3, hits, "{name}: {last}");
        assert!(worker.end().success());
        // Another process finds the same, whatever it guesses first.
        if hits {
            let mut worker = Worker::start(folder.path(), &[&cache]);
            worker.send(&claiming(&folder, &layer, claim));
            let said = worker.response().output;
            assert_eq!(
                said.matches("hit on disk").count() + said.matches("hit in memory").count(),
                3,
                "{name}: {said}"
            );
        }
    }
}

#[test]
fn a_wrong_claim_teaches_the_cache_nothing() {
    let folder = packages();
    let mut worker = Worker::start(folder.path(), &["--cache-dir=cache"]);
    let build = |worker: &mut Worker, claim: &dyn Fn(&[u8]) -> Vec<u8>| {
        worker.send(&claiming(&folder, &layer(&["--output=cached"]), claim));
        let response = worker.response();
        assert_eq!((response.exit_code, &*response.output), (0, ""));
        folder.read("cached")
    };
    let honest = folder.read("many/m1.py");
    let other = b"print('other')\n";
    // The file has `other`, Bazel says it has what it had when it looked.
    folder.file("many/m1.py", other);
    let stale = |content: &[u8]| hex_sha256(if content == other { &honest } else { content });
    let right = expected(&folder, &[]).0;
    assert_eq!(sha256sum(&build(&mut worker, &stale)), right, "what was read is what is shipped");
    // The claim is true now: what was built under the wrong one is not taken for it.
    folder.file("many/m1.py", &honest);
    let right = expected(&folder, &[]).0;
    assert_eq!(sha256sum(&build(&mut worker, &hex_sha256)), right);
    assert!(worker.end().success());
}

#[test]
fn a_hit_reads_no_content() {
    let folder = packages();
    let mut worker = Worker::start(folder.path(), &["--cache-dir=cache"]);
    let request = claiming(&folder, &layer(&["--output=cached"]), hex_sha256);
    worker.send(&request);
    assert_eq!(worker.response().exit_code, 0);
    let before = folder.read("cached");
    for number in 0..50 {
        folder.file(&format!("many/m{number}.py"), b"Bazel does not know of this");
    }
    worker.send(&request);
    assert_eq!(worker.response().exit_code, 0);
    assert!(folder.read("cached") == before);
    assert!(worker.end().success());
}
