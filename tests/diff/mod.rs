//! `pylayer diff` names the cause, in layers and images that differ in one thing.

mod images;

use std::fs;
use std::process::Command;

use flate2::{Compression, GzBuilder};
use serde_json::Value;

use crate::support::{Folder, Run, decompress};

/// Compares `a` and `b`, which must differ; gives what is told, for programs and for people.
fn differ(folder: &Folder) -> (Value, String) {
    differ_as(folder, ["a", "b"])
}

/// The same, by other names.
fn differ_as(folder: &Folder, [a, b]: [&str; 2]) -> (Value, String) {
    let json = folder.run(&["diff", a, b, "--json"]);
    assert_eq!((json.code, &*json.stderr), (1, ""), "{}", json.stdout);
    let text = folder.run(&["diff", a, b]);
    assert_eq!((text.code, &*text.stderr), (1, ""), "{}", text.stdout);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["same"], false);
    (json, text.stdout)
}

fn causes(told: &Value) -> Vec<&str> {
    told["causes"].as_array().unwrap().iter().map(|cause| cause.as_str().unwrap()).collect()
}

/// Makes `a` and `b` of the same tree by a command each; the command after `change` sees a changed
/// tree.
fn layers(a: &str, change: &str, b: &str) -> Folder {
    let folder = Folder::new().with(&[
        ("t/pkg/__init__.py", "one\n"),
        ("t/pkg/x.py", "import y\n"),
        ("t/pkg/y.py", "import x\n"),
    ]);
    folder.link("t/pkg/link.py", "x.py");
    for line in [a, change, b] {
        let run = Run::of(
            Command::new("sh")
                .args(["-ec", line])
                .env("PYLAYER", crate::support::PYLAYER)
                .current_dir(folder.path()),
        );
        assert_eq!(run.code, 0, "{line}: {}", run.stderr);
    }
    folder
}

const OURS_A: &str = "$PYLAYER layer --output=a --tree=t --to=app";
const OURS_B: &str = "$PYLAYER layer --output=b --tree=t --to=app";

#[test]
fn a_changed_file() {
    let folder = layers(OURS_A, "echo two > t/pkg/__init__.py", OURS_B);
    let (told, text) = differ(&folder);
    assert_eq!(causes(&told), ["content"]);
    let changed = &told["layer"]["entries"]["changed"];
    assert_eq!(changed[0]["path"], "app/pkg/__init__.py");
    assert_eq!(changed[0]["changes"][0]["what"], "content");
    assert_eq!(changed.as_array().unwrap().len(), 1);
    let first = &told["layer"]["firstArchiveByte"];
    assert_eq!(first["a"]["what"], "byte 0 of the content of app/pkg/__init__.py");
    assert_eq!(first["a"]["value"].as_str().unwrap()[..8], *"6f6e650a");
    let archive = decompress(&folder.read("a"));
    let offset = usize::try_from(first["offset"].as_u64().unwrap()).unwrap();
    assert_eq!(&archive[offset..offset + 4], b"one\n");
    assert!(text.contains("* app/pkg/__init__.py"), "{text}");
}

#[test]
fn a_lost_file_and_one_too_many() {
    let folder = layers(OURS_A, "rm t/pkg/y.py", OURS_B);
    let (told, text) = differ(&folder);
    assert_eq!(causes(&told), ["removed"]);
    assert_eq!(told["layer"]["entries"]["removed"][0], "app/pkg/y.py");
    assert!(text.contains("- app/pkg/y.py"), "{text}");
    let (a, b) = (folder.read("a"), folder.read("b"));
    folder.file("a", &b);
    folder.file("b", &a);
    let (told, text) = differ(&folder);
    assert_eq!(causes(&told), ["added"]);
    assert!(text.contains("+ app/pkg/y.py"), "{text}");
}

#[test]
fn a_links_text() {
    let folder = layers(OURS_A, "ln -sf y.py t/pkg/link.py", OURS_B);
    let (told, text) = differ(&folder);
    assert_eq!(causes(&told), ["link"]);
    assert!(text.contains("link: x.py -> y.py"), "{text}");
    let first = &told["layer"]["firstArchiveByte"]["a"]["what"];
    assert_eq!(first, "the header's link of app/pkg/link.py");
}

#[test]
fn attributes() {
    for (flag, cause, shown) in [
        ("--owner=1000", "owner", "owner: 0:0 -> 1000:0"),
        ("--mtime=7", "time", "time: 1672560000 -> 7"),
        ("--mode=0644", "mode", "mode: 0755 -> 0644"),
    ] {
        let folder = layers(OURS_A, "true", &format!("{OURS_B} {flag}"));
        let (told, text) = differ(&folder);
        assert_eq!(causes(&told), [cause], "{text}");
        assert!(text.contains(shown), "{text}");
    }
}

