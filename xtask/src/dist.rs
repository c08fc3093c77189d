//! `cargo xtask dist`: what a release has, in `target/dist`.
//!
//! Binaries for every platform, an archive of the Bazel module, the lockfile with the binaries'
//! digests, checksums, a bill of materials, and notes. See `docs/reference/releases.md`.

mod archive;
pub(crate) mod check;
pub(crate) mod tools;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use xshell::cmd;

use crate::project::{Project, fresh};
use crate::shell::{Context as _, Result, failure};
use crate::{install, session, ui};
use tools::Tools;

/// A platform, as the lockfile names it, and Rust's target for it.
///
/// musl links statically: one file, whatever C library the machine has.
const TARGETS: &[(&str, &str)] = &[
    ("linux-aarch64", "aarch64-unknown-linux-musl"),
    ("linux-x86_64", "x86_64-unknown-linux-musl"),
    ("macos-aarch64", "aarch64-apple-darwin"),
    ("macos-x86_64", "x86_64-apple-darwin"),
];

/// The file with the checksums of all others.
const SUMS: &str = "SHA256SUMS";

/// What writes the bill of materials, compiled by cargo.
const CYCLONEDX: &str = "cargo-cyclonedx@0.5.9";

/// What to make, and how.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// These platforms only.
    pub(crate) platforms: Vec<String>,
    /// Where the files will be, for the lockfile; by default the release on GitHub.
    pub(crate) url: Option<String>,
    /// Whether there is to be a bill of materials.
    pub(crate) bill_of_materials: bool,
    /// Whether what cannot be made is an error.
    pub(crate) complete: bool,
}

/// Makes all of it in `target/dist`.
pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let folder = project.folder("dist")?;
    let made = make(project, options, &folder)?;
    let sums = folder.join(SUMS);
    ui::print(fs::read_to_string(&sums).context(sums.display())?);
    let version = &made.release.version;
    ui::done(format_args!("{} has what a release of {version} has", folder.display()));
    for skipped in &made.skipped {
        ui::say(format_args!("skipped: {skipped}"));
    }
    if options.complete && !made.skipped.is_empty() {
        return Err(failure("the release is not complete: see what was skipped"));
    }
    Ok(())
}

/// A release that was made.
struct Made {
    release: Release,
    module: Module,
    /// What could not be made here, and why.
    skipped: Vec<String>,
}

fn make(project: &Project, options: &Options, folder: &Path) -> Result<Made> {
    let known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = options.platforms.iter().find(|name| !known.contains(&&***name)) {
        return Err(failure(format!(
            "there are no binaries for `{unknown}`; known platforms are {}",
            known.join(", ")
        )));
    }
    install::all(&[install::CC, install::GIT, install::PYTHON, install::PIP])?;
    let release = Release::of(project)?;
    fresh(folder)?;
    let mut skipped = Vec::new();
    let mut targets = TARGETS.to_vec();
    targets.retain(|(name, _)| {
        options.platforms.is_empty() || options.platforms.iter().any(|chosen| chosen == name)
    });
    let binaries = binaries(project, &release, &targets, folder, &mut skipped)?;

    let base = options.url.clone().unwrap_or_else(|| release.url());
    let base = base.trim_end_matches('/');
    let lockfile = lockfile(&release, &binaries, base)?;
    let archive = folder.join(format!("{}.tar.gz", release.name()));
    archive::write(project, &release.name(), &lockfile, &archive)?;
    write(&folder.join(archive::LOCKFILE), &lockfile)?;
    if options.bill_of_materials
        && let Err(error) = bill_of_materials(project, &release, folder)
    {
        skipped.push(format!("the bill of materials: {error}"));
    }
    write(&folder.join(SUMS), &checksums(folder)?)?;
    let module = Module::of(&release, base, &archive)?;
    // Not a file to download, so it has no checksum.
    write(&folder.join("NOTES.md"), &notes(project, &release, &module)?)?;
    Ok(Made { release, module, skipped })
}

/// What cargo knows of this version.
struct Release {
    version: String,
    repository: String,
}

impl Release {
    fn of(project: &Project) -> Result<Self> {
        let metadata = project.metadata()?;
        let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
        let package = packages.iter().find(|package| package["name"] == "pylayer");
        let field = |name: &str| {
            let value = package.and_then(|package| package[name].as_str());
            value.map(str::to_owned).ok_or_else(|| failure(format!("pylayer has no {name}")))
        };
        let (version, repository) = (field("version")?, field("repository")?);
        let module = project.root.join("MODULE.bazel");
        let text = fs::read_to_string(&module).context(module.display())?;
        if !text.contains(&format!("    name = \"pylayer\",\n    version = \"{version}\",\n")) {
            return Err(failure(format!(
                "{} has another version than Cargo.toml, which has {version}",
                module.display()
            )));
        }
        Ok(Self { version, repository })
    }

    fn name(&self) -> String {
        format!("pylayer-{}", self.version)
    }

    /// Where GitHub has a release's files.
    fn url(&self) -> String {
        format!("{}/releases/download/v{}", self.repository, self.version)
    }
}

/// The archive of the Bazel module, as `MODULE.bazel` names it.
struct Module(String);

impl Module {
    fn of(release: &Release, base: &str, archive: &Path) -> Result<Self> {
        let bytes = fs::read(archive).context(archive.display())?;
        Ok(Self(format!(
            "bazel_dep(name = \"pylayer\", version = \"{version}\")\n\
             archive_override(\n    \
                 module_name = \"pylayer\",\n    \
                 integrity = \"sha256-{integrity}\",\n    \
                 strip_prefix = \"{prefix}\",\n    \
                 urls = [\"{base}/{file}\"],\n\
             )\n",
            version = release.version,
            integrity = STANDARD.encode(Sha256::digest(bytes)),
            prefix = release.name(),
            file = name(archive),
        )))
    }

