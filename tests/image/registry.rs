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

    // crane is no package of Debian 12; it validates gzip layers alone.
    image(&folder, "gzip", &["--layer=a", "--env=A=1"]);
    let name = format!("{}/crane:1", registry.address);
    let crane = |arguments: &[&str]| {
        Command::new("crane").args(arguments).current_dir(folder.path()).output().ok()
    };
    let Some(pushed) = crane(&["push", "gzip", &name]) else {
        eprintln!("skipped: there is no crane");
        return;
    };
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    assert!(crane(&["validate", "--remote", &name]).unwrap().status.success());
    assert!(crane(&["pull", "--format=oci", &name, "pulled"]).unwrap().status.success());
    assert_eq!(folder.run(&["diff", "gzip", "pulled"]).code, 0);
}