#[test]
fn the_order_of_entries() {
    let tar = "tar --format=ustar --owner=0 --group=0 --mtime=@0 --no-recursion -C t/pkg -cf";
    let folder = layers(&format!("{tar} a x.py y.py"), "true", &format!("{tar} b y.py x.py"));
    let (told, text) = differ(&folder);
    assert_eq!(causes(&told), ["order"]);
    let order = &told["layer"]["entries"]["order"];
    assert_eq!((&order["a"], &order["b"]), (&"x.py".into(), &"y.py".into()));
    assert!(text.contains("order: entry 1"), "{text}");
}

#[test]
fn pax_records() {
    let write = |name: &str, records: &str| {
        format!(
            "python3 -c 'import tarfile
tar = tarfile.open(\"{name}\", \"w\", format=tarfile.PAX_FORMAT)
tar.addfile(tarfile.TarInfo(\"x.py\"))
info = tarfile.TarInfo(\"y.py\")
info.pax_headers = {{{records}}}
tar.addfile(info)
tar.close()'"
        )
    };
    let folder = layers(&write("a", ""), "true", &write("b", "\"comment\": \"made\""));
    let (told, text) = differ(&folder);
    assert_eq!(causes(&told), ["pax"]);
    assert!(text.contains("pax: (none) -> comment=made"), "{text}");
    assert!(text.contains("a PAX or GNU extension header of y.py"), "{text}");

    // A record that says what the header does.
    let folder = layers(&write("a", ""), "true", &write("b", "\"path\": \"y.py\""));
    assert_eq!(causes(&differ(&folder).0), ["pax"]);
}

#[test]
fn the_clock_in_a_gzip_header() {
    let folder = layers(OURS_A, "true", "true");
    let archive = decompress(&folder.read("a"));
    let gzip = |name: &str, builder: GzBuilder, level: u32| {
        let mut encoder = builder.read(&archive[..], Compression::new(level));
        let mut blob = Vec::new();
        std::io::copy(&mut encoder, &mut blob).unwrap();
        folder.file(name, &blob);
    };
    gzip("a", GzBuilder::new().mtime(0), 6);
    gzip("b", GzBuilder::new().mtime(1_700_000_001), 6);
    let (told, text) = differ(&folder);
    assert_eq!(causes(&told), ["gzip-time"]);
    let first = &told["layer"]["firstByte"];
    assert_eq!(first["offset"], 4);
    assert_eq!(first["b"]["what"], "gzip member 1, header: mtime");
    assert!(text.contains("header: mtime: 0 -> 1700000001"), "{text}");
    assert!(text.contains("the archives are the same"), "{text}");

    gzip("b", GzBuilder::new().mtime(0).filename("layer.tar"), 6);
    assert!(differ(&folder).1.contains("header: flags: 0 -> 8"));
    gzip("b", GzBuilder::new().mtime(0), 1);
    assert_eq!(causes(&differ(&folder).0), ["level"]);
}

#[test]
fn levels_members_and_codecs() {
    for (flag, cause, shown) in [
        ("--compression=gzip:9", "level", "the level): 0 -> 2"),
        ("--compression=gzip:5", "compression", "deflate data"),
        ("--compression=none", "codec", "codec: gzip -> none"),
        ("--compression=zstd:3", "codec", "codec: gzip -> zstd"),
    ] {
        let text: Vec<String> = (0..9000).map(|n: u32| (n * n % 977).to_string()).collect();
        let folder = layers("true", "true", "true");
        folder.file("t/pkg/long.txt", text.join(" ").as_bytes());
        assert_eq!(folder.run(&["layer", "--output=a", "--tree=t", "--to=app"]).code, 0);
        assert_eq!(folder.run(&["layer", "--output=b", "--tree=t", "--to=app", flag]).code, 0);
        let (told, text) = differ(&folder);
        assert_eq!(causes(&told), [cause], "{text}");
        assert!(text.contains(shown) && text.contains("the archives are the same"), "{text}");
    }
    let folder = layers(OURS_A, "true", "gzip -dc a | gzip -n > b");
    let (told, _) = differ(&folder);
    assert_eq!(causes(&told), ["members"]);
}

#[test]
fn what_is_the_same_and_what_cannot_be_compared() {
    let folder = layers(OURS_A, "mkdir layout", OURS_B);
    let run = folder.run(&["diff", "a", "b"]);
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (0, "a and b are the same\n", ""));
    let run = folder.run(&["diff", "a", "b", "--json"]);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &told["same"], causes(&told).len()), (0, &true.into(), 0));
    fs::write(folder.path().join("text"), "text").unwrap();
    for (arguments, code, said) in [
        (&["a", "missing"][..], 1, "missing"),
        (&["a", "text"], 1, "not a layer"),
        (&["a", "layout"], 1, "two layouts"),
        (&["a"], 2, "`B` is missing"),
        (&["a", "b", "--jsno"], 2, "--json"),
    ] {
        let run = folder.run(&[&["diff"], arguments].concat());
        assert_eq!((run.code, &*run.stdout), (code, ""), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{arguments:?}: {}", run.stderr);
    }
}
