//! Real readers of images: skopeo copies to every form, umoci unpacks, and what was unpacked runs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::{ALL, image, layers};
use crate::support::{Folder, Run, tree};

fn shell(folder: &Folder, line: &str) -> Run {
    let run = Run::of(Command::new("sh").args(["-ec", line]).current_dir(folder.path()));
    assert_eq!(run.code, 0, "{line}: {}", run.stderr);
    run
}

#[test]
fn skopeo_copies_an_image_to_every_form() {
    let folder = layers();
    image(&folder, "out", &[&ALL[..], &["--env=A=1", "--cmd=/app"]].concat());
    // Debian 12's skopeo makes no Docker form of zstd layers.
    image(&folder, "gzip", &["--layer=a", "--layer=plain", "--env=A=1", "--cmd=/app"]);
    let inspected = shell(&folder, "skopeo inspect --config oci:out").stdout;
    assert!(inspected.contains("A=1"), "{inspected}");
    let copy = "skopeo --insecure-policy copy --quiet";
    for (from, to) in [
        ("oci:out:latest", "dir:d1"),
        ("oci:out", "oci:o1:tag"),
        ("oci:out", "oci-archive:o2.tar"),
        ("oci:gzip", "docker-archive:d2.tar:name:tag"),
        ("oci:gzip", "dir:d3"),
        ("docker-archive:d2.tar", "oci:back:latest"),
    ] {
        shell(&folder, &format!("{copy} {from} {to}"));
    }
    shell(&folder, &format!("{copy} --format=v2s2 oci:gzip dir:d4"));
    // Docker's form comes back as an image with the same files and config.
    let back = super::parts(&folder.path().join("back")).config;
    let gzip = super::parts(&folder.path().join("gzip")).config;
    assert_eq!(back["rootfs"], gzip["rootfs"]);
    assert_eq!(back["config"], gzip["config"]);
}

#[test]
fn umoci_unpacks_an_image_and_it_runs() {
    let folder = layers();
    // The smallest root that has a program in it: a shell with its libraries.
    let libraries = shell(&folder, "ldd /bin/sh | grep -o '/[^ ]*'").stdout;
    let mut arguments = vec!["layer", "--output=root", "--file=/bin/sh", "--to=tools/sh"];
    let flags: Vec<(String, String)> = libraries
        .lines()
        .map(|library| {
            let real = fs::canonicalize(library).unwrap();
            (
                format!("--file={}", real.display()),
                format!("--to={}", library.replacen("/lib", "/usr/lib", 1)),
            )
        })
        .collect();
    arguments.extend(flags.iter().flat_map(|(file, to)| [&**file, &**to]));
    let links = ["--symlink=usr/lib", "--to=lib", "--symlink=usr/lib64", "--to=lib64"];
    assert_eq!(folder.run(&[&arguments[..], &links].concat()).code, 0);
    image(&folder, "base", &["--layer=root", "--workdir=/"]);
    image(
        &folder,
        "out",
        &["--base=base", "--layer=a", "--env=GREETING=hello", "--entrypoint=/tools/sh"],
    );
    shell(&folder, "umoci unpack --rootless --image out:latest bundle");
    let root = folder.path().join("bundle/rootfs");
    assert_eq!(fs::read(root.join("app/a.py")).unwrap(), b"a");
    let config: serde_json::Value =
        serde_json::from_slice(&folder.read("bundle/config.json")).unwrap();
    let process = &config["process"];
    assert_eq!(process["args"], serde_json::json!(["/tools/sh"]));
    assert!(process["env"].as_array().unwrap().iter().any(|line| line == "GREETING=hello"));
    assert!(tree(&root).iter().any(|(path, what)| path == "lib" && what == "link to usr/lib"));
    if !rustix::process::geteuid().is_root() {
        return;
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for user in ["0", "1000"] {
        let line = format!(
            "chroot --userspec={user}:{user} bundle/rootfs /tools/sh -c \
             'read -r line < /app/a.py || echo \"read $line\"'"
        );
        assert_eq!(shell(&folder, &line).stdout, "read a\n", "as {user}");
    }
}
