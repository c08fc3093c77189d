//! The example's image on a base of its own, as a container engine would put it together, and the
//! application run in there: nothing of the machine is in reach.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use xtask::bazel::{Layer, repository};

use crate::image::{is_root, layout, succeed, umoci, unpack};
use crate::scene::Scene;
use crate::support::{Folder, Run, sha256sum};

/// The user and the group that the example's tier says.
const OWNER: u32 = 1000;

/// The shared libraries that programs and libraries load from the machine.
fn libraries(of: &[PathBuf], own: &Path) -> BTreeSet<PathBuf> {
    // It fails when one of them is linked with nothing, and says the rest all the same.
    let told = Run::of(Command::new("ldd").args(of).env("LD_LIBRARY_PATH", own)).stdout;
    let lines = told.lines().filter(|line| line.starts_with('\t'));
    let paths = lines.flat_map(str::split_whitespace).filter(|word| word.starts_with('/'));
    paths.map(PathBuf::from).filter(|path| !of.contains(path)).collect()
}

/// The interpreter's folder in an unpacked image.
pub(crate) fn python(root: &Path) -> PathBuf {
    repository(&root.join("app.runfiles"), "python").unwrap()
}

/// All files below a folder whose name has this in it.
fn find(folder: &Path, part: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            find(&path, part, found);
        } else if path.file_name().unwrap().to_string_lossy().contains(part) {
            found.push(path);
        }
    }
}

/// A layer that GNU tar makes of a folder, as root owns it.
fn plain_layer(folder: &Path, name: &str) -> Layer {
    let blob = folder.with_file_name(format!("{name}.tar"));
    let mut tar = Command::new("tar");
    tar.args(["--create", "--owner=0", "--group=0", "--sort=name", "--file"]).arg(&blob);
    succeed(tar.arg("--directory").arg(folder).arg("."));
    let bytes = fs::read(&blob).unwrap();
    let digest = sha256sum(&bytes);
    let metadata = folder.with_file_name(format!("{name}.json"));
    let described = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": digest,
        "size": bytes.len(),
        "diff_id": digest,
    });
    fs::write(&metadata, described.to_string()).unwrap();
    Layer { blob, metadata }
}

/// A base image: `env`, the C library, and the folders that everybody expects. Gives the folders
/// that have libraries, too.
pub(crate) fn base(folder: &Path, unpacked: &Path) -> (Layer, BTreeSet<PathBuf>) {
    let root = folder.join("base");
    let put = |from: &Path, to: &Path| {
        let place = root.join(to.strip_prefix("/").unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(from, place).unwrap();
    };
    let env = Path::new("/usr/bin/env");
    put(env, env);
    let mut loading = vec![env.to_path_buf(), python(unpacked).join("bin/python3")];
    find(unpacked, ".so", &mut loading);
    let mut libraries = libraries(&loading, &python(unpacked).join("lib"));
    // What a package brings along is in its layer.
    libraries.retain(|library| !library.starts_with(unpacked));
    for library in &libraries {
        put(library, library);
    }
    for (path, mode) in [("tmp", 0o1777), ("root", 0o700), ("srv", 0o751)] {
        fs::create_dir(root.join(path)).unwrap();
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(root.join("srv/of-the-base"), "kept").unwrap();
    fs::create_dir(root.join("app.runfiles")).unwrap();
    fs::write(root.join("app.runfiles/of-the-base"), "kept").unwrap();
    let folders = libraries.iter().map(|library| library.parent().unwrap().to_path_buf()).collect();
    (plain_layer(&root, "base"), folders)
}

/// A layer on top that takes a file away, as whoever builds on the image may.
fn whiteout(folder: &Path) -> Layer {
    let root = folder.join("top");
    let below = root.join("app.runfiles/_main/app");
    fs::create_dir_all(&below).unwrap();
    fs::write(below.join(".wh.main.py"), "").unwrap();
    plain_layer(&root, "top")
}

/// Runs the application in a root, as a user.
fn self_check(root: &Path, user: &str, libraries: &BTreeSet<PathBuf>) -> Run {
    let python = python(root);
    let python = format!("/{}", python.strip_prefix(root).unwrap().display());
    let mut folders = vec![format!("{python}/lib")];
    folders.extend(libraries.iter().map(|folder| folder.display().to_string()));
    let mut chroot = Command::new("chroot");
    chroot.arg(format!("--userspec={user}:{user}")).arg("--groups=").arg(root);
    chroot.env_clear().env("PATH", format!("{python}/bin:/usr/sbin:/usr/bin:/bin"));
    chroot.env("LD_LIBRARY_PATH", folders.join(":"));
    Run::of(chroot.args(["/app", "--self-check"]))
}

/// What is not as its layer has it: owner, and mode.
fn wrong(folder: &Path, found: &mut Vec<String>, seen: &mut usize) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("of-the-base") {
            continue;
        }
        let said = fs::symlink_metadata(&path).unwrap();
        let mode = if said.is_symlink() { 0o777 } else { 0o755 };
        if (said.uid(), said.gid(), said.mode() & 0o7777) != (OWNER, OWNER, mode) {
            found.push(format!("{}: {said:?}", path.display()));
        }
        *seen += 1;
        if said.is_dir() {
            wrong(&path, found, seen);
        }
    }
}

