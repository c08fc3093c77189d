//! Layers are what people mean: what ships of a tree, which directories stand in a layer, and what
//! is told of what is probably a slip.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::{Folder, Run, listing};

/// The paths of a layer's entries, directories included.
fn paths(folder: &Folder, arguments: &[&str]) -> Vec<String> {
    let archive = folder.layer(&[&["--compression=none"], arguments].concat());
    crate::support::entries(&archive).into_iter().map(|entry| entry.path).collect()
}

#[test]
fn byte_code_ships_where_it_is_kept() {
    let folder = Folder::new().with(&[("t/a.py", ""), ("t/__pycache__/a.pyc", "")]);
    let tree = ["--tree=t", "--to=app"];
    assert_eq!(paths(&folder, &tree), ["app/", "app/a.py"]);
    let kept = [&["--package=p", "--bytecode=keep"], &tree[..]].concat();
    let expected = ["app/", "app/__pycache__/", "app/__pycache__/a.pyc", "app/a.py"];
    assert_eq!(paths(&folder, &kept), expected);
}

#[test]
fn the_wheel_that_a_tree_was_installed_from_does_not_ship_and_any_other_does() {
    let folder = Folder::new().with(&[
        ("t/p-1-py3-none-any.whl", ""),
        ("t/lib/python3.11/site-packages/seeds/pip.whl", ""),
        ("house/mine.whl", ""),
    ]);
    let found = paths(&folder, &["--tree=t", "--to=a", "--tree=house", "--to=b"]);
    let wheels: Vec<_> = found.iter().filter(|path| path.contains(".whl")).collect();
    assert_eq!(wheels, ["a/lib/python3.11/site-packages/seeds/pip.whl", "b/mine.whl"]);
}

