//! `cargo xtask test`: all that CI checks, step by step.

mod lanes;

use std::iter;
use std::time::Instant;

use xshell::cmd;

use crate::bazel::Bazel;
use crate::crates;
use crate::demo;
use crate::dist;
use crate::docs;
use crate::fuzz;
use crate::install::{self, Need};
use crate::project::Project;
use crate::shell::{self, Context as _, Result, failure};
use crate::sid;
use crate::table::{Align, Table};
use crate::ui;

/// One check.
struct Step {
    name: &'static str,
    what: &'static str,
    needs: &'static [Need],
    run: fn(&Project) -> Result<()>,
}

/// Tests, all with the same features: others would have cargo replace the worker that is tested.
const TESTS: [&str; 4] = ["test", "--workspace", "--all-features", "--locked"];

/// Steps of cargo, what fails soonest first.
const CARGO: &[Step] = &[
    Step { name: "fmt", what: "Rust is formatted", needs: &[], run: fmt },
    Step { name: "clippy", what: "clippy has no complaint", needs: &[install::CC], run: clippy },
    Step { name: "doc", what: "the documentation builds", needs: &[install::CC], run: doc },
    Step {
        name: "deny",
        what: "dependencies, their licenses, and where they come from",
        needs: &[install::PIP],
        run: deny,
    },
    Step {
        name: "rust",
        what: "unit, documentation and black-box tests",
        needs: &[
            install::CC,
            install::PYTHON,
            install::BSDTAR,
            install::CHROMIUM,
            install::DOCKER_REGISTRY,
            install::SKOPEO,
            install::UMOCI,
            install::UTIL_LINUX,
            install::ZSTD,
        ],
        run: rust,
    },
    Step {
        name: "crates",
        what: "the crates are complete, and compile from what is in them",
        needs: &[install::CC],
        run: crates::package,
    },
    Step {
        name: "msrv",
        what: "the oldest Rust that is promised compiles them",
        needs: &[install::CC],
        run: crates::msrv,
    },
    Step {
        name: "fuzz",
        what: "parsers survive any input",
        needs: &[install::CC, install::CXX],
        run: |project| fuzz::run(project, &fuzz::Options::default()),
    },
    Step {
        name: "buildifier",
        what: "Starlark is formatted, and buildifier has no complaint",
        needs: &[install::GIT, install::NPM],
        run: buildifier,
    },
    Step {
        name: "workflows",
        what: "actionlint has no complaint about GitHub's workflows",
        needs: &[install::PIP],
        run: workflows,
    },
    Step {
        name: "rule-sources",
        what: "the rules' sources and their documentation agree",
        needs: &[install::PYTHON],
        run: rule_sources,
    },
    Step {
        name: "docs",
        what: "reference pages match the sources, and the site builds",
        needs: &[install::CC, install::PIP],
        run: docs::check,
    },
    Step {
        name: "dist",
        what: "a release's files serve users without Rust, and users of another processor",
        needs: &[install::CC, install::GIT, install::PYTHON, install::PIP, install::UTIL_LINUX],
        run: dist::check::run,
    },
];

/// Steps of Bazel, and of what Bazel's builds leave.
const BAZEL: &[Step] = &[
    Step {
        name: "rules",
        what: "Bazel's tests of the rules",
        needs: &[install::CC, install::PYTHON],
        run: rules,
    },
    Step {
        name: "images",
        what: "images of many kinds, made by Bazel with the release worker; registries take them",
        needs: &[
            install::CC,
            install::PYTHON,
            install::PIP,
            install::DOCKER_REGISTRY,
            install::SKOPEO,
            install::ZSTD,
        ],
        run: images,
    },
    Step {
        name: "demo",
        what: "the demo where there is no Bazel",
        needs: &[install::CC, install::PYTHON, install::PIP, install::ZSTD],
        run: demo::run_without_bazel,
    },
    Step {
        name: "bazel",
        what: "layers made by Bazel with the release worker",
        needs: &[
            install::CC,
            install::DOCKER_REGISTRY,
            install::PYTHON,
            install::PIP,
            install::PODMAN,
            install::SKOPEO,
            install::UMOCI,
            install::ZSTD,
        ],
        run: bazel,
    },
    Step {
        name: "remote",
        what: "layers made with a remote cache and by a remote executor",
        needs: &[install::CC, install::PYTHON, install::PIP, install::UTIL_LINUX],
        run: remote,
    },
];

