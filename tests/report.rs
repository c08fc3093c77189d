//! The page of `--report`, opened in a real browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::image::{ALL, attempt, image, layers};
use crate::support::{Folder, Run};

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// What a browser makes of a page: its elements after its scripts have run, and what was written to
/// the console. None where there is no browser.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn browse(page: &Path, window: &str) -> Option<(String, Vec<String>)> {
    let has = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    let Some(browser) = BROWSERS.into_iter().find(has) else {
        eprintln!("skipped: there is none of {}", BROWSERS.join(", "));
        return None;
    };
    let profile = tempfile::tempdir().unwrap();
    let run = Run::of(
        Command::new(browser)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"])
            .arg(format!("--window-size={window}"))
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("file://{}", page.display())),
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    let console = run.stderr.lines().filter(|line| line.contains("CONSOLE"));
    Some((run.stdout, console.map(str::to_owned).collect()))
}

/// A page with a script more, which tells what it finds in the page's `data-told`.
fn with_script(folder: &Folder, page: &str, script: &str) -> std::path::PathBuf {
    let html = String::from_utf8(folder.read(page)).unwrap();
    let tell = "const tell = (what) => { document.body.dataset.told = JSON.stringify(what); };";
    let more = format!("<script>{tell}\n{script}</script></body>");
    folder.file("with_script.html", html.replace("</body>", &more).as_bytes())
}

/// Two packages and a file of none, in two layers.
fn packages() -> Folder {
    let folder = Folder::new().with(&[
        ("s/one/__init__.py", "one"),
        ("s/one/deep/er/x.py", "deep"),
        ("s/one-1.5.dist-info/RECORD", "one/__init__.py,,\none/deep/er/x.py,,\n"),
        ("s/two/</script><b>&.py", "odd"),
        ("main.py", "main"),
    ]);
    for (output, arguments) in [
        ("l0", &["--file=main.py", "--to=app/main.py"][..]),
        ("l1", &["--tree=s", "--to=app/site-packages"]),
    ] {
        let output = format!("--output={output}");
        assert_eq!(folder.run(&[&["layer", &*output], arguments].concat()).code, 0);
    }
    folder
}

#[test]
fn a_page_opens_without_an_error_and_by_keyboard() {
    let folder = packages();
    image(&folder, "base", &["--layer=l0", "--env=A=1"]);
    image(&folder, "out", &["--base=base", "--layer=l1", "--env=A=2", "--report=plain.html"]);
    let arguments =
        ["inspect", "out", "--report=page.html", "--against=base", "--other=base", "--other=out"];
    let run = folder.run(&arguments);
    assert_eq!((run.code, &*run.stdout, &*run.stderr), (0, "", ""));
    let html = String::from_utf8(folder.read("page.html")).unwrap();
    for outside in ["http://", "https://", "src=", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside}: the page needs nothing else");
    }

    for page in ["plain.html", "page.html"] {
        let Some((dom, console)) = browse(&folder.path().join(page), "390,800") else { return };
        assert_eq!(console, [""; 0], "{page}");
        for shown in ["one 1.5", "(no Python package)", "layer 1", "linux/amd64"] {
            assert!(dom.contains(shown), "{page}: {shown}");
        }
        for shown in ["Changes since base", "added", "Also in"] {
            assert_eq!(dom.contains(&format!(">{shown}<")), page == "page.html", "{page}: {shown}");
        }
    }

    // Opening, closing, sorting, as a person without a mouse does it. An event that the page itself
    // waits for (hashchange) comes later.
    let script = r##"
        const later = () => new Promise((resolve) => setTimeout(resolve, 50));
        const cells = () => [...document.querySelectorAll("#map button")].map((cell) => cell.title);
        const rows = () => [...document.querySelectorAll("#table tbody tr")].map((row) => row.cells[0].textContent);
        const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        (async () => {
            const told = { start: rows() };
            const one = [...document.querySelectorAll("#map button")].find((cell) => cell.title.startsWith("one"));
            document.querySelector("#map button[tabindex='0']").focus();
            for (let step = 0; step < 9 && document.activeElement !== one; step++) press("ArrowRight");
            told.reached = document.activeElement === one;
            document.activeElement.click();
            await later();
            told.opened = [cells().length, rows(), location.hash, document.activeElement.parentElement.id];
            press("Escape");
            await later();
            told.closed = rows();
            document.querySelector("[data-key=name]").click();
            told.sorted = rows();
            told.sort = document.querySelector("[data-key=name]").parentElement.getAttribute("aria-sort");
            document.querySelector("[value=compressed]").click();
            told.measure = document.querySelector("#map button").title.includes("—");
            tell(told);
        })();
    "##;
    let page = with_script(&folder, "page.html", script);
    let Some((dom, console)) = browse(&page, "1200,900") else { return };
    assert_eq!(console, [""; 0]);
    let told = dom.split("data-told=\"").nth(1).expect("the script came to its end");
    let told = told.split("\">").next().unwrap().replace("&quot;", "\"");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["reached"], true, "{told}");
    // What has but one folder in it is passed through.
    let inside = &told["opened"];
    assert_eq!(inside[1], serde_json::json!(["one-1.5.dist-info", "one"]), "{told}");
    assert_eq!((&inside[0], &inside[3]), (&2.into(), &"map".into()), "{told}");
    assert_eq!(told["closed"], told["start"]);
    assert_eq!((&told["sort"], &told["measure"]), (&"ascending".into(), &true.into()), "{told}");
    let mut sorted: Vec<String> = serde_json::from_value(told["start"].clone()).unwrap();
    sorted.sort();
    assert_eq!(told["sorted"], serde_json::json!(sorted), "{told}");
}

