//! Programs that a command needs: there already, or installed with Debian's apt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::shell::{self, Context as _, Result, failure};
use crate::ui;

/// buildifier's version, as the npm package has it.
const BUILDIFIER: &str = "@bazel/buildifier@8.2.1";

/// Package lists older than this are fetched again.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Something a command needs, and the Debian packages that have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// What a person would call it.
    name: &'static str,
    packages: &'static [&'static str],
    is_there: fn() -> bool,
}

macro_rules! needs {
    ($($constant:ident: $name:literal, $packages:expr, $is_there:expr;)*) => {
        $(pub(crate) const $constant: Need =
            Need { name: $name, packages: &$packages, is_there: $is_there };)*
    };
}

needs! {
    // Bazel itself runs a C compiler when it looks at the machine; cargo links with it.
    CC: "a C compiler", ["gcc", "libc6-dev"], || has("cc") || has("gcc");
    CXX: "a C++ compiler", ["g++"], || has("c++") || has("g++");
    // Opens the page of `--report`.
    CHROMIUM: "Chromium", ["chromium"], || has("chromium");
    DEBOOTSTRAP: "debootstrap", ["debootstrap"], || has("debootstrap");
    BSDTAR: "bsdtar", ["libarchive-tools"], || has("bsdtar");
    DOCKER_REGISTRY: "docker-registry", ["docker-registry"], || has("docker-registry");
    GIT: "git", ["git"], || has("git");
    // buildifier comes through npm, if it is not there.
    NPM: "npm", ["nodejs", "npm"], || has("buildifier") || has("npm");
    PYTHON: "Python", ["python3"], || has("python3");
    PIP: "pip", ["python3-pip"], has_pip;
    SKOPEO: "skopeo", ["skopeo"], || has("skopeo");
    UMOCI: "umoci", ["umoci"], || has("umoci");
    UTIL_LINUX: "unshare", ["util-linux", "mount"], || has("unshare") && has("mount");
    PIGZ: "pigz", ["pigz"], || has("pigz");
    ZSTD: "zstd", ["zstd"], || has("zstd");
}

fn has(program: &str) -> bool {
    shell::which(program).is_some()
}

fn has_pip() -> bool {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "--version"]).stderr(Stdio::null());
    shell::output(&mut command).is_ok_and(|output| output.status.success())
}

/// Installs what is missing of these.
pub(crate) fn all(needs: &[Need]) -> Result<()> {
    let missing: Vec<Need> = needs.iter().copied().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|need| need.name).collect();
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    if !has("apt-get") {
        return Err(failure(format!(
            "this machine lacks {}, and only on Debian is it installed here; Debian's packages \
             are {}",
            names.join(", "),
            packages.join(", ")
        )));
    }
    ui::heading(format_args!("install {}", names.join(", ")));
    if lists_are_stale() {
        // Without the network the lists that are there may do.
        if let Err(error) = shell::run(&mut apt(&["update"])?) {
            ui::say(format_args!("{error}; the lists that are there have to do"));
        }
    }
    shell::run(apt(&["install", "--yes", "--no-install-recommends"])?.args(&packages))?;
    match missing.iter().find(|need| !(need.is_there)()) {
        Some(need) => Err(failure(format!("{} is missing after the installation", need.name))),
        None => Ok(()),
    }
}

/// apt-get as root.
fn apt(arguments: &[&str]) -> Result<Command> {
    let is_root = shell::capture(Command::new("id").arg("-u"))?.trim() == "0";
    // No package is to ask questions.
    let mut command = if is_root {
        Command::new("env")
    } else if has("sudo") {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    } else {
        return Err(failure("apt-get needs root, or sudo"));
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]).args(arguments);
    Ok(command)
}

/// Whether apt has no package lists, or old ones.
fn lists_are_stale() -> bool {
    let folder = Path::new("/var/lib/apt/lists");
    let Ok(entries) = fs::read_dir(folder) else { return true };
    let names = entries.flatten().map(|entry| entry.file_name());
    let any = names.into_iter().any(|name| name.to_string_lossy().contains("_Packages"));
    // The lists have their server's time; the folder that they are fetched to has ours.
    let fetched = fs::metadata(folder.join("partial")).and_then(|folder| folder.modified());
    let age = fetched.ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    !any || age.is_none_or(|age| age > STALE)
}

/// Where buildifier is; installed below `folder` if the machine has none.
pub(crate) fn buildifier(folder: &Path) -> Result<PathBuf> {
    if let Some(found) = shell::which("buildifier") {
        return Ok(found);
    }
    let installed = folder.join("node_modules/.bin/buildifier");
    let version = folder.join("buildifier-version");
    if installed.exists() && fs::read_to_string(&version).is_ok_and(|text| text == BUILDIFIER) {
        return Ok(installed);
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--loglevel=error", "--prefix"]);
    shell::run(npm.arg(folder).arg(BUILDIFIER))?;
    fs::write(&version, BUILDIFIER).context(version.display())?;
    Ok(installed)
}
