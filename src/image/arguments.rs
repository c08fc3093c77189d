//! The arguments of `pylayer image`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser};

use super::encoding;
use crate::error::{Error, Result};
use crate::flags;
use crate::fs::Placing;
use crate::oci::Platform;

const HINT: &str = "`pylayer image --help` lists the flags";

/// Makes an OCI image layout of layers: a folder that skopeo, podman, crane, and umoci take.
///
/// The base image's config is kept and added to. The same input gives the same bytes.
#[derive(Debug, Parser)]
#[command(name = "pylayer image", no_binary_name = true, disable_version_flag = true)]
struct Arguments {
    /// The layout: a folder that does not exist, is empty, or is a layout, which is replaced
    #[arg(long, value_name = "DIR")]
    output: OsString,
    /// A layer, above the base's and those named before
    #[arg(long, value_name = "FILE")]
    layer: Vec<OsString>,
    /// What `pylayer layer --metadata` wrote of a layer, which then is not read: after its
    /// `--layer`, or one for each, in the same order
    #[arg(long, value_name = "FILE")]
    metadata: Vec<OsString>,
    /// The base image: an OCI image layout, such as `skopeo copy docker://IMAGE oci:DIR` makes
    #[arg(long, value_name = "DIR")]
    base: Option<OsString>,
    /// The program, then its first arguments, each with the flag; the base's command is dropped.
    /// A single empty one: the image has none
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// The program's further arguments, each with the flag. A single empty one: there are none
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    cmd: Vec<String>,
    /// A variable of the environment, in place of the base's
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// The user that the program runs as: a name or number, and a group's after a colon
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Where the program starts
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    workdir: Option<String>,
    /// Something to say of the image
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// A port that the program listens at [protocol: tcp]
    #[arg(long, value_name = "PORT[/PROTOCOL]", value_parser = port)]
    exposed_port: Vec<String>,
    /// A folder that is each container's own
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    volume: Vec<String>,
    /// The signal that asks the program to stop
    #[arg(long, value_name = "SIGNAL", value_parser = signal)]
    stop_signal: Option<String>,
    /// Which of the base's images is meant; without a base, what the image is for
    /// [default: the base's only one; linux/amd64]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = flags::parsed::<Platform>)]
    platform: Option<Platform>,
    /// The image's time, in seconds since 1970
    #[arg(long, value_name = "SECONDS", default_value = "1672560000", value_parser = time)]
    created: String,
    /// What the image is called in the layout [default: latest]
    #[arg(long, value_name = "NAME")]
    tag: Option<String>,
    /// Blobs may be hard links to the layers, where the file system cannot share blocks
    #[arg(long)]
    link: bool,
    /// A page that shows what is in the image: one HTML file that needs nothing else. It has every
    /// layer read
    #[arg(long, value_name = "FILE.html")]
    report: Option<OsString>,
}

/// A `pylayer image` request.
#[derive(Debug)]
pub struct ImageRequest {
    output: OsString,
    pub(super) layers: Vec<LayerArgument>,
    pub(super) base: Option<OsString>,
    pub(super) platform: Option<Platform>,
    pub(super) created: String,
    pub(super) tag: Option<String>,
    link: bool,
    report: Option<OsString>,
    pub(super) run: RunArguments,
}

/// A layer and its metadata.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct LayerArgument {
    pub(super) file: OsString,
    pub(super) metadata: Option<OsString>,
}

/// What a container is to be run like.
#[derive(Debug)]
pub(super) struct RunArguments {
    pub(super) entrypoint: Vec<String>,
    pub(super) cmd: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) user: Option<String>,
    pub(super) workdir: Option<String>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) ports: Vec<String>,
    pub(super) volumes: Vec<String>,
    pub(super) stop_signal: Option<String>,
}

