//! Real readers of layers all see the same tree: GNU tar, bsdtar, Python, skopeo, umoci.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Folder, Run, sha256sum, tree};

/// A package with all that is hard to archive.
fn package() -> Folder {
    let long = "long/".repeat(60);
    let folder = Folder::new();
    folder.file("t/plain.py", b"plain");
    folder.file("t/empty.py", b"");
    folder.file(&format!("t/{long}deep.py"), b"deep");
    folder.file(&format!("t/{}.py", "n".repeat(200)), b"long name");
    folder.file("t/ü ñ 日本.py", "日本".as_bytes());
    folder.file("t/back\\slash \"quoted\" $(x) =.py", b"odd");
    folder.file("t/big.so", &vec![7; 5_000_000]);
    folder.link("t/link.so", "big.so");
    folder.link("t/long-link", format!("./{}deep.py", "long/".repeat(60)));
    folder
}

fn succeed(command: &mut Command) -> Run {
    let run = Run::of(command);
    assert_eq!(run.code, 0, "{command:?}: {}", run.stderr);
    run
}

/// Unpacks a blob with a command line that has `BLOB` and `INTO` in it.
fn unpack(folder: &Folder, name: &str, line: &str) -> PathBuf {
    let into = folder.path().join(name);
    fs::create_dir(&into).unwrap();
    let line = line.replace("INTO", name);
    succeed(Command::new("sh").args(["-ec", &line]).current_dir(folder.path()));
    into
}

/// An OCI image layout of one layer, by hand.
fn layout(folder: &Folder, name: &str, metadata: &str) {
    let blobs = folder.path().join(name).join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = sha256sum(bytes);
        fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes).unwrap();
        format!("\"digest\":\"{digest}\",\"size\":{}", bytes.len())
    };
    let field = |key: &str| {
        let (_, rest) = metadata.split_once(&format!("\"{key}\":\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let layer = put(&folder.read("out"));
    let config = put(format!(
        "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{}\"]}}}}",
        field("diff_id")
    )
    .as_bytes());
    let manifest = put(format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
         \"config\":{{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",{config}}},\
         \"layers\":[{{\"mediaType\":\"{}\",{layer}}}]}}",
        field("mediaType")
    )
    .as_bytes());
    let file = |path: &str, text: String| folder.file(&format!("{name}/{path}"), text.as_bytes());
    file("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}".to_owned());
    file(
        "index.json",
        format!(
            "{{\"schemaVersion\":2,\"manifests\":[{{\"mediaType\":\
             \"application/vnd.oci.image.manifest.v1+json\",{manifest},\
             \"annotations\":{{\"org.opencontainers.image.ref.name\":\"test\"}}}}]}}"
        ),
    );
}

#[test]
fn all_readers_unpack_the_same_tree() {
    for compression in ["none", "gzip", "zstd"] {
        let folder = package();
        let flag = format!("--compression={compression}");
        folder.layer(&[&flag, "--metadata=json", "--tree=t", "--to=app/t", "--mode=0755"]);
        let metadata = String::from_utf8(folder.read("json")).unwrap();

        let gnu = unpack(&folder, "gnu", "umask 022; tar -xpf out -C INTO");
        let expected = tree(&gnu);
        assert_eq!(expected, source_tree(&folder.path().join("t")), "{compression}");
        // Reading a PAX name in the C locale, bsdtar can but warn; users have UTF-8 there.
        let bsd = unpack(&folder, "bsd", "LC_ALL=C.UTF-8 bsdtar -xpf out -C INTO");
        assert_eq!(tree(&bsd), expected, "{compression}: bsdtar");
        let python = if compression == "zstd" {
            "zstd -dc out > plain && python3 -c 'import tarfile; tarfile.open(\"plain\").extractall(\"INTO\")'"
        } else {
            "python3 -c 'import tarfile; tarfile.open(\"out\").extractall(\"INTO\")'"
        };
        assert_eq!(tree(&unpack(&folder, "python", python)), expected, "{compression}: Python");

        // Debian 12's umoci knows no zstd; skopeo makes gzip of it, and so must have read it.
        layout(&folder, "layout", &metadata);
        let copy = "skopeo --insecure-policy copy --quiet --dest-compress-format=gzip --dest-compress \
                    oci:layout:test oci:INTO:test";
        unpack(&folder, "copy", copy);
        let umoci =
            unpack(&folder, "umoci", "umoci unpack --rootless --image copy:test INTO/bundle");
        assert_eq!(tree(&umoci.join("bundle/rootfs")), expected, "{compression}: umoci");
    }
}

/// What the layer should unpack to, from its source.
fn source_tree(source: &Path) -> Vec<(String, String)> {
    let mut expected = vec![
        ("app".to_owned(), "directory 755".to_owned()),
        ("app/t".to_owned(), "directory 755".to_owned()),
    ];
    expected.extend(tree(source).into_iter().map(|(path, what)| {
        let what = what.replace("file 644", "file 755").replace("directory 700", "directory 755");
        (format!("app/t/{path}"), what)
    }));
    expected.sort();
    expected
}

#[test]
fn tools_verify_digest_size_and_diff_id() {
    // skopeo refuses a blob whose digest is not the manifest's; umoci one whose diff_id is not
    // the config's.
    let folder = package();
    folder.layer(&["--metadata=json", "--tree=t", "--to=app"]);
    let metadata = String::from_utf8(folder.read("json")).unwrap();
    let digit = metadata.find("diff_id").unwrap() + "diff_id\":\"sha256:".len();
    let mut wrong = metadata.clone().into_bytes();
    wrong[digit] = if wrong[digit] == b'0' { b'1' } else { b'0' };
    layout(&folder, "right", &metadata);
    layout(&folder, "wrong", std::str::from_utf8(&wrong).unwrap());
    for (image, works) in [("right", true), ("wrong", false)] {
        let line = format!("umoci unpack --rootless --image {image}:test unpacked-{image}");
        let run = Run::of(Command::new("sh").args(["-c", &line]).current_dir(folder.path()));
        assert_eq!(run.code == 0, works, "{image}: {}", run.stderr);
    }
}