#[test]
fn an_error_in_a_page_would_be_seen() {
    let folder = packages();
    image(&folder, "out", &["--layer=l0", "--report=page.html"]);
    let page = with_script(&folder, "page.html", "throw new Error(\"seen\");");
    let Some((_, console)) = browse(&page, "800,600") else { return };
    assert!(console.iter().any(|line| line.contains("seen")), "{console:?}");
}

#[test]
fn a_page_of_ten_thousand_files_is_below_a_megabyte() {
    let folder = Folder::new();
    for number in 0..13_000 {
        let path = format!(
            "t/package_{}/module_{}/test_case_number_{number}.py",
            number / 500,
            number / 50
        );
        folder.file(&path, &vec![b'x'; number % 97]);
    }
    assert_eq!(folder.run(&["layer", "--output=l", "--tree=t", "--to=app/site-packages"]).code, 0);
    image(&folder, "out", &["--layer=l", "--report=page.html"]);
    let size = folder.read("page.html").len();
    assert!(size < 1 << 20, "{size} bytes");
    assert!(size > 300_000, "{size} bytes: are the files there?");
    let Some((dom, console)) = browse(&folder.path().join("page.html"), "1200,900") else { return };
    assert_eq!(console, [""; 0]);
    assert!(dom.contains("package_7"));
}

#[test]
fn pages_are_outputs_like_others() {
    let folder = layers();
    for round in ["one", "two"] {
        let report = format!("--report={round}.html");
        image(&folder, "out", &[&ALL[..], &[&*report]].concat());
    }
    assert_eq!(folder.read("one.html"), folder.read("two.html"));
    image(&folder, "kept", &["--layer=a"]);
    let layer = folder.read("a");
    for (output, arguments, code) in [
        ("new", &["--layer=a", "--report=a"][..], 1),
        ("new", &["--layer=a", "--report=new/page.html"], 1),
        ("kept", &["--layer=b", "--report=kept/page.html"], 2),
        ("new", &["--layer=a", "--report=t"], 1),
        ("new", &["--layer=a", "--report=no/such/folder.html"], 1),
    ] {
        let run = attempt(&folder, output, arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
    }
    for (arguments, code) in [
        (&["inspect", "a", "--report=a"][..], 1),
        (&["inspect", "kept", "--report=kept/page.html"], 1),
        (&["inspect", "a", "--against=b"], 2),
        (&["inspect", "a", "--json", "--report=x"], 2),
        (&["inspect", "a", "--report=x", "--other=b"], 1),
    ] {
        let run = folder.run(arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
    }
    assert_eq!(folder.read("a"), layer);
    assert!(
        !folder.names().contains(&"new".to_owned()) && !folder.names().contains(&"x".to_owned())
    );
    assert!(fs::exists(folder.path().join("kept")).unwrap());
}
