//! What becomes of symbolic links.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{Folder, listing};

#[test]
fn links_within_a_tree_stay_as_they_are() {
    let folder = Folder::new().with(&[("t/lib/a.so.1", "so"), ("t/bin/tool", "")]);
    folder.link("t/lib/a.so", "a.so.1");
    folder.link("t/bin/so", "../lib/./a.so");
    folder.link("t/dir", "lib");
    let found = folder.entries(&["--tree=t", "--to=app"]);
    let expected = [
        ("app/bin/so", "l ../lib/./a.so"),
        ("app/bin/tool", "f"),
        ("app/dir", "l lib"),
        ("app/lib/a.so", "l a.so.1"),
        ("app/lib/a.so.1", "f"),
    ];
    assert_eq!(listing(&found), expected);
}

#[test]
fn a_link_to_a_file_of_the_same_tree_that_a_glob_leaves_out_stays() {
    let folder = Folder::new().with(&[("t/a.so.1", "so")]);
    folder.link("t/a.so", "a.so.1");
    let found = folder.entries(&["--package=p", "--include=*.so", "--tree=t", "--to=app"]);
    assert_eq!(listing(&found), [("app/a.so", "l a.so.1")]);
}

#[test]
fn links_between_sources_become_relative_links_between_destinations() {
    let folder = Folder::new().with(&[("one/lib/a.so", "so"), ("two/b.py", ""), ("c", "")]);
    let absolute = |path: &str| folder.path().join(path);
    folder.link("two/a.so", absolute("one/lib/a.so"));
    folder.link("two/libs", absolute("one/lib"));
    folder.link("two/out.so", "../one/lib/a.so");
    folder.link("two/c", absolute("c"));
    let found = folder.entries(&[
        "--package=1",
        "--tree=one",
        "--to=opt/one",
        "--package=2",
        "--tree=two",
        "--to=app/two",
        "--file=c",
        "--to=etc/c",
    ]);
    let expected = [
        ("app/two/a.so", "l ../../opt/one/lib/a.so"),
        ("app/two/b.py", "f"),
        ("app/two/c", "l ../../etc/c"),
        ("app/two/libs", "l ../../opt/one/lib"),
        ("app/two/out.so", "l ../../opt/one/lib/a.so"),
        ("etc/c", "f"),
        ("opt/one/lib/a.so", "f"),
    ];
    assert_eq!(listing(&found), expected);
}

#[test]
fn what_another_layer_delivers_is_left_out_and_linked_to() {
    let folder =
        Folder::new().with(&[("wheel/a.so", "so"), ("t/sub/x", ""), ("t/y", ""), ("f", "")]);
    folder.link("t/a.so", folder.path().join("wheel/a.so"));
    folder.link("t/whole", folder.path().join("wheel"));
    folder.link("venv", folder.path().join("wheel/a.so"));
    // A wheel that is no input of this action is known by its name alone.
    folder.link("t/absent.so", "/x/execroot/ws/bazel-out/k8/bin/other/b.so");
    let found = folder.entries(&[
        "--tree=t",
        "--to=app",
        "--file=f",
        "--to=f",
        "--file=venv",
        "--to=app/venv",
        "--elsewhere=wheel",
        "--to=pkgs/wheel",
        "--elsewhere=t/sub",
        "--to=app/sub",
        "--elsewhere=f",
        "--to=g",
        "--elsewhere=bazel-out/k8/bin/other",
        "--to=pkgs/other",
    ]);
    let expected = [
        ("app/a.so", "l ../pkgs/wheel/a.so"),
        ("app/absent.so", "l ../pkgs/other/b.so"),
        ("app/venv", "l ../pkgs/wheel/a.so"),
        ("app/whole", "l ../pkgs/wheel"),
        ("app/y", "f"),
    ];
    assert_eq!(listing(&found), expected);
}