#[test]
#[ignore = "needs Bazel: cargo xtask test"]
fn the_image_runs_in_a_root_of_its_own() {
    if !is_root() {
        println!("skipped: only root can own files as somebody else does, and call chroot");
        return;
    }
    let build = Scene::example().build(&[]);
    let folder = Folder::new();
    let unpacked = folder.path().join("unpacked");
    unpack(&build.layers, &unpacked);
    let (base, libraries) = base(folder.path(), &unpacked);
    let mut layers = vec![base];
    layers.extend(build.layers.iter().cloned());

    let image = Folder::new();
    layout(&layers, &image.path().join("layout"));
    umoci(image.path(), &[]);
    let root = image.path().join("bundle/rootfs");
    let (mut found, mut seen) = (Vec::new(), 0);
    wrong(&root.join("app.runfiles"), &mut found, &mut seen);
    assert_eq!(found, [""; 0]);
    assert!(seen > 3000, "{seen}");
    // The folder is the base's and ours: the layer above decides.
    let ours = fs::metadata(root.join("app.runfiles")).unwrap();
    assert_eq!((ours.uid(), ours.gid(), ours.mode() & 0o7777), (OWNER, OWNER, 0o755));
    assert_eq!(fs::metadata(root.join("app")).unwrap().uid(), OWNER);
    for (path, mode) in [("tmp", 0o1777), ("root", 0o700), ("srv", 0o751), ("usr/bin", 0o755)] {
        let said = fs::metadata(root.join(path)).unwrap();
        assert_eq!((said.uid(), said.gid(), said.mode() & 0o7777), (0, 0, mode), "{path}");
    }
    for kept in ["srv/of-the-base", "app.runfiles/of-the-base"] {
        assert_eq!(fs::read_to_string(root.join(kept)).unwrap(), "kept");
    }

    for user in ["0", "1000"] {
        let run = self_check(&root, user, &libraries);
        assert_eq!(run.code, 0, "as {user}: {}{}", run.stdout, run.stderr);
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(answer["ok"], true, "as {user}: {answer}");
        assert_eq!(answer["answer"]["mean"], 2.5, "as {user}: {answer}");
    }

    // A layer on top takes away one file of ours, and nothing else.
    let image = Folder::new();
    let sources = build.layers.last().unwrap().clone();
    layout(&[sources, whiteout(folder.path())], &image.path().join("layout"));
    umoci(image.path(), &[]);
    let sources = image.path().join("bundle/rootfs/app.runfiles/_main/app");
    assert!(!sources.join("main.py").exists() && sources.join("limits.json").exists());
}
