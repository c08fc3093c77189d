//! Records the sessions that the tests replay, from the Bazel of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use xshell::{Shell, cmd};

use super::{Session, noise, tee};
use crate::bazel::Bazel;
use crate::project::Project;
use crate::shell::{self, Context as _, Result, failure};
use crate::{processes, ui, workspace};

/// How a session comes to be.
struct Scene {
    name: &'static str,
    about: &'static [&'static str],
    /// Options of every build in it.
    options: &'static [&'static str],
    /// What Bazel is asked for, one build after another.
    builds: &'static [Build],
}

/// One build.
#[derive(Clone, Copy)]
enum Build {
    /// This goes well.
    Good(&'static [&'static str]),
    /// This fails.
    Bad(&'static [&'static str]),
    /// This is interrupted as soon as the worker reads what will take it long.
    Interrupted(&'static [&'static str]),
    /// Before the next build: this file has this content.
    Change(&'static str, &'static str),
    /// Before the next build: this file is so much noise.
    Noise(&'static str, usize),
}

/// Bazel sends several requests at once only for as many actions as it starts at once.
const SIDE_BY_SIDE: &str = "--local_resources=cpu=6";

const SCENES: &[Scene] = &[
    Scene {
        name: "singleplex",
        about: &["Singleplex: one request at a time, each with number 0, two builds."],
        options: &["--noworker_multiplex", "--worker_max_instances=1"],
        builds: &[
            Build::Good(&["//:a", "//:named"]),
            Build::Change("a.d/one.txt", "other\n"),
            Build::Good(&["//:a"]),
        ],
    },
    Scene {
        name: "multiplex",
        about: &["Multiplex: requests side by side, and numbers from 1 again in the second build."],
        options: &["--jobs=6", SIDE_BY_SIDE],
        builds: &[
            Build::Good(&["//:a", "//:b", "//:named"]),
            Build::Change("b.d/one.txt", "other\n"),
            Build::Change("a.d/one.txt", "other\n"),
            Build::Good(&["//:a", "//:b"]),
        ],
    },
    Scene {
        name: "sandboxed",
        about: &["Singleplex and sandboxed: one request at a time, whose inputs are links."],
        options: &["--noworker_multiplex", "--worker_sandboxing", "--jobs=1"],
        builds: &[Build::Good(&["//:a", "//:named"])],
    },
    Scene {
        name: "multiplex_sandboxed",
        about: &["Multiplex and sandboxed: each request has a `sandbox_dir` of its own."],
        options: &["--experimental_worker_multiplex_sandboxing", "--jobs=6", SIDE_BY_SIDE],
        builds: &[
            Build::Good(&["//:a", "//:b", "//:named"]),
            Build::Change("b.d/one.txt", "other\n"),
            Build::Good(&["//:a", "//:b"]),
        ],
    },
    Scene {
        name: "verbose",
        about: &["With --worker_verbose, requests ask to be told all about."],
        options: &["--worker_verbose", "--jobs=1"],
        builds: &[Build::Good(&["//:a"])],
    },
    Scene {
        name: "quit_after_build",
        about: &["With --worker_quit_after_build, Bazel ends the worker after each build."],
        options: &["--worker_quit_after_build", "--jobs=1"],
        builds: &[Build::Good(&["//:a"])],
    },
    Scene {
        name: "cancelled",
        about: &[
            "Ctrl-C in a multiplex sandboxed build with --experimental_worker_cancellation: Bazel",
            "sends a cancel.",
        ],
        options: &[
            "--experimental_worker_multiplex_sandboxing",
            "--experimental_worker_cancellation",
            "--jobs=1",
        ],
        builds: &[
            Build::Noise("slow.d/noise", 1 << 20),
            Build::Interrupted(&["//:slow"]),
            Build::Noise("slow.d/noise", 100),
            Build::Good(&["//:slow"]),
        ],
    },
    Scene {
        name: "interrupted",
        about: &[
            "Ctrl-C in a multiplex build, and another build at once: Bazel has sent no cancel, the",
            "request still runs, and its number and its output come again.",
        ],
        options: &["--jobs=6", SIDE_BY_SIDE],
        builds: &[
            // Two at once: the process lives on when one of them is given up.
            Build::Good(&["//:a", "//:b", "//:c"]),
            Build::Noise("slow.d/noise", 1 << 20),
            Build::Interrupted(&["//:slow"]),
            Build::Noise("slow.d/noise", 100),
            Build::Change("a.d/one.txt", "other\n"),
            Build::Good(&["//:slow", "//:a"]),
        ],
    },
    Scene {
        name: "dynamic",
        about: &[
            "Dynamic execution: each action is run by the worker and elsewhere at the same time, and",
            "Bazel cancels the request of a worker that is slower.",
        ],
        options: &[
            "--internal_spawn_scheduler",
            "--strategy=PyImageLayer=dynamic",
            "--dynamic_local_strategy=PyImageLayer=worker",
            "--dynamic_remote_strategy=PyImageLayer=linux-sandbox",
            "--experimental_worker_multiplex_sandboxing",
            "--experimental_worker_cancellation",
            "--jobs=6",
            SIDE_BY_SIDE,
        ],
        builds: &[
            Build::Noise("slow.d/noise", 1 << 20),
            Build::Good(&["//:a", "//:b", "//:slow"]),
            Build::Change("a.d/one.txt", "other\n"),
            Build::Good(&["//:a", "//:b", "//:slow"]),
        ],
    },
    Scene {
        name: "failed",
        about: &["A request fails; the same worker goes on."],
        options: &["--jobs=1"],
        builds: &[
            Build::Change("a.d/.wh.gone", "\n"),
            Build::Bad(&["//:a"]),
            Build::Good(&["//:b"]),
        ],
    },
];