/// What is run only if it is named: its tool takes minutes to compile.
const ON_DEMAND: &[Step] = &[Step {
    name: "semver",
    what: "what worker_protocol promises is as it was in the last release",
    needs: &[install::CC, install::GIT],
    run: crates::semver,
}];

/// Names the steps.
pub(crate) fn list() {
    for step in CARGO.iter().chain(BAZEL) {
        ui::print(format_args!("{:<12}  {}\n", step.name, step.what));
    }
    for step in ON_DEMAND {
        ui::print(format_args!("{:<12}  {} (only if it is named)\n", step.name, step.what));
    }
}

/// Runs the steps that are named, in their order, until one fails; or all, in two lanes.
pub(crate) fn run(project: &Project, names: &[String]) -> Result<()> {
    let known = || [CARGO, BAZEL, ON_DEMAND].into_iter().flatten();
    if let Some(unknown) = names.iter().find(|name| known().all(|step| step.name != **name)) {
        return Err(failure(format!(
            "there is no step `{unknown}`; `cargo xtask test --list` lists them"
        )));
    }
    let is_chosen = |step: &&Step| names.iter().any(|name| name == step.name);
    let steps: Vec<&Step> = if names.is_empty() {
        CARGO.iter().chain(BAZEL).collect()
    } else {
        known().filter(is_chosen).collect()
    };
    let needs: Vec<Need> = steps.iter().flat_map(|step| step.needs).copied().collect();
    install::all(&needs)?;

    let start = Instant::now();
    let times = if names.is_empty() {
        lanes::two(project, CARGO, BAZEL)?
    } else {
        steps.iter().map(|step| lanes::run(project, step)).collect::<Result<_>>()?
    };
    if let [_] = *times {
        return Ok(());
    }
    let mut table = Table::new(&[("Step", Align::Left), ("Time", Align::Right)]);
    for (name, time) in times {
        table.row(vec![name.to_owned(), ui::seconds(time)]);
    }
    table.row(vec!["all".to_owned(), ui::seconds(start.elapsed())]);
    ui::print(format_args!("\n{table}"));
    Ok(())
}

fn fmt(project: &Project) -> Result<()> {
    let (sh, cargo) = project.cargo()?;
    cmd!(sh, "{cargo} fmt --all --check").quiet().run()?;
    Ok(cmd!(sh, "{cargo} fmt --manifest-path=fuzz/Cargo.toml --check").quiet().run()?)
}

fn clippy(project: &Project) -> Result<()> {
    let (sh, cargo) = project.cargo()?;
    let clippy = cmd!(sh, "{cargo} clippy --workspace --all-targets --all-features --locked");
    Ok(clippy.args(["--", "-D", "warnings"]).quiet().run()?)
}

fn doc(project: &Project) -> Result<()> {
    let (sh, cargo) = project.cargo()?;
    // Whoever takes a crate without its features reads the documentation of that.
    for features in ["--all-features", "--no-default-features"] {
        let doc = cmd!(sh, "{cargo} doc --workspace {features} --no-deps --locked");
        doc.env("RUSTDOCFLAGS", "-Dwarnings").quiet().run()?;
    }
    Ok(())
}

fn deny(project: &Project) -> Result<()> {
    let (sh, deny) = (project.shell()?, install::cargo_deny(&project.folder("tools")?)?);
    // Advisories need a database that is fetched from GitHub.
    let deny = cmd!(sh, "{deny} --locked check --hide-inclusion-graph bans licenses sources");
    Ok(deny.quiet().run()?)
}

fn rust(project: &Project) -> Result<()> {
    let (sh, cargo) = project.cargo()?;
    Ok(cmd!(sh, "{cargo} {TESTS...}").quiet().run()?)
}

