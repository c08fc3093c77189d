//! The arguments of `pylayer image`.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Parser, value_parser};

use crate::flags;
use crate::oci::Platform;

/// Makes an OCI image layout of layers, for skopeo, podman, crane, and umoci
#[derive(Debug, Parser)]
#[command(
    override_usage = "pylayer image --output=DIR [OPTIONS]",
    after_help = "The base image's config is kept and added to. The same input gives the same bytes."
)]
pub struct ImageArguments {
    /// The layout: a folder that does not exist, is empty, or is a layout, which is replaced
    #[arg(long, value_name = "DIR")]
    pub(super) output: OsString,
    #[command(flatten)]
    pub(super) layers: Placed,
    /// The base image: an OCI image layout, such as `skopeo copy docker://IMAGE oci:DIR` makes
    #[arg(long, value_name = "DIR")]
    pub(super) base: Option<OsString>,
    /// The program, then its first arguments, each with the flag; the base's command is dropped.
    /// A single empty one means that the image has no entry point
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(super) entrypoint: Vec<String>,
    /// The program's further arguments, each with the flag. A single empty one means that
    /// there are none
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(super) cmd: Vec<String>,
    /// A variable of the environment, in place of the base's
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) env: Vec<(String, String)>,
    /// The user that the program runs as: a name or number, and a group's after a colon
    #[arg(long, value_name = "USER[:GROUP]")]
    pub(super) user: Option<String>,
    /// The directory that the program starts in
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    pub(super) workdir: Option<String>,
    /// A label of the image, in place of the base's
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) label: Vec<(String, String)>,
    /// A port that the program listens on [protocol: tcp]
    #[arg(long, value_name = "PORT[/PROTOCOL]", value_parser = port)]
    pub(super) exposed_port: Vec<String>,
    /// A folder that is each container's own
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    pub(super) volume: Vec<String>,
    /// The signal that asks the program to stop
    #[arg(long, value_name = "SIGNAL", value_parser = signal)]
    pub(super) stop_signal: Option<String>,
    /// Which of the base's images is meant; without a base, what the image is for
    /// [default: the base's only one; linux/amd64]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = flags::parsed::<Platform>)]
    pub(super) platform: Option<Platform>,
    /// The image's time, in seconds since 1970
    #[arg(long, value_name = "SECONDS", default_value = "1672560000", value_parser = time)]
    pub(super) created: String,
    /// What the image is called in the layout [default: latest]
    #[arg(long, value_name = "NAME")]
    pub(super) tag: Option<String>,
    /// Blobs may be hard links to the layers, where the file system cannot share blocks
    #[arg(long)]
    pub(super) link: bool,
    /// A page that shows what is in the image: one HTML file that needs nothing else. It has every
    /// layer read
    #[arg(long, value_name = "FILE.html")]
    pub(super) report: Option<OsString>,
}

/// The layers and their metadata, each with its place among all arguments.
#[derive(Debug, Default)]
pub(super) struct Placed {
    pub(super) layers: Vec<(usize, OsString)>,
    pub(super) metadata: Vec<(usize, OsString)>,
}

impl Args for Placed {
    fn augment_args(command: Command) -> Command {
        let flag = |name: &'static str, help: &'static str| {
            let flag = Arg::new(name).long(name).value_name("FILE").action(ArgAction::Append);
            flag.value_hint(clap::ValueHint::FilePath)
                .value_parser(value_parser!(OsString))
                .help(help)
        };
        command.arg(flag("layer", "A layer, above the base's and those named before")).arg(flag(
            "metadata",
            "What `pylayer layer --metadata` wrote about a layer, which is then not read: \
             after its --layer, or one for each layer, in the same order",
        ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Placed {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let all = |name: &str| {
            let values = matches.get_many::<OsString>(name).into_iter().flatten().cloned();
            matches.indices_of(name).into_iter().flatten().zip(values).collect()
        };
        Ok(Self { layers: all("layer"), metadata: all("metadata") })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not NAME=VALUE")),
    }
}

fn absolute(text: &str) -> Result<String, String> {
    let is_absolute = text.starts_with('/');
    if is_absolute { Ok(text.to_owned()) } else { Err(format!("`{text}` is no path from `/` on")) }
}

fn port(text: &str) -> Result<String, String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    match number.parse::<u16>() {
        Ok(number) if number > 0 && is_number && ["tcp", "udp", "sctp"].contains(&protocol) => {
            Ok(format!("{number}/{protocol}"))
        }
        _ => Err(format!(
            "`{text}` is no port from 1 to 65535, with /tcp, /udp, or /sctp or nothing"
        )),
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
        _ => Err(format!("`{text}` is no signal: write a name such as SIGTERM, or a number")),
    }
}

/// Seconds since 1970, as RFC 3339 has them.
fn time(text: &str) -> Result<String, String> {
    let seconds = text.parse::<i64>().ok().filter(|seconds| *seconds >= 0);
    let time = seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map(|time| time.to_string())
        .ok_or_else(|| format!("`{text}` is no time in seconds since 1970"))
}