impl ImageRequest {
    /// Reads the arguments after `image`.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let matches = Arguments::command().try_get_matches_from(arguments);
        let matches = matches.map_err(|error| flags::refused(&error, HINT))?;
        let all = Arguments::from_arg_matches(&matches);
        let all = all.map_err(|error| flags::refused(&error, HINT))?;
        let layers = pair_up(all.layer, all.metadata, &matches)?;
        if all.output == "-" {
            let what = "`--output=-`: an image is a folder, and is not written to standard output";
            return Err(Error::usage(what).hint(HINT));
        }
        if layers.is_empty() && all.base.is_none() {
            return Err(Error::usage("an image needs a `--layer` or a `--base`").hint(HINT));
        }
        Ok(Self {
            output: all.output,
            layers,
            base: all.base,
            platform: all.platform,
            created: all.created,
            tag: all.tag,
            link: all.link,
            report: all.report,
            run: RunArguments {
                entrypoint: texts(all.entrypoint),
                cmd: texts(all.cmd),
                env: pairs(all.env),
                user: all.user.map(encoding::text),
                workdir: all.workdir.map(encoding::text),
                labels: pairs(all.label),
                ports: all.exposed_port,
                volumes: texts(all.volume),
                stop_signal: all.stop_signal,
            },
        })
    }

    /// The folder that will be written.
    pub fn target(&self, base: &Path) -> PathBuf {
        encoding::path(base, &self.output)
    }

    /// The page that will be written.
    pub fn report(&self, base: &Path) -> Option<PathBuf> {
        self.report.as_ref().map(|report| encoding::path(base, report))
    }

    /// What the image's folder is called.
    pub(super) fn name(&self) -> String {
        self.output.to_string_lossy().into_owned()
    }

    /// All files and folders that are read.
    pub(super) fn sources(&self) -> impl Iterator<Item = &OsStr> {
        let layers =
            self.layers.iter().flat_map(|layer| [Some(&layer.file), layer.metadata.as_ref()]);
        layers.flatten().chain(&self.base).map(|source| &**source)
    }

    /// How blobs get into the layout.
    pub(super) fn placing(&self) -> Placing {
        if self.link { Placing::Link } else { Placing::Reflink }
    }
}

/// The help of `pylayer image`.
pub fn help() -> String {
    Arguments::command().render_long_help().to_string()
}

/// Gives each layer its metadata: where there is one for each, in order, wherever they stand; else
/// what follows a layer is its own.
fn pair_up(
    layers: Vec<OsString>,
    metadata: Vec<OsString>,
    matches: &ArgMatches,
) -> Result<Vec<LayerArgument>> {
    let in_order = layers.len() == metadata.len();
    let places = |name| matches.indices_of(name).into_iter().flatten();
    let layer_places: Vec<usize> = places("layer").collect();
    let bare = |file| LayerArgument { file, metadata: None };
    let mut layers: Vec<LayerArgument> = layers.into_iter().map(bare).collect();
    for (nth, (metadata, place)) in metadata.into_iter().zip(places("metadata")).enumerate() {
        let before = layer_places.iter().take_while(|&&layer| layer < place).count();
        let owner = if in_order { Some(nth) } else { before.checked_sub(1) };
        let name = metadata.display().to_string();
        let slot = owner.and_then(|owner| layers.get_mut(owner)).map(|layer| &mut layer.metadata);
        if slot
            .and_then(|slot| if slot.is_none() { Some(slot.insert(metadata)) } else { None })
            .is_none()
        {
            return Err(Error::usage(format!("`--metadata={name}` belongs to no layer")).hint(
                "give one for each `--layer`, in the same order, or each right after its `--layer`",
            ));
        }
    }
    Ok(layers)
}

fn texts(texts: Vec<String>) -> Vec<String> {
    texts.into_iter().map(encoding::text).collect()
}