#[test]
fn a_link_that_only_stands_for_a_file_is_that_file() {
    let folder = Folder::new().with(&[("away/a.py", "content"), ("away/d/e.py", "e"), ("t/z", "")]);
    folder.link("t/a.py", folder.path().join("away/a.py"));
    folder.link("t/twice.py", folder.path().join("away/a.py"));
    folder.link("t/d", folder.path().join("away/d"));
    folder.link("f.py", "away/a.py");
    folder.link("root", "t");
    let found = folder.entries(&["--tree=root", "--to=app", "--file=f.py", "--to=f.py"]);
    let expected = [
        ("app/a.py", "f"),
        ("app/d/e.py", "f"),
        ("app/twice.py", "f"),
        ("app/z", "f"),
        ("f.py", "f"),
    ];
    assert_eq!(listing(&found), expected);
    let content: Vec<_> = found.iter().map(|entry| &*entry.content).collect();
    assert_eq!(content.concat(), b"contentecontentcontent");
}

#[test]
fn a_link_made_for_the_image_is_read_there() {
    let folder = Folder::new().with(&[("python", "")]);
    folder.link("venv-python", "../../interpreter/bin/python");
    let python = ["--file=python", "--to=app/interpreter/bin/python"];
    let venv = ["--file=venv-python", "--to=app/venv/bin/python"];
    let found = folder.entries(&[&python[..], &venv].concat());
    let link = ("app/venv/bin/python", "l ../../interpreter/bin/python");
    assert_eq!(listing(&found), [("app/interpreter/bin/python", "f"), link]);
    let elsewhere = ["--elsewhere=interpreter", "--to=app/interpreter"];
    assert_eq!(listing(&folder.entries(&[&venv[..], &elsewhere].concat())), [link]);

    // A directory is there when a file in it is.
    folder.link("site-packages", "../pypi/site-packages/numpy");
    let venv = ["--file=site-packages", "--to=app/venv/numpy"];
    let elsewhere = ["--elsewhere=numpy.py", "--to=app/pypi/site-packages/numpy/__init__.py"];
    let found = folder.entries(&[&venv[..], &elsewhere].concat());
    assert_eq!(listing(&found), [("app/venv/numpy", "l ../pypi/site-packages/numpy")]);
    let other = ["--elsewhere=numpy.py", "--to=app/pypi/site-packages/numpy-2/__init__.py"];
    let run = folder.run(&[&["layer", "--output=out"], &venv[..], &other].concat());
    assert_eq!(run.code, 1, "{}", run.stderr);
}

#[test]
fn a_tree_that_leads_back_to_itself_is_refused_by_name() {
    let folder = Folder::new().with(&[("t/z", ""), ("away/y", "")]);
    folder.link("t/away", folder.path().join("away"));
    folder.link("away/circle", folder.path().join("away"));
    let run = folder.run(&["layer", "--output=out", "--tree=t", "--to=app"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("away/circle"), "{}", run.stderr);
    assert_eq!(folder.names(), ["away", "t"], "no output");
}

#[test]
fn links_that_lead_nowhere_or_out_of_the_image_are_named() {
    for (link, text) in [
        ("dangling", "nowhere"),
        ("absolute", "/no/such/file"),
        ("circle", "circle"),
        ("escape", "../../../../../../../../../../etc/passwd"),
        ("outside", "../outside"),
        ("device", "/dev/null"),
    ] {
        let folder = Folder::new().with(&[("t/z", ""), ("outside", "")]);
        folder.link(&format!("t/{link}"), text);
        let run = folder.run(&["layer", "--output=out", "--tree=t", "--to=app"]);
        assert_eq!(run.code, 1, "{link}: {}", run.stderr);
        assert!(run.stderr.contains(&format!("t/{link}")), "{}", run.stderr);
        assert_eq!(folder.names(), ["outside", "t"], "no output");
    }
    for text in ["../x", "a/../../x", ""] {
        let run = Folder::new().run(&["layer", "--output=o", "--symlink", text, "--to=here"]);
        assert_eq!(run.code, 1, "{}", run.stderr);
        assert!(run.stderr.contains("here"), "{}", run.stderr);
    }
}

/// Mirrors a folder as Bazel's sandboxes do: real directories, absolute links to the files.
fn sandbox(real: &Path, mirror: &Path) {
    fs::create_dir_all(mirror).unwrap();
    for entry in fs::read_dir(real).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        // A link to a directory is expanded, a link to a file is linked to.
        if fs::metadata(&path).unwrap().is_dir() {
            sandbox(&path, &mirror.join(name));
        } else {
            symlink(&path, mirror.join(name)).unwrap();
        }
    }
}

