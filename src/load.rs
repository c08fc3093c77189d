//! `pylayer load`: hands an image of a layout to docker or podman.
//!
//! Both read an archive on standard input: Docker's form of 2016, `manifest.json` and the files that
//! it names. Docker without containerd's image store takes no other.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use clap::Parser;

use crate::error::{Error, Fault, Result};
use crate::flags;
use crate::fs::{self, Input};
use crate::layer::CancelCheck;
use crate::oci::{self, Descriptor, Image, Layout, Platform};

/// What an image may be handed to, the first that is installed.
const PROGRAMS: [&str; 2] = ["docker", "podman"];

/// Hands an image to docker or podman, which can then run it
#[derive(Debug, Parser)]
pub struct LoadRequest {
    /// The image: a folder that is an OCI image layout
    #[arg(value_name = "DIR")]
    layout: OsString,
    /// A name for the image; may be repeated
    /// [default: the folder's name, and what the layout calls the image]
    #[arg(long, value_name = "NAME[:TAG]")]
    tag: Vec<String>,
    /// The program that loads it: `PROGRAM load` has to read Docker's archives on its standard input
    /// [default: docker, or else podman]
    #[arg(long, value_name = "PROGRAM")]
    program: Option<OsString>,
    /// Which image of the layout is meant
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = flags::parsed::<Platform>)]
    platform: Option<Platform>,
}

/// Loads an image; what the program prints goes where this process's output goes.
pub fn load(request: &LoadRequest, base: &Path, check: CancelCheck<'_>) -> Result<()> {
    let path = base.join(&request.layout);
    let layout = Layout::open(&path)?;
    let image = layout.image(request.platform.as_ref())?;
    let mut names: Vec<String> = request.tag.iter().map(|name| tagged(name)).collect();
    if names.is_empty() {
        names.push(default_name(&path, &image));
    }
    let manifest = serde_json::json!([{
        "Config": place(image.manifest.config()),
        "RepoTags": names,
        "Layers": image.manifest.layers().iter().map(place).collect::<Vec<_>>(),
    }]);
    let manifest = oci::json(&manifest)?;
    // All that can be missing is opened before anything is started.
    let blobs = [image.manifest.config()].into_iter().chain(image.manifest.layers());
    let blobs = blobs.map(|blob| Ok((place(blob), layout.blob(blob)?))).collect::<Result<_>>()?;

    let (program, mut child) = start(request, &path)?;
    let sent = match child.stdin.take() {
        Some(pipe) => send(pipe, &manifest, blobs, check),
        None => Ok(()),
    };
    let failed = |what: String| Error::new(Fault::Environment, what);
    let status = child
        .wait()
        .map_err(|source| failed(format!("cannot wait for `{program} load`")).because(source))?;
    if !status.success() {
        // Why, it has said itself.
        return Err(failed(format!("`{program} load` failed: {status}"))
            .hint("its own message is above; `--program` names another program"));
    }
    sent
}

/// The image's name where nobody says one.
fn default_name(path: &Path, image: &Image) -> String {
    let reference = image.name.reference.as_deref().unwrap_or("latest");
    if reference.contains([':', '/']) {
        return tagged(reference);
    }
    let whole = fs::canonical(path);
    let folder = whole.as_deref().unwrap_or(path).file_name().unwrap_or_default();
    format!("{}:{reference}", folder.to_string_lossy().to_lowercase())
}

/// A name with a tag: Docker drops names that have none.
fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains(':') { name.to_owned() } else { format!("{name}:latest") }
}

/// Where a blob is in the archive.
fn place(blob: &Descriptor) -> String {
    format!("blobs/{}", blob.digest().to_string().replace(':', "/"))
}

/// Starts the program that is asked for, or the first that is there.
fn start(request: &LoadRequest, path: &Path) -> Result<(String, Child)> {
    let programs = match &request.program {
        Some(program) => vec![program.clone()],
        None => PROGRAMS.map(OsString::from).to_vec(),
    };
    for program in &programs {
        let name = program.display().to_string();
        match Command::new(program).arg("load").stdin(Stdio::piped()).spawn() {
            Ok(child) => return Ok((name, child)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                let what = format!("cannot start `{name}`");
                return Err(Error::new(Fault::Environment, what).because(source));
            }
        }
    }
    let names = programs.iter().map(|program| format!("`{}`", program.display()));
    let what = format!("{} cannot be found, to load", names.collect::<Vec<_>>().join(" or "));
    let copy = format!("skopeo copy oci:{} docker://REGISTRY/NAME", path.display());
    Err(Error::new(Fault::Environment, what)
        .at(path)
        .hint(format!("install one of them, or copy the image to where it is to run: `{copy}`")))
}

/// Sends the archive.
fn send(
    pipe: impl Write,
    manifest: &[u8],
    blobs: Vec<(String, Input)>,
    check: CancelCheck<'_>,
) -> Result<()> {
    let broken = |source| Error::new(Fault::Environment, "cannot hand over").because(source);
    let mut archive = tar::Builder::new(pipe);
    let mut add = |name: &str, size, content: &mut dyn Read| {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, name, content).map_err(broken)
    };
    add("manifest.json", manifest.len() as u64, &mut &*manifest)?;
    for (name, input) in blobs {
        check()?;
        add(&name, input.size(), &mut Content(input))?;
    }
    let mut pipe = archive.into_inner().map_err(broken)?;
    pipe.flush().map_err(broken)
}

/// A blob's bytes, as many as there were when it was opened.
struct Content(Input);

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| io::Error::other(error.to_string()))
    }
}
