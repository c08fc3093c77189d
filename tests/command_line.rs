//! The command line: what the help says is what is read, completed, and in the manual.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::support::{Folder, PYLAYER};

const COMMANDS: [&[&str]; 15] = [
    &[],
    &["layer"],
    &["image"],
    &["load"],
    &["inspect"],
    &["diff"],
    &["check"],
    &["cache"],
    &["cache", "stat"],
    &["cache", "verify"],
    &["cache", "gc"],
    &["cache", "clear"],
    &["completions"],
    &["man"],
    &["help"],
];

fn printed(folder: &Folder, arguments: &[&[&str]]) -> String {
    let run = folder.run(&arguments.concat());
    assert_eq!((run.code, &*run.stderr), (0, ""), "{arguments:?}");
    run.stdout
}

/// The flags that a help's lines begin with.
fn flags(help: &str) -> BTreeSet<String> {
    let names = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("-h, ").or(line.strip_prefix("-V, ")).unwrap_or(line);
        let name =
            line.strip_prefix("--")?.split(|c: char| !c.is_alphanumeric() && !"-_".contains(c));
        Some(format!("--{}", name.into_iter().next()?))
    });
    names.collect()
}

#[test]
fn every_way_of_asking_for_help_gives_the_same() {
    let folder = Folder::new();
    for words in COMMANDS {
        let help = printed(&folder, &[words, &["--help"]]);
        let usage = [&["Usage: pylayer"], words].concat().join(" ");
        assert!(help.contains(&usage), "{help}");
        assert_eq!(help, printed(&folder, &[words, &["-h"]]));
        assert_eq!(help, printed(&folder, &[&["help"], words]));
        assert_eq!(help, printed(&folder, &[&["--jobs=1"], words, &["--help"]]));
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
    let all = printed(&folder, &[&["--help"]]);
    for words in COMMANDS.into_iter().filter(|words| words.len() == 1) {
        assert!(all.contains(&format!("\n  {} ", words[0])), "{words:?}: {all}");
    }
}

#[test]
fn the_manual_and_the_completions_have_what_the_help_has() {
    let folder = Folder::new();
    let scripts = ["bash", "zsh", "fish"].map(|shell| {
        let script = printed(&folder, &[&["completions", shell]]);
        (shell, script)
    });
    for words in COMMANDS {
        let flags = flags(&printed(&folder, &[words, &["--help"]]));
        assert!(flags.contains("--help"), "{words:?}: {flags:?}");
        let manual = printed(&folder, &[&["man"], words]).replace('\\', "");
        for flag in flags {
            assert!(manual.contains(&flag), "{flag}: {manual}");
            for (shell, script) in &scripts {
                let name =
                    if *shell == "fish" { format!("-l {}", &flag[2..]) } else { flag.clone() };
                assert!(script.contains(&name), "{shell}: {flag}");
            }
        }
    }
}

#[test]
fn a_shell_completes_commands_flags_and_startup_flags() {
    let folder = Folder::new();
    let script = printed(&folder, &[&["completions", "bash"]]);
    folder.file("script", script.as_bytes());
    for (line, last, offered) in [
        ("pylayer la", "la", "layer"),
        ("pylayer --ca", "--ca", "--cache-dir --cache-size"),
        ("pylayer layer --m", "--m", "--metadata --mtime --mode"),
        ("pylayer layer --ca", "--ca", "--cache-dir --cache-size"),
        ("pylayer check --max", "--max", "--max-layers"),
        ("pylayer cache st", "st", "stat"),
        ("pylayer cache stat --js", "--js", "--json"),
        ("pylayer completions z", "z", "zsh"),
    ] {
        let words = line.split(' ').collect::<Vec<_>>();
        let before = words[words.len() - 2];
        let complete = format!(
            "source ./script; COMP_WORDS=({line}); COMP_CWORD={}; _pylayer pylayer '{last}' \
             '{before}'; echo \"${{COMPREPLY[@]}}\"",
            words.len() - 1
        );
        let run = Command::new("bash").args(["-c", &complete]).current_dir(folder.path()).output();
        let run = run.unwrap();
        let said = String::from_utf8(run.stdout).unwrap();
        assert_eq!(said.trim_end(), offered, "{line}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn startup_flags_follow_any_command_in_both_forms() {
    let folder = Folder::new().with(&[("f", "")]);
    for (arguments, code) in [
        (&["layer", "--output=o", "--file=f", "--to=f", "--jobs", "1", "--log=off"][..], 0),
        (&["--jobs=1", "layer", "--jobs", "2", "--output=o", "--file=f", "--to=f"], 0),
        (&["check", "--output=o", "--layers=1", "--jobs", "1"], 0),
        (&["cache", "stat", "--cache-dir", "missing"], 1),
        (&["cache", "--cache-dir=missing", "stat", "--json"], 1),
        (&["--cache-dir", "missing", "cache", "gc", "--cache-size=2MiB"], 1),
        (&["layer", "--output=o", "--file=f", "--to=f", "--jobs=0"], 2),
        (&["check", "--output=o", "--layers=1", "--jobs=0"], 2),
        (&["cache", "stat", "--jobs=0"], 2),
        (&["cache", "gc", "--cache-size", "1kb"], 2),
    ] {
        let run = folder.run(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        let named = match code {
            1 => "missing",
            2 => "--",
            _ => "",
        };
        assert!(run.stderr.contains(named), "{}", run.stderr);
    }
}

#[test]
fn slips_in_any_command_are_usage_errors_with_what_may_be_meant() {
    let folder = Folder::new();
    for (arguments, said) in [
        (&["chekc"][..], "`check`"),
        (&["--cache-dri=x", "layer"], "`--cache-dir`"),
        (&["layer", "--output=o", "--compresion=none"], "`--compression`"),
        (&["layer", "--output=o", "--job=1"], "`--jobs`"),
        (&["check", "--output=o", "--layer=1"], "`--layers`"),
        (&["check", "--output=o"], "`--layers` is missing"),
        (&["check", "--tree=t"], "`--tree=t` is in no package"),
        (&["cache"], "stat"),
        (&["cache", "stta"], "`stat`"),
        (&["cache", "stat", "--jsn"], "`--json`"),
        (&["cache", "gc", "--json"], "--json"),
        (&["completions", "fsh"], "fish"),
        (&["man", "layr"], "`layer`"),
        (&["help", "cache", "gcc"], "`gc`"),
        (&["--log=loud", "layer"], "debug"),
        (&["--cache-dir"], "--cache-dir"),
        (&["--persistent_worker", "layer"], "layer"),
    ] {
        let run = folder.run(arguments);
        assert_eq!((run.code, &*run.stdout), (2, ""), "{arguments:?}");
        assert!(run.stderr.starts_with("pylayer: "), "{}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains("hint: "), "{}", run.stderr);
    }
}

#[test]
fn values_and_params_files_have_names_of_any_bytes() {
    let folder = Folder::new();
    let name = OsStr::from_bytes(b"\xff");
    let lines: &[u8] = b"layer\n--output\n\xfe\n--file\n\xff\n--to=a\n--cache-dir=\xfd\n";
    std::fs::write(folder.path().join(name), lines).unwrap();
    let mut params = OsStr::new("@").to_owned();
    params.push(name);
    let run = |arguments: &[&OsStr]| {
        Command::new(PYLAYER).args(arguments).current_dir(folder.path()).output().unwrap()
    };
    let done = run(&[OsStr::new("--jobs"), OsStr::new("1"), &params]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for made in [b"\xfe", b"\xfd"] {
        assert!(folder.path().join(OsStr::from_bytes(made)).exists());
    }
    let unknown = run(&[name]);
    assert_eq!(unknown.status.code(), Some(2));
}