#[test]
fn modes_are_kept_as_far_as_they_matter() {
    let folder = Folder::new().with(&[("t/tool", ""), ("t/data", ""), ("f", "")]);
    let mode = |path: &str, mode| {
        fs::set_permissions(folder.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("t/tool", 0o700);
    mode("t/data", 0o666);
    folder.link("t/link", "data");
    let found = folder.entries(&[
        "--tree=t",
        "--to=a",
        "--mode=keep",
        "--file=f",
        "--to=b",
        "--empty",
        "--to=c",
        "--mode=keep",
    ]);
    let modes: Vec<_> = found.iter().map(|entry| (&*entry.path, entry.mode)).collect();
    let expected = [
        ("a/", 0o755),
        ("a/data", 0o644),
        ("a/link", 0o755),
        ("a/tool", 0o755),
        ("b", 0o755),
        ("c", 0o644),
    ];
    assert_eq!(modes, expected);
}

#[test]
fn a_base_image_keeps_its_directories_and_links() {
    let folder = Folder::new().with(&[("f", "")]);
    let mut arguments = vec!["--owner=1000", "--group=1000"];
    let places = ["bin/x", "lib/python3/x", "var/run/x", "home/me/app/x", "etc/ssl/x", "opt/x"];
    for place in ["--to=bin/x", "--to=lib/python3/x", "--to=var/run/x"] {
        arguments.extend(["--file=f", place]);
    }
    for place in ["--to=home/me/app/x", "--to=etc/ssl/x", "--to=opt/x"] {
        arguments.extend(["--file=f", place]);
    }
    let archive = folder.layer(&[&["--compression=none"], &arguments[..]].concat());
    let entries = crate::support::entries(&archive);
    let directories: Vec<_> = entries
        .iter()
        .filter(|entry| entry.kind == "d")
        .map(|entry| (&*entry.path, entry.owner.0))
        .collect();
    let expected = [
        ("etc/", 0),
        ("etc/ssl/", 0),
        ("home/", 0),
        ("home/me/", 1000),
        ("home/me/app/", 1000),
        ("lib/python3/", 0),
        ("opt/", 0),
        ("var/", 0),
    ];
    assert_eq!(directories, expected);
    assert_eq!(entries.len(), expected.len() + places.len());

    arguments.push("--base-directory=/home/me");
    let found = paths(&folder, &arguments);
    assert!(!found.contains(&"home/".to_owned()) && !found.contains(&"home/me/".to_owned()));
    assert!(found.contains(&"home/me/app/".to_owned()));
}

#[test]
fn an_empty_directory_stands_where_it_is_asked_for() {
    let folder = Folder::new().with(&[("f", "")]);
    let asked = ["--directory", "--to=srv/app/logs", "--mode=0700", "--file=f", "--to=srv/app/f"];
    let archive = folder.layer(&[&["--compression=none"], &asked[..]].concat());
    let entries = crate::support::entries(&archive);
    let seen: Vec<_> = entries.iter().map(|entry| (&*entry.path, entry.mode)).collect();
    let expected =
        [("srv/", 0o755), ("srv/app/", 0o755), ("srv/app/logs/", 0o700), ("srv/app/f", 0o755)];
    assert_eq!(seen, expected);
    let clash = [&["layer", "--output=o", "--file=f", "--to=srv/app/logs"], &asked[..3]].concat();
    assert_eq!(folder.run(&clash).code, 1);
}

#[test]
fn what_is_made_is_no_part_of_itself() {
    let folder = Folder::new().with(&[("app/main.py", "main")]);
    let build = || {
        let arguments =
            ["layer", "--output=./l.tar", "--metadata=l.json", "--compression=none", "--tree=."];
        let mut command = folder.command(&[&arguments[..], &["--to=/app"]].concat());
        let run = Run::of(command.current_dir(folder.path().join("app")));
        assert_eq!((run.code, &*run.stderr), (0, ""));
        folder.read("app/l.tar")
    };
    assert!(build() == build());
    let run = folder.run(&["layer", "--output=app/main.py", "--file=app/main.py", "--to=x"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_eq!(folder.read("app/main.py"), b"main");
}

#[test]
fn only_a_regular_file_gives_way_to_an_output() {
    let folder = Folder::new().with(&[("f", ""), ("d/x", ""), ("real", "kept")]);
    folder.link("link", "real");
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for target in ["link", "fifo", "d"] {
        for flag in ["--output", "--metadata"] {
            let other = if flag == "--output" { "--metadata=m" } else { "--output=o" };
            let target = format!("{flag}={target}");
            let run = folder.run(&["layer", &target, other, "--file=f", "--to=f"]);
            assert_eq!(run.code, 1, "{target}: {}", run.stderr);
            assert_eq!(folder.names(), ["d", "f", "fifo", "link", "real"], "{target}");
        }
    }
    assert_eq!(folder.read("real"), b"kept");
    symlink("d", folder.path().join("e")).unwrap();
    let same = ["layer", "--output=d/o", "--metadata=e/o", "--file=f", "--to=f"];
    assert_eq!(folder.run(&same).code, 2, "one file by two names");
}

#[test]
fn a_namesake_is_another_file() {
    let folder = Folder::new().with(&[("ws/app/main.py", "own"), ("other/app/main.py", "other")]);
    folder.link("ws/tree/link.py", folder.path().join("other/app/main.py"));
    let in_ws = |arguments: &[&str]| {
        let mut command = folder.command(&[&["layer", "--compression=none"], arguments].concat());
        let run = Run::of(command.current_dir(folder.path().join("ws")));
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stderr.contains("absolute link") && run.stderr.contains("link.py"));
        folder.read("ws/o")
    };
    let relative = in_ws(&["--output=o", "--tree=app", "--to=a", "--tree=tree", "--to=b"]);
    let [app, tree] =
        ["app", "tree"].map(|name| format!("--tree={}/ws/{name}", folder.path().display()));
    let absolute = in_ws(&["--output=o", &app, "--to=a", &tree, "--to=b"]);
    assert!(relative == absolute, "one layer, however its sources are spelled");
    let found = crate::support::entries(&relative);
    assert_eq!(found.iter().find(|entry| entry.path == "b/link.py").unwrap().content, b"other");
}

#[test]
fn a_chain_of_links_is_followed_to_what_is_elsewhere_or_missing() {
    let folder = Folder::new().with(&[("v/a.py", "")]);
    folder.link("v/bin/python", "/no/such/bin/python9.9");
    folder.link("v/bin/python3", "python");
    let tree = ["--tree=v", "--to=app"];
    let elsewhere = ["--elsewhere=/no/such/bin/python9.9", "--to=usr/bin/python9.9"];
    let found = folder.entries(&[&tree[..], &elsewhere].concat());
    let expected = [
        ("app/a.py", "f"),
        ("app/bin/python", "l ../../usr/bin/python9.9"),
        ("app/bin/python3", "l python"),
    ];
    assert_eq!(listing(&found), expected);
    let run = folder.run(&[&["layer", "--output=o"], &tree[..]].concat());
    assert_eq!(run.code, 1);
    for part in ["v/bin/python", "/no/such/bin/python9.9", "--exclude", "--elsewhere"] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
}

#[test]
fn slips_are_told() {
    let folder = Folder::new().with(&[("t/a.py", ""), ("f", ""), ("no.whl", "zip?")]);
    for (arguments, told) in [
        (&["--package=p", "--exclude=*.pyi", "--tree=t", "--to=app"][..], "--exclude=*.pyi"),
        (&["--elsewhere=gone", "--to=x", "--file=f", "--to=f"], "`gone`"),
        (&["--package=p", "--wheel=no.whl", "--tree=t", "--to=app"], "`no.whl`: it is not a ZIP"),
        (&[], "no entries"),
        (&["--compression=zstd", "--file=f", "--to=f", "--output=o.tar.gz"], "o.tar.gz"),
    ] {
        let output: &[&str] =
            if arguments.iter().any(|a| a.starts_with("--output")) { &[] } else { &["--output=o"] };
        let run = folder.run(&[&["layer"], output, arguments].concat());
        assert_eq!((run.code, &*run.stdout), (0, ""), "{}", run.stderr);
        assert!(run.stderr.starts_with("pylayer: warning: "), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(told), "{arguments:?}: {}", run.stderr);
    }
    let run = folder.run(&["layer", "--output=o", "--file=f", "--to=app/"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("--to=app/f"), "{}", run.stderr);
}

#[test]
fn a_layer_goes_to_standard_output_where_that_is_asked_for() {
    let folder = Folder::new().with(&[("f", "content")]);
    let file = ["--file=f", "--to=f"];
    let expected = folder.layer(&file);
    let run =
        folder.command(&[&["layer", "--output=-", "--metadata=m"], &file[..]].concat()).output();
    let run = run.unwrap();
    assert!(run.status.success());
    assert!(run.stdout == expected);
    assert_eq!(folder.names(), ["f", "m", "out"]);
    let mut worker = crate::support::worker::Worker::start(folder.path(), &[]);
    worker.request(1, &[&["layer", "--output=-"], &file[..]].concat());
    assert_eq!(worker.response().exit_code, 2);
    assert!(worker.end().success());
}

#[test]
fn a_command_takes_startup_flags() {
    let folder = Folder::new().with(&[("f", "content")]);
    let layer = ["layer", "--cache-dir=c", "--jobs", "1", "--output=o", "--file=f", "--to=f"];
    assert_eq!(folder.run(&layer).code, 0);
    let stat = folder.run(&["cache", "stat", "--json", "--cache-dir=c"]);
    assert!(stat.stdout.contains("\"segments\":1"), "{}{}", stat.stdout, stat.stderr);
}
