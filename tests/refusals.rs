//! Bad input: an error that names it, the right exit code, and no file left behind.

use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::support::Folder;

#[test]
fn bad_input_is_named_and_leaves_no_output() {
    for (arguments, code, named) in [
        (&["--file=f", "--to=a/../b"][..], 1, "a/../b"),
        (&["--file=f", "--to=a/.wh.b"], 1, "a/.wh.b"),
        (&["--empty", "--to=.wh..wh..opq/x"], 1, ".wh..wh..opq"),
        (&["--tree=whiteout", "--to=a"], 1, "a/.wh.gone"),
        (&["--tree=hidden", "--to=a"], 1, "a/.wh.d"),
        (&["--file=f", "--to=s", "--mode=4755"], 1, "`s`"),
        (&["--file=f", "--to=s", "--mode=1777"], 1, "1777"),
        (&["--tree=special", "--to=a"], 1, "special/fifo"),
        (&["--file=special/fifo", "--to=a"], 1, "special/fifo"),
        (&["--file=socket", "--to=a"], 1, "socket"),
        (&["--file=/dev/null", "--to=a"], 1, "/dev/null"),
        (&["--file=missing", "--to=a"], 1, "missing"),
        (&["--tree=missing", "--to=a"], 1, "missing"),
        (&["--tree=f", "--to=a"], 1, "`f`"),
        (&["--file=t", "--to=a"], 1, "`t`"),
        (&["--file=f", "--to=/"], 1, "root"),
        (&["--file=f", "--to=x", "--file=g", "--to=x"], 1, "`x`"),
        (&["--file=f", "--to=x", "--empty", "--to=x"], 1, "`f`"),
        (&["--file=f", "--to=x", "--file=f", "--to=x", "--mode=0644"], 1, "`x`"),
        (&["--symlink=f", "--to=x", "--symlink=g", "--to=x"], 1, "`x`"),
        (&["--file=f", "--to=x", "--file=g", "--to=x/y"], 1, "`x`"),
        (&["--symlink=/", "--to=x", "--file=g", "--to=x/y"], 1, "`x`"),
        (&["--file=f"], 2, "--file=f"),
        (&["--to=x"], 2, "--to=x"),
        (&["--file=f", "--to=x", "--to=y"], 2, "--to"),
        (&["--mode=0644"], 2, "--mode=0644"),
        (&["--file=f", "--to=x", "--mode=8"], 2, "--mode=8"),
        (&["--file=f", "--to=x", "--mode=+644"], 2, "--mode=+644"),
        (&["--compression=xz"], 2, "xz"),
        (&["--compression=gzip:10"], 2, "gzip:10"),
        (&["--owner=root"], 2, "--owner=root"),
        (&["--owner=4294967296"], 2, "4294967296"),
        (&["--mtime=-1"], 2, "--mtime=-1"),
        (&["--include=[a"], 2, "[a"),
        (&["--frobnicate"], 2, "--frobnicate"),
        (&["stray"], 2, "stray"),
        (&["--output=again"], 2, "--output"),
        (&["--metadata=out"], 2, "--metadata"),
    ] {
        let folder = Folder::new().with(&[
            ("f", "1"),
            ("g", "2"),
            ("t/x", ""),
            ("whiteout/.wh.gone", ""),
            ("hidden/.wh.d/x", ""),
            ("special/a", ""),
        ]);
        let fifo = folder.path().join("special/fifo");
        assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
        let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        let before = folder.names();
        let run = folder.run(&[&["layer", "--output=out"], arguments].concat());
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.starts_with("pylayer: "), "{}", run.stderr);
        assert!(run.stderr.contains(named), "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "");
        assert_eq!(folder.names(), before, "{arguments:?}");
    }
}

#[test]
fn the_command_line_has_to_make_sense() {
    let folder = Folder::new().with(&[("empty", ""), ("no-command", "--output=x\n")]);
    for (arguments, named) in [
        (&[][..], "command"),
        (&["frobnicate"], "frobnicate"),
        (&["@empty"], "command"),
        (&["@no-command"], "--output=x"),
        (&["layer"], "--output"),
    ] {
        let run = folder.run(arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(named), "{}", run.stderr);
    }
    let run = folder.run(&["@missing"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("missing"), "{}", run.stderr);
}

#[test]
fn help_and_version_go_to_standard_output() {
    let folder = Folder::new();
    for (arguments, said) in [
        (&["--help"][..], "Usage: pylayer"),
        (&["--version"], "pylayer 0."),
        (&["layer", "--help"], "--elsewhere=SRC"),
    ] {
        let run = folder.run(arguments);
        assert_eq!((run.code, &*run.stderr), (0, ""));
        assert!(run.stdout.contains(said), "{}", run.stdout);
    }
}