fn buildifier(project: &Project) -> Result<()> {
    let sh = project.shell()?;
    let files = shell::capture(cmd!(sh, "git ls-files -z *.bzl *.bazel *BUILD"))?;
    let files = files.split_terminator('\0');
    let buildifier = install::buildifier(&project.folder("tools")?)?;
    Ok(cmd!(sh, "{buildifier} -mode=check -lint=warn {files...}").quiet().run()?)
}

fn workflows(project: &Project) -> Result<()> {
    let actionlint = install::actionlint(&project.folder("tools/actionlint")?)?;
    let sh = project.shell()?;
    Ok(cmd!(sh, "{actionlint} -no-color").quiet().run()?)
}

fn rules(project: &Project) -> Result<()> {
    // The tests' worker is a stand-in; the real one is named so that Bazel does not build it.
    let worker = project.worker()?;
    let bazel = Bazel::new(&project.root, &project.folder("bazel-rules")?, &worker)?.shown();
    let tests = ["--test_output=errors", "//py/tests/..."];
    shell::run(bazel.building("test").args(tests))?;
    ui::heading("once more, as Bazel 8 and 9 do it");
    shell::run(bazel.building("test").arg("--config=next").args(tests))
}

fn rule_sources(project: &Project) -> Result<()> {
    let sh = project.shell()?;
    cmd!(sh, "python3 py/tests/docs_test.py").quiet().run()?;
    Ok(cmd!(sh, "python3 py/tests/source_test.py").quiet().run()?)
}

fn images(project: &Project) -> Result<()> {
    let worker = project.worker()?;
    let sh = project.shell()?;
    let python = cmd!(sh, "python3 py/tests/e2e/run.py").env("PYLAYER_BINARY", worker);
    python.env("BAZEL", sid::bazel()?).quiet().run()?;
    clients(project)
}

/// What pushes images and is no package of Debian stable.
fn clients(project: &Project) -> Result<()> {
    const CLIENTS: [&str; 2] = ["crane", "oras"];
    let (sh, cargo) = project.cargo()?;
    if CLIENTS.iter().any(|name| shell::which(name).is_none()) {
        if !sid::is_used()? {
            ui::say("skipped: crane or oras is not on PATH, and there is no root of Debian sid");
            return Ok(());
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = iter::once(sid::programs(&CLIENTS)?).chain(std::env::split_paths(&path));
        sh.set_var("PATH", std::env::join_paths(folders).context("PATH")?);
    }
    let tests = cmd!(sh, "{cargo} {TESTS...} --test=black_box registry:: -- --ignored");
    Ok(tests.quiet().run()?)
}

/// Runs the tests that take minutes.
pub(crate) fn soak(project: &Project) -> Result<()> {
    install::all(&[install::CC, install::UTIL_LINUX, install::ZSTD])?;
    let (sh, cargo) = project.cargo()?;
    let tests = cmd!(sh, "{cargo} test --release --locked --test=black_box");
    // Those of registries need more programs, and belong to `images`.
    let tests = tests.args(["--", "--ignored", "--nocapture", "--skip=registry::"]);
    Ok(tests.quiet().run()?)
}

fn bazel(project: &Project) -> Result<()> {
    let worker = project.worker()?;
    let (sh, cargo) = project.cargo()?;
    let tests = cmd!(sh, "{cargo} {TESTS...} --test=bazel -- --ignored --test-threads=1");
    Ok(tests.arg("--skip=remote::").env("PYLAYER_BINARY", worker).quiet().run()?)
}

fn remote(project: &Project) -> Result<()> {
    let worker = project.worker()?;
    if !sid::is_used()? {
        ui::say("skipped: the servers run in a root of Debian sid, and Bazel is on PATH here");
        return Ok(());
    }
    let (sh, cargo) = project.cargo()?;
    let tests = cmd!(sh, "{cargo} {TESTS...} --test=bazel remote:: -- --ignored --test-threads=1");
    Ok(tests.env("PYLAYER_BINARY", worker).quiet().run()?)
}