fn pairs(pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    pairs.into_iter().map(|(name, value)| (encoding::text(name), encoding::text(value))).collect()
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn absolute(text: &str) -> Result<String, String> {
    let is_absolute = text.starts_with('/');
    if is_absolute { Ok(text.to_owned()) } else { Err("write a path from `/` on".to_owned()) }
}

fn port(text: &str) -> Result<String, String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse::<u16>() {
        Ok(number) if number > 0 && is_number && ["tcp", "udp", "sctp"].contains(&protocol) => {
            Ok(format!("{number}/{protocol}"))
        }
        _ => Err("write a port from 1 to 65535, and `/udp` or `/sctp` if it is no TCP".to_owned()),
    }
}

fn signal(text: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        let fits =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"+-".contains(&byte);
        !name.is_empty() && name.bytes().all(fits)
    };
    let number = text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    match text.strip_prefix("SIG") {
        Some(name) if is_name(name) => Ok(text.to_owned()),
        _ if number => Ok(text.to_owned()),
        _ => Err("write a name such as SIGTERM, or a number".to_owned()),
    }
}

/// Seconds since 1970, as RFC 3339 has them.
fn time(text: &str) -> Result<String, String> {
    let seconds = text.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map(|time| time.to_string()).ok_or_else(|| "write seconds since 1970".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<ImageRequest> {
        ImageRequest::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn metadata_belongs_to_its_layer_in_either_order() {
        let pairs = |line: &str| -> Vec<(String, Option<String>)> {
            let text = |text: OsString| text.into_string().unwrap();
            let layers = parse(&format!("--output=o {line}")).unwrap().layers;
            layers.into_iter().map(|it| (text(it.file), it.metadata.map(text))).collect()
        };
        let own =
            |name: &str, metadata: Option<&str>| (name.to_owned(), metadata.map(str::to_owned));
        let both = [own("a", Some("1")), own("b", Some("2"))];
        for line in [
            "--layer=a --layer=b --metadata=1 --metadata=2",
            "--layer=a --metadata=1 --layer b --metadata 2",
            "--metadata=1 --metadata=2 --layer=a --layer=b",
            "--metadata=1 --layer=a --metadata=2 --layer=b",
        ] {
            assert_eq!(pairs(line), both, "{line}");
        }
        assert_eq!(
            pairs("--layer=a --layer=b --metadata=2"),
            [own("a", None), own("b", Some("2"))]
        );
        for line in [
            "--metadata=1 --layer=a --layer=b",
            "--layer=a --metadata=1 --metadata=2",
            "--layer=a --metadata=1 --metadata=2 --layer=b --layer=c",
        ] {
            let error = parse(&format!("--output=o {line}")).unwrap_err();
            assert_eq!(error.fault().exit_code(), 2, "{line}: {error}");
        }
    }

    #[test]
    fn slips_are_usage_errors_that_name_them() {
        for (line, named) in [
            ("--layer=a", "--output"),
            ("--output=o", "--base"),
            ("--output=o --layer=a --env=A", "NAME=VALUE"),
            ("--output=o --layer=a --label==x", "NAME=VALUE"),
            ("--output=o --layer=a --workdir=app", "--workdir"),
            ("--output=o --layer=a --exposed-port=0", "--exposed-port"),
            ("--output=o --layer=a --exposed-port=80/http", "80/http"),
            ("--output=o --layer=a --stop-signal=term", "SIGTERM"),
            ("--output=o --layer=a --platform=linux", "OS/ARCH"),
            ("--output=o --layer=a --created=-1", "--created"),
            ("--output=o --layer=a --created=99999999999999", "--created"),
            ("--output=o --layer=a --user=u --user=v", "--user"),
            ("--output=o --layr=a", "--layer"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.fault().exit_code(), 2, "{line}");
            assert!(error.to_string().contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn values_may_look_like_flags() {
        let request = parse("--output=o --layer=a --cmd --port --cmd=-v --created=0").unwrap();
        assert_eq!(request.run.cmd, ["--port", "-v"]);
        assert_eq!(request.created, "1970-01-01T00:00:00Z");
    }
}
