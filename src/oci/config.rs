//! An image's config (OCI image-spec, config.md).

use std::collections::BTreeMap;

use oci_spec::image::{History, RootFs};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Platform;

/// A config, with all that a base image's has.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Config {
    /// When the image was made, as RFC 3339 has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// A GOARCH.
    #[serde(default)]
    pub architecture: String,
    /// A GOOS.
    #[serde(default)]
    pub os: String,
    /// Which of an architecture's kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// How a container runs.
    #[serde(default)]
    pub config: Option<RunConfig>,
    /// The layers' `diff_id`s, lowest first.
    pub rootfs: RootFs,
    /// Where the layers come from, lowest first.
    #[serde(default)]
    pub history: Option<Vec<History>>,
    /// What else there is.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How a container runs.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunConfig {
    /// A name or number, and a group's after a colon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `port/protocol`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Value>>,
    /// `NAME=VALUE`, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// The program, with its first arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The program's further arguments, or the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Folders that are a container's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, Value>>,
    /// Where the program starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// What is said about the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// How the program is asked to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// What else there is.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Config {
    /// The config of an image without layers.
    pub fn empty(platform: Platform) -> Self {
        let Platform { os, architecture, variant } = platform;
        let rootfs = RootFs::default();
        let (created, config, history) = (None, None, None);
        Self { created, architecture, os, variant, config, rootfs, history, rest: Map::new() }
    }
}