/// Records sessions anew: those with these names, or all if there are none.
pub(crate) fn run(project: &Project, names: &[String]) -> Result<()> {
    if let Some(name) = names.iter().find(|name| SCENES.iter().all(|scene| scene.name != **name)) {
        return Err(failure(format!("there is no session `{name}`")));
    }
    let worker = project.worker()?;
    let version = version()?;
    let wanted = |scene: &&Scene| names.is_empty() || names.iter().any(|name| name == scene.name);
    for scene in SCENES.iter().filter(wanted) {
        ui::heading(format_args!("{}: {}", scene.name, scene.about.join(" ")));
        let target = project.root.join(format!("tests/replay/recorded/{}.session", scene.name));
        let session = record(project, &worker, scene)?;
        let mut about = vec![format!("Recorded from Bazel {version} by `cargo xtask record`.")];
        about.extend(scene.about.iter().map(ToString::to_string));
        about.push(format!("Options: {}", scene.options.join(" ")));
        let session = Session { about, ..session };
        fs::write(&target, session.write()).context(target.display())?;
    }
    Ok(())
}

/// Bazel's version.
fn version() -> Result<String> {
    let (sh, bazel) = (Shell::new()?, crate::sid::bazel()?);
    let said = shell::capture(cmd!(sh, "{bazel} --version"))?;
    Ok(said.trim().trim_start_matches("bazel ").to_owned())
}

fn record(project: &Project, worker: &Path, scene: &Scene) -> Result<Session> {
    let folder = project.folder("record")?;
    let sessions = folder.join("sessions").join(scene.name);
    crate::project::fresh(&sessions)?;
    let workspace = folder.join("workspace");
    workspace::copy(&project.root, "tests/bazel/layers", &workspace)?;
    for name in ["a", "b", "c", "slow"] {
        let file = workspace.join(format!("{name}.d/one.txt"));
        write(&file, format!("{name}\n").as_bytes())?;
    }
    let script = tee::script(&sessions, worker)?;
    let bazel = Bazel::new(&workspace, &folder, &script)?;
    bazel.clean()?;
    let cache = bazel.output_base()?.join("pylayer");
    if cache.exists() {
        fs::remove_dir_all(&cache).context(cache.display())?;
    }
    for build in scene.builds {
        match build {
            Build::Good(targets) => finish(&bazel, targets, scene.options, true)?,
            Build::Bad(targets) => finish(&bazel, targets, scene.options, false)?,
            Build::Interrupted(targets) => {
                interrupt(&bazel, targets, scene.options, &sessions)?;
            }
            Build::Change(file, text) => write(&workspace.join(file), text.as_bytes())?,
            Build::Noise(file, size) => write(&workspace.join(file), &noise(*size, 1))?,
        }
    }
    drop(bazel);
    one_session(&sessions)
}

fn write(file: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).context(folder.display())?;
    }
    fs::write(file, content).context(file.display())
}

/// The only session of a folder.
fn one_session(folder: &Path) -> Result<Session> {
    let entries = fs::read_dir(folder).context(folder.display())?;
    let is_session = |path: &PathBuf| path.extension().is_some_and(|e| e == "session");
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(is_session).collect();
    match (files.pop(), files.pop()) {
        (Some(file), None) => Session::parse(&fs::read_to_string(&file).context(file.display())?)
            .context(file.display()),
        (None, _) => Err(failure("Bazel has started no worker")),
        _ => Err(failure("Bazel has started more than one worker")),
    }
}

fn start(bazel: &Bazel, targets: &[&str], options: &[&str]) -> Result<Child> {
    let mut command = bazel.building("build");
    command.args(targets).arg("--strategy=PyImageLayer=worker").args(options);
    command.stdin(Stdio::null()).spawn().context(shell::display(&command))
}

fn finish(bazel: &Bazel, targets: &[&str], options: &[&str], good: bool) -> Result<()> {
    let status = start(bazel, targets, options)?.wait().context("cannot wait for Bazel")?;
    if status.success() == good {
        return Ok(());
    }
    Err(failure(format!("Bazel: {status} for {targets:?}")))
}

/// Ctrl-C as soon as the worker has been sent what takes long.
fn interrupt(bazel: &Bazel, targets: &[&str], options: &[&str], sessions: &Path) -> Result<()> {
    let mut build = start(bazel, targets, options)?;
    let start = Instant::now();
    while !is_asked_for(sessions)? {
        if let Some(status) = build.try_wait().context("cannot wait for Bazel")? {
            return Err(failure(format!("Bazel was done before Ctrl-C: {status}")));
        }
        if start.elapsed() > Duration::from_secs(120) {
            return Err(failure("Bazel asks no worker"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    processes::signal(build.id(), "INT")?;
    let status = build.wait().context("cannot wait for Bazel")?;
    if status.success() {
        return Err(failure("Bazel has finished in spite of Ctrl-C; record it again"));
    }
    Ok(())
}

/// Whether a request at zstd's highest level has been written down.
fn is_asked_for(sessions: &Path) -> Result<bool> {
    let entries = fs::read_dir(sessions).context(sessions.display())?;
    let texts = entries.flatten().filter_map(|entry| fs::read(entry.path()).ok());
    let slow = b"argument --compression=zstd:22";
    Ok(texts.into_iter().any(|text| text.windows(slow.len()).any(|window| window == slow)))
}