#[test]
fn a_sandbox_gives_the_same_bytes() {
    let execroot = Folder::new().with(&[
        ("bazel-out/k8/bin/tree/lib/a.so.1", "so"),
        ("bazel-out/k8/bin/tree/lib/deep/er/x.py", "x"),
        ("bazel-out/k8/bin/tree/b.py", "b"),
        ("pkg/main.py", "main"),
        ("other/shared.py", "shared"),
    ]);
    let tree = "bazel-out/k8/bin/tree";
    execroot.link(&format!("{tree}/lib/a.so"), "a.so.1");
    execroot.link(&format!("{tree}/also"), "lib/deep");
    execroot.link("pkg/shared.py", "../other/shared.py");
    let mirror = Folder::new();
    sandbox(execroot.path(), &mirror.path().join("ws"));
    let inside = Folder::new();
    fs::rename(mirror.path().join("ws"), inside.path().join("ws")).unwrap();

    let arguments = [
        "layer",
        "--output=out",
        "--tree=bazel-out/k8/bin/tree",
        "--to=app/tree",
        "--file=pkg/main.py",
        "--to=app/main.py",
        "--file=pkg/shared.py",
        "--to=app/shared.py",
    ];
    let mut bytes = Vec::new();
    for directory in [execroot.path(), &inside.path().join("ws")] {
        let mut command = execroot.command(&arguments);
        let run = crate::support::Run::of(command.current_dir(directory));
        assert_eq!((run.code, &*run.stderr), (0, ""));
        bytes.push(fs::read(directory.join("out")).unwrap());
    }
    assert!(bytes[0] == bytes[1]);
    let archive = crate::support::decompress(&bytes[0]);
    let expected = [
        ("app/main.py", "f"),
        ("app/shared.py", "f"),
        ("app/tree/also", "l lib/deep"),
        ("app/tree/b.py", "f"),
        ("app/tree/lib/a.so", "l a.so.1"),
        ("app/tree/lib/a.so.1", "f"),
        ("app/tree/lib/deep/er/x.py", "f"),
    ];
    assert_eq!(listing(&crate::support::entries(&archive)), expected);
}

#[test]
fn a_file_s_link_is_followed_or_kept_where_that_is_asked_for() {
    let folder = Folder::new().with(&[("real", "bytes"), ("tree/x", "")]);
    folder.link("relative", "real");
    folder.link("chain", "relative");
    folder.link("away", "/no/such/python3");
    folder.link("dangling", "nothing");
    folder.link("directory", "tree");
    let real = ["--file=real", "--to=app/real"];
    let of = |flag: &str, source: &str| {
        let file = format!("--file={source}");
        folder.run(&[&["layer", "--output=o"], &real[..], &[&file, "--to=app/x", flag]].concat())
    };
    // The target is in the layer, and would make each a link.
    for source in ["relative", "chain"] {
        let file = format!("--file={source}");
        let found = folder.entries(&[&real[..], &[&file, "--to=app/x", "--links=follow"]].concat());
        assert_eq!(listing(&found), [("app/real", "f"), ("app/x", "f")], "{source}");
        assert_eq!(found[1].content, b"bytes");
    }
    for (source, text) in
        [("away", "l /no/such/python3"), ("dangling", "l nothing"), ("directory", "l tree")]
    {
        let file = format!("--file={source}");
        let found = folder.entries(&[&file, "--to=app/x", "--links=keep"]);
        assert_eq!(listing(&found), [("app/x", text)]);
    }
    for (flag, source, code, said) in [
        ("--links=follow", "dangling", 1, "leads nowhere"),
        ("--links=follow", "directory", 1, "not a file but a directory"),
        ("--links=keep", "tree/x", 1, "this is no link"),
        ("--links=both", "relative", 2, "neither follow nor keep"),
    ] {
        let run = of(flag, source);
        assert_eq!(run.code, code, "{flag} {source}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    let run = folder.run(&["layer", "--output=o", "--tree=tree", "--to=a", "--links=keep"]);
    assert_eq!(
        (run.code, run.stderr.contains("belongs to a `--file`")),
        (2, true),
        "{}",
        run.stderr
    );
}
