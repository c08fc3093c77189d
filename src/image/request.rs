//! A `pylayer image` request: its arguments as they are meant.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::arguments::{ImageArguments, Placed};
use super::encoding;
use crate::error::{Error, Result};
use crate::fs::Placing;
use crate::oci::Platform;

const HINT: &str = "`pylayer image --help` lists the flags";

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
    /// The request of these arguments.
    pub fn new(all: ImageArguments) -> Result<Self> {
        let layers = pair_up(all.layers)?;
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

/// Gives each layer its metadata: where there is one for each, in order, wherever they stand; else
/// what follows a layer is its own.
fn pair_up(given: Placed) -> Result<Vec<LayerArgument>> {
    let in_order = given.layers.len() == given.metadata.len();
    let places: Vec<usize> = given.layers.iter().map(|(place, _)| *place).collect();
    let bare = |(_, file)| LayerArgument { file, metadata: None };
    let mut layers: Vec<LayerArgument> = given.layers.into_iter().map(bare).collect();
    for (nth, (place, metadata)) in given.metadata.into_iter().enumerate() {
        let before = places.iter().take_while(|&&layer| layer < place).count();
        let owner = if in_order { Some(nth) } else { before.checked_sub(1) };
        match owner.and_then(|owner| layers.get_mut(owner)) {
            Some(layer) if layer.metadata.is_none() => layer.metadata = Some(metadata),
            _ => {
                let what = format!("`--metadata={}` belongs to no layer", metadata.display());
                return Err(Error::usage(what).hint(
                    "give one for each `--layer`, in the same order, or each right after its \
                     `--layer`",
                ));
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Action;

    fn parse(line: &str) -> Result<ImageRequest> {
        let arguments: Vec<OsString> =
            std::iter::once("image").chain(line.split_whitespace()).map(OsString::from).collect();
        match Action::parse(arguments, Path::new(""))? {
            Action::Image(request) => Ok(*request),
            other => panic!("{other:?}"),
        }
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
            ("--output=o --layer=a --workdir=app", "`app`"),
            ("--output=o --layer=a --exposed-port=0", "`0` is no port"),
            ("--output=o --layer=a --exposed-port=80/http", "80/http"),
            ("--output=o --layer=a --stop-signal=term", "SIGTERM"),
            ("--output=o --layer=a --platform=linux", "OS/ARCH"),
            ("--output=o --layer=a --created=-1", "`-1`"),
            ("--output=o --layer=a --created=99999999999999", "99999999999999"),
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
