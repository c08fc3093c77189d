//! A Bazel to test with: the one of this machine, or else Debian's, in a root of its own.
//!
//! Debian stable has a Bazel that nobody uses any more; sid has 7.7.1. So a sid root is made, once,
//! in the user's cache folder, and Bazel is run in it, with this machine's folders at their own
//! places. A person with bazelisk and a network never gets here.

mod programs;
mod remote;

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use xshell::{Shell, cmd};

use crate::shell::{self, Context as _, Result, failure};
use crate::{install, ui};

pub use programs::install;
pub(crate) use programs::programs;
pub use remote::Remote;

const MAKE: &str = include_str!("sid/make.sh");
const ENTER: &str = include_str!("sid/enter.sh");

/// Where a root has the script that made it.
const RECIPE: &str = "etc/pylayer-make.sh";

/// A root older than this is made anew.
const STALE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The oldest Bazel that the rules support.
const OLDEST: u32 = 7;

/// A Bazel of at least version 7. Makes a root with one where the machine has none.
pub fn bazel() -> Result<PathBuf> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found.clone());
    }
    let found = match ["bazel", "bazelisk"].into_iter().filter_map(shell::which).find(is_recent) {
        Some(found) => found,
        None => in_root()?,
    };
    Ok(FOUND.get_or_init(|| found).clone())
}

/// Whether Bazel runs in a root of Debian sid here.
pub(crate) fn is_used() -> Result<bool> {
    Ok(bazel()?.starts_with(cache()?))
}

/// Where that root is.
pub(crate) fn root() -> Result<PathBuf> {
    Ok(cache()?.join("pylayer-sid/root"))
}

fn is_recent(program: &PathBuf) -> bool {
    let said = Shell::new()
        .and_then(|sh| cmd!(sh, "{program} --version").ignore_status().ignore_stderr().read());
    let version = said.unwrap_or_default();
    let major = version.trim().strip_prefix("bazel ").and_then(|version| version.split('.').next());
    major.and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= OLDEST)
}

/// The program that enters the root and runs its Bazel.
fn in_root() -> Result<PathBuf> {
    let sh = Shell::new()?;
    let is_root = shell::capture(cmd!(sh, "id -u"))?.trim() == "0";
    if shell::which("apt-get").is_none() || !is_root {
        return Err(failure(
            "there is no Bazel of version 7 or later on PATH: install bazelisk \
             (https://github.com/bazelbuild/bazelisk); only as root on Debian can one be made here",
        ));
    }
    let folder = cache()?.join("pylayer-sid");
    fs::create_dir_all(&folder).context(folder.display())?;
    let _lock = lock(&folder.join("lock"))?;
    let root = folder.join("root");
    let [make, enter, bazel] = ["make.sh", "enter.sh", "bazel"].map(|name| folder.join(name));
    write(&make, MAKE)?;
    write(&enter, ENTER)?;
    write(&bazel, &launcher(&enter, &root, "bazel"))?;
    if is_fresh(&root) && is_recent(&bazel) {
        return Ok(bazel);
    }
    install::all(&[install::DEBOOTSTRAP, install::PYTHON, install::UTIL_LINUX])?;
    ui::heading("make a root of Debian sid with Bazel (about a minute, 1.4 GB)");
    let new = folder.join("new");
    for stale in [&root, &new] {
        remove(stale)?;
    }
    // What is mounted there goes with the command, however it ends.
    let mirror = mirror();
    cmd!(sh, "unshare --mount --propagation=private sh {make} {new} {mirror}").quiet().run()?;
    fs::write(new.join(RECIPE), MAKE).context(new.display())?;
    fs::rename(&new, &root).context(root.display())?;
    if is_recent(&bazel) {
        return Ok(bazel);
    }
    Err(failure(format!(
        "the Bazel of Debian sid in {} does not say that it is version {OLDEST} or later: look at \
         `{} --version`, or install bazelisk",
        root.display(),
        bazel.display()
    )))
}

/// A script that runs a program of the root.
fn launcher(enter: &Path, root: &Path, program: &str) -> String {
    format!("#!/bin/sh\nexec sh '{}' '{}' {program} \"$@\"\n", enter.display(), root.display())
}

/// Waits until no other process makes the root, or looks at it.
fn lock(path: &Path) -> Result<File> {
    let lock = File::create(path).context(path.display())?;
    match lock.try_lock() {
        Ok(()) => return Ok(lock),
        Err(TryLockError::WouldBlock) => ui::say("waiting for another process with the sid root"),
        Err(TryLockError::Error(error)) => return Err(error).context(path.display()),
    }
    lock.lock().context(path.display())?;
    Ok(lock)
}

/// Whether a root is complete, made by this recipe, and not too old.
fn is_fresh(root: &Path) -> bool {
    let recipe = root.join(RECIPE);
    let made = fs::metadata(&recipe).and_then(|file| file.modified());
    fs::read_to_string(&recipe).is_ok_and(|text| text == MAKE)
        && made
            .is_ok_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age < STALE))
}

/// Removes a root, in which nothing may be mounted.
fn remove(root: &Path) -> Result<()> {
    if !root.exists() {
        return Ok(());
    }
    let mounts = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    if mounts.lines().any(|line| line.contains(&root.display().to_string())) {
        return Err(failure(format!("something is mounted in {}: unmount it", root.display())));
    }
    let sh = Shell::new()?;
    Ok(cmd!(sh, "rm -rf --one-file-system {root}").quiet().run()?)
}

/// Where caches go (XDG Base Directory Specification).
pub(crate) fn cache() -> Result<PathBuf> {
    let folder = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    folder.or_else(home).ok_or_else(|| failure("neither XDG_CACHE_HOME nor HOME is set"))
}

/// The mirror that this machine has its packages from.
fn mirror() -> String {
    let sources = fs::read_to_string("/etc/apt/sources.list.d/debian.sources").unwrap_or_default();
    let uri = sources.lines().find_map(|line| line.strip_prefix("URIs:"));
    let list = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    let old = list
        .lines()
        .find(|line| line.starts_with("deb "))
        .and_then(|line| line.split_whitespace().find(|word| word.contains("://")));
    uri.map(str::trim)
        .and_then(|uri| uri.split_whitespace().next())
        .or(old)
        .map_or_else(|| "http://deb.debian.org/debian".to_owned(), ToOwned::to_owned)
}

/// Writes a script, which other processes may be about to run.
fn write(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    let new = path.with_extension("new");
    fs::write(&new, text).context(new.display())?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).context(new.display())?;
    fs::rename(&new, path).context(path.display())
}