    /// The lines that take it from there.
    fn lines(&self) -> &str {
        &self.0
    }
}

/// A worker that was built.
struct Binary {
    platform: &'static str,
    file: PathBuf,
}

/// Builds the worker for each target, and says for which that could not be.
fn binaries(
    project: &Project,
    release: &Release,
    targets: &[(&'static str, &str)],
    folder: &Path,
    skipped: &mut Vec<String>,
) -> Result<Vec<Binary>> {
    let triples: Vec<&str> = targets.iter().map(|(_, target)| *target).collect();
    let tools = match Tools::get(&triples) {
        Ok(tools) => tools,
        Err(error) => {
            skipped.push(format!("all binaries: {error}"));
            return Ok(Vec::new());
        }
    };
    let mut binaries = Vec::new();
    for (platform, target) in targets {
        ui::heading(format_args!("the worker for {platform}"));
        // The tools are there: what fails now is ours.
        let built = tools.build(project, target)?;
        let file = folder.join(format!("{}-{platform}", release.name()));
        fs::copy(&built, &file).context(built.display())?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).context(file.display())?;
        binaries.push(Binary { platform, file });
    }
    Ok(binaries)
}

fn lockfile(release: &Release, binaries: &[Binary], base: &str) -> Result<String> {
    let mut workers = serde_json::Map::new();
    for Binary { platform, file } in binaries {
        let worker = json!({"sha256": sha256(file)?, "urls": [format!("{base}/{}", name(file))]});
        workers.insert((*platform).to_owned(), worker);
    }
    let lock = json!({"version": release.version, "workers": workers});
    Ok(format!("{lock:#}\n"))
}

/// Writes what the worker is made of, as `CycloneDX` has it.
fn bill_of_materials(project: &Project, release: &Release, folder: &Path) -> Result<()> {
    let tools = project.folder("tools/cargo")?;
    let (program, stamp) = (tools.join("bin/cargo-cyclonedx"), tools.join("cyclonedx-version"));
    let (sh, cargo) = project.cargo()?;
    if !fs::read_to_string(&stamp).is_ok_and(|text| text == CYCLONEDX) {
        ui::heading("cargo-cyclonedx, for the bill of materials");
        cmd!(sh, "{cargo} install --locked --quiet {CYCLONEDX} --root {tools}").quiet().run()?;
        write(&stamp, CYCLONEDX)?;
    }
    // It writes beside each manifest of the workspace.
    let name = format!("{}.cdx", release.name());
    let command = cmd!(
        sh,
        "{program} cyclonedx --format=json --spec-version=1.5 --no-build-deps
         --target=x86_64-unknown-linux-musl --override-filename {name}"
    );
    // Neither a clock nor a random number is in it then.
    command.env("SOURCE_DATE_EPOCH", "0").quiet().run()?;
    let written = ["", "worker_protocol", "xtask"]
        .map(|member| project.root.join(member).join(format!("{name}.json")));
    let text = fs::read_to_string(&written[0]).context(written[0].display())?;
    written.iter().try_for_each(|file| fs::remove_file(file).context(file.display()))?;
    // Where the checkout lies concerns nobody.
    let text = text.replace(&project.root.display().to_string(), "/pylayer");
    write(&folder.join(format!("{name}.json")), &text)
}

/// Lines for `sha256sum --check`, of all files.
fn checksums(folder: &Path) -> Result<String> {
    let entries = fs::read_dir(folder).context(folder.display())?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let lines = files.iter().map(|file| Ok(format!("{}  {}\n", sha256(file)?, name(file))));
    lines.collect()
}

/// What the changelog says of the version, and how to take it.
fn notes(project: &Project, release: &Release, module: &Module) -> Result<String> {
    let changelog = project.root.join("CHANGELOG.md");
    let text = fs::read_to_string(&changelog).context(changelog.display())?;
    let Some(changes) = section(&text, &release.version) else {
        return Err(failure(format!(
            "{} has neither a section `## {}` nor `## Unreleased`",
            changelog.display(),
            release.version
        )));
    };
    Ok(format!(
        "## Use it\n\n\
         With Bazel 7 or later, in `MODULE.bazel`:\n\n\
         ```starlark\n{module}```\n\n\
         If the Bazel Central Registry has this version, the first line is enough.\n\n\
         At a shell, download the binary for your platform and `SHA256SUMS`; then:\n\n\
         ```sh\nsha256sum --check --ignore-missing SHA256SUMS\nchmod +x pylayer-*\n```\n\n\
         ## Changes\n\n{changes}\n",
        module = module.lines(),
    ))
}

/// A version's section of a changelog; what is not released, if there is none.
fn section<'a>(changelog: &'a str, version: &str) -> Option<&'a str> {
    let find = |title: &str| {
        let heading = format!("\n## {title}");
        let (_, rest) = changelog
            .split_once(&heading)
            .filter(|(_, rest)| rest.starts_with(|next: char| next.is_whitespace()))?;
        let rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        Some(rest.split("\n## ").next().unwrap_or(rest).trim())
    };
    find(version).or_else(|| find("Unreleased"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(path.display())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn sha256(path: &Path) -> Result<String> {
    Ok(session::hex(&Sha256::digest(fs::read(path).context(path.display())?)))
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn notes_are_the_versions_section() {
        let text = "# Changelog\n\n## Unreleased\n\n- new\n\n## 0.2.0 (2026-01-02)\n\n- two\n\n## 0.2\n\n- one\n";
        assert_eq!(section(text, "0.2.0"), Some("- two"));
        assert_eq!(section(text, "0.3.0"), Some("- new"));
        assert_eq!(section("# Changelog\n", "0.3.0"), None);
    }
}
