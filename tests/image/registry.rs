//! A real registry takes an image and gives it back.

use std::process::Command;

use super::{image, layers, parts};
use crate::support::Run;
use crate::support::registry::Registry;

#[test]
fn a_registry_gives_back_what_it_took() {
    let folder = layers();
    image(&folder, "base", &["--layer=a"]);
    let flags = ["--base=base", "--layer=b", "--layer=plain", "--env=A=1", "--cmd=x"];
    let made = image(&folder, "out", &flags);
    let Some(registry) = Registry::start(folder.path()) else {
        eprintln!("skipped: there is no docker-registry");
        return;
    };
    let remote = format!("docker://{}/image:1", registry.address);
    let skopeo = |arguments: &[&str]| {
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"]);
        let run = Run::of(command.args(arguments).current_dir(folder.path()));
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.stderr);
    };
    skopeo(&["--dest-tls-verify=false", "oci:out", &remote]);
    skopeo(&["--src-tls-verify=false", &remote, "oci:back:1"]);
    let back = parts(&folder.path().join("back"));
    assert_eq!(back.index["manifests"][0]["digest"], made.index["manifests"][0]["digest"]);
    let run = folder.run(&["diff", "out", "back"]);
    assert_eq!((run.code, &*run.stdout), (0, "out and back are the same\n"));
}

#[test]
#[ignore = "needs crane and oras, which are no packages of Debian 12: `cargo xtask test images`"]
fn crane_and_oras_push_pull_and_validate() {
    let folder = layers();
    // crane validates gzip layers alone.
    let made = image(&folder, "gzip", &["--layer=a", "--env=A=1"]);
    let digest = made.index["manifests"][0]["digest"].as_str().unwrap();
    let registry = Registry::start(folder.path()).unwrap();
    let name = |client: &str| format!("{}/{client}:1", registry.address);
    let client = |program: &str, arguments: &[&str]| {
        let run = Run::of(Command::new(program).args(arguments).current_dir(folder.path()));
        assert_eq!(run.code, 0, "{program} {arguments:?}: {}", run.stderr);
        run.stdout
    };
    let crane = name("crane");
    client("crane", &["push", "gzip", &crane]);
    client("crane", &["validate", "--remote", &crane]);
    assert_eq!(client("crane", &["digest", &crane]).trim(), digest);
    client("crane", &["pull", "--format=oci", &crane, "by-crane"]);

    let oras = name("oras");
    let local = format!("gzip@{digest}");
    client("oras", &["cp", "--from-oci-layout", &local, "--to-plain-http", &oras]);
    client("oras", &["cp", "--from-plain-http", &oras, "--to-oci-layout", "by-oras:1"]);
    for pulled in ["by-crane", "by-oras"] {
        assert_eq!(parts(&folder.path().join(pulled)).index["manifests"][0]["digest"], digest);
        assert_eq!(folder.run(&["diff", "gzip", pulled]).code, 0);
    }
}
