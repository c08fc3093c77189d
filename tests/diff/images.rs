//! Images that differ in one thing.

use super::{causes, differ_as};
use crate::image::{ALL, image, layers};

#[test]
fn configs_that_differ_in_one_thing() {
    let folder = layers();
    let common = ["--env=A=1", "--label=k=v", "--cmd=x"];
    image(&folder, "one", &[&ALL[..], &common].concat());
    for (flag, cause, shown) in [
        ("--env=A=2", "env", "env A: 1 -> 2"),
        ("--env=B=", "env", "env B: (none) -> \"\""),
        ("--label=k=w", "label", "label k: v -> w"),
        ("--user=1000", "user", "user: (none) -> 1000"),
        ("--workdir=/app", "workdir", "workdir: (none) -> /app"),
        ("--exposed-port=80", "port", "port 80/tcp"),
        ("--volume=/v", "volume", "volume /v"),
        ("--stop-signal=SIGINT", "stop-signal", "SIGINT"),
        ("--platform=linux/arm64", "platform", "linux/amd64 -> linux/arm64"),
    ] {
        image(&folder, "two", &[&ALL[..], &common, &[flag]].concat());
        let (told, text) = differ_as(&folder, ["one", "two"]);
        assert!(causes(&told) == [cause] || cause == "platform", "{flag}: {text}");
        assert!(text.contains(shown), "{flag}: {text}");
        assert_eq!(told["image"]["layers"].as_array().unwrap().len(), 0);
    }
    image(&folder, "two", &[&ALL[..], &common[..2], &["--entrypoint=/x", "--cmd=x"]].concat());
    assert_eq!(causes(&differ_as(&folder, ["one", "two"]).0), ["entrypoint"]);
    image(&folder, "two", &[&ALL[..], &common].concat());
    let run = folder.run(&["diff", "one", "two"]);
    assert_eq!((run.code, &*run.stdout), (0, "one and two are the same\n"));
}

#[test]
fn another_base() {
    let folder = layers();
    image(&folder, "base1", &["--layer=a"]);
    image(&folder, "base2", &["--layer=b"]);
    image(&folder, "one", &["--base=base1", "--layer=plain"]);
    image(&folder, "two", &["--base=base2", "--layer=plain"]);
    let (told, text) = differ_as(&folder, ["one", "two"]);
    assert!(causes(&told).contains(&"base"), "{text}");
    let layers = told["image"]["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1, "the other one is the same: {text}");
    assert!(text.contains("- app/a.py") && text.contains("+ app/b.py"), "{text}");
}

#[test]
fn layers_that_differ_are_looked_into() {
    let folder = layers();
    image(&folder, "one", &["--layer=a", "--layer=plain"]);
    folder.file("t/c.py", b"changed");
    let run = folder.run(&[
        "layer",
        "--output=plain",
        "--file=t/c.py",
        "--to=app/plain.py",
        "--compression=none",
    ]);
    assert_eq!(run.code, 0);
    image(&folder, "two", &["--layer=a", "--layer=plain", "--layer=b"]);
    let (told, text) = differ_as(&folder, ["one", "two"]);
    assert_eq!(causes(&told), ["content", "history", "layer-added"], "{text}");
    let layers = told["image"]["layers"].as_array().unwrap();
    assert!(
        layers
            .iter()
            .any(|layer| layer["difference"]["entries"]["changed"][0]["path"] == "app/plain.py")
    );
    assert!(text.contains("layer 2 is new"), "{text}");

    image(&folder, "one", &["--layer=a", "--layer=b"]);
    image(&folder, "two", &["--layer=b", "--layer=a"]);
    let (told, text) = differ_as(&folder, ["one", "two"]);
    assert!(causes(&told).contains(&"layer-order"), "{text}");
}
