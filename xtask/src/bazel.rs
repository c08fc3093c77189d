//! Bazel with an output folder of its own, and what its builds report.
//!
//! Which layers a build has, in order, is in its build events; which actions ran, and how, in its
//! execution log; how long each took, in its profile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::shell::{self, Context as _, Result, failure};
use crate::sid;

/// A workspace and its server, which is shut down when this is dropped.
#[derive(Debug)]
pub struct Bazel {
    program: PathBuf,
    workspace: PathBuf,
    folder: PathBuf,
    output_base: Option<PathBuf>,
    worker: PathBuf,
    shown: bool,
}

/// What a build did.
#[derive(Debug)]
pub struct Build {
    /// Whether it succeeded.
    pub success: bool,
    /// What Bazel said, if it was not shown.
    pub said: String,
    /// The layers of the target, in order; none if it failed.
    pub layers: Vec<Layer>,
    /// What was run; nothing that was up to date.
    pub actions: Vec<Action>,
    /// From start to end.
    pub time: Duration,
}

/// A layer that is among the outputs.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Layer {
    /// The blob.
    pub blob: PathBuf,
    /// The JSON about it.
    pub metadata: PathBuf,
}

/// An action that ran.
#[derive(Clone, Debug)]
pub struct Action {
    /// What kind it is of.
    pub mnemonic: String,
    /// How it ran: `worker`, `local`, `linux-sandbox`, and so on.
    pub runner: String,
    /// Its inputs, relative to the execution root, and their sizes in bytes.
    pub inputs: Vec<(String, u64)>,
    /// Its outputs, likewise.
    pub outputs: Vec<String>,
    /// From start to end, if the profile has it.
    pub time: Option<Duration>,
}

impl Action {
    /// Whether it made a layer.
    pub fn is_layer(&self) -> bool {
        ["PyImagePkgLayer", "PyImageMergedLayer", "PyImageLayer"].contains(&&*self.mnemonic)
    }

    /// Whether it made a package's segment, for layers of several packages.
    pub fn is_segment(&self) -> bool {
        self.mnemonic == "PyImageSegment"
    }

    /// Whether it made this file, which may be named by its absolute path.
    pub fn made(&self, file: &Path) -> bool {
        self.outputs.iter().any(|output| file.ends_with(output))
    }
}

impl Bazel {
    /// Bazel in a workspace. All that it writes goes to `folder`; `worker` makes the layers.
    pub fn new(workspace: &Path, folder: &Path, worker: &Path) -> Result<Self> {
        fs::create_dir_all(folder).context(folder.display())?;
        Ok(Self {
            program: sid::bazel()?,
            workspace: workspace.to_path_buf(),
            folder: folder.to_path_buf(),
            output_base: None,
            worker: worker.to_path_buf(),
            shown: false,
        })
    }

    /// With an output base of its own, and so a server of its own.
    #[must_use]
    pub fn with_output_base(mut self, name: &str) -> Self {
        self.output_base = Some(self.folder.join(name));
        self
    }

    /// With another worker.
    #[must_use]
    pub fn with_worker(mut self, worker: &Path) -> Self {
        self.worker = worker.to_path_buf();
        self
    }

    /// With what Bazel says shown, and not kept.
    #[must_use]
    pub fn shown(mut self) -> Self {
        self.shown = true;
        self
    }

    /// A command of Bazel's, such as `build`.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.workspace).env("PYLAYER_BINARY", &self.worker);
        // The system's file has to be read: in Debian's it says where Bazel itself is.
        command.arg("--nohome_rc").arg(flag("--output_user_root=", &self.folder.join("root")));
        if let Some(output_base) = &self.output_base {
            command.arg(flag("--output_base=", output_base));
        }
        command.arg(name);
        let color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if color || !self.shown {
            command.arg("--color=no");
        }
        if !self.shown {
            command.arg("--curses=no");
        }
        command
    }

    /// A command of Bazel's that builds: `build` or `test`.
    pub fn building(&self, name: &str) -> Command {
        let mut command = self.command(name);
        // Debian's Bazel has its sandbox tell each system call; and the checkout needs no links.
        command.args(["--nosandbox_debug", "--symlink_prefix=/"]);
        command
    }

    /// Builds a target with its metadata. A build that fails is no error.
    pub fn build(&self, target: &str, options: &[&str]) -> Result<Build> {
        let report = |name: &str| self.folder.join(name);
        let (events, log, profile) =
            (report("events.json"), report("actions.json"), report("profile.json"));
        for stale in [&events, &log, &profile] {
            drop(fs::remove_file(stale));
        }
        let mut command = self.building("build");
        command
            .args([target, "--output_groups=+metadata", "--show_result=0", "--noslim_profile"])
            .arg("--experimental_profile_include_primary_output")
            .arg(flag("--build_event_json_file=", &events))
            .arg(flag("--execution_log_json_file=", &log))
            .arg(flag("--profile=", &profile))
            .args(options);
        if self.shown {
            command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
        }
        let start = Instant::now();
        let output = shell::output(&mut command)?;
        let time = start.elapsed();
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Build {
            success: output.status.success(),
            said,
            layers: layers(&read(&events), &|| self.output_base())?,
            actions: actions(&read(&log), &read(&profile))?,
            time,
        })
    }

    /// Forgets all outputs, but neither the server nor what was fetched.
    pub fn clean(&self) -> Result<()> {
        self.quietly("clean", &[]).map(drop)
    }

    /// Ends the server and its workers; the next command starts another one.
    pub fn shut_down(&self) -> Result<()> {
        self.quietly("shutdown", &[]).map(drop)
    }

    /// The server's output base.
    pub fn output_base(&self) -> Result<PathBuf> {
        if let Some(output_base) = &self.output_base {
            return Ok(output_base.clone());
        }
        Ok(PathBuf::from(self.quietly("info", &["output_base"])?.trim()))
    }

    /// The server's process.
    pub(crate) fn server(&self) -> Result<String> {
        Ok(self.quietly("info", &["server_pid"])?.trim().to_owned())
    }

    /// Where the outputs of the target configuration are: `bazel-bin`.
    pub fn bin(&self) -> Result<PathBuf> {
        Ok(PathBuf::from(self.quietly("info", &["bazel-bin"])?.trim()))
    }

    fn quietly(&self, name: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(name);
        let output = shell::output(command.args(arguments))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(failure(format!("`{}` failed:\n{said}", shell::display(&command))))
    }
}

impl Drop for Bazel {
    fn drop(&mut self) {
        // A server that cannot be reached goes by itself when nobody has asked for hours.
        drop(self.shut_down());
    }
}

/// The folder of a repository among others, in an image's runfiles or in `external`: a repository
/// that a module extension made has a canonical name that ends with its own.
pub fn repository(folder: &Path, name: &str) -> Result<PathBuf> {
    let folders = fs::read_dir(folder).context(folder.display())?;
    let ends = |path: &PathBuf| {
        let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        path.is_dir() && (own == name || own.rsplit(['~', '+']).next() == Some(name))
    };
    let mut found = folders.flatten().map(|folder| folder.path()).filter(ends);
    found.next().ok_or_else(|| failure(format!("no repository {name} in {}", folder.display())))
}

fn flag(name: &str, path: &Path) -> std::ffi::OsString {
    let mut flag = std::ffi::OsString::from(name);
    flag.push(path);
    flag
}

/// JSON values, one after another.
fn values(text: &str) -> Result<Vec<Value>> {
    let values = serde_json::Deserializer::from_str(text).into_iter();
    values.collect::<Result<_, _>>().context("Bazel reports no JSON")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The layers of the one target, from its build events.
fn layers(events: &str, output_base: &dyn Fn() -> Result<PathBuf>) -> Result<Vec<Layer>> {
    let events = values(events)?;
    let groups = events.iter().flat_map(|event| list(&event["completed"]["outputGroup"]));
    let (mut blobs, mut metadata) = (Vec::new(), Vec::new());
    for group in groups {
        let files = match group["name"].as_str() {
            Some("default") => &mut blobs,
            Some("metadata") => &mut metadata,
            _ => continue,
        };
        collect(&events, list(&group["fileSets"]), output_base, files)?;
    }
    // The target of a failed build may have some of its files.
    if blobs.len() != metadata.len() {
        return Ok(Vec::new());
    }
    let pairs = blobs.into_iter().zip(metadata);
    Ok(pairs.map(|(blob, metadata)| Layer { blob, metadata }).collect())
}

/// The files of sets, which may hold sets in turn.
fn collect(
    events: &[Value],
    sets: &[Value],
    output_base: &dyn Fn() -> Result<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<()> {
    for set in sets {
        let event = events.iter().find(|event| event["id"]["namedSet"]["id"] == set["id"]);
        let Some(event) = event else { continue };
        let named = &event["namedSetOfFiles"];
        collect(events, list(&named["fileSets"]), output_base, files)?;
        for file in list(&named["files"]) {
            let uri = text(&file["uri"]);
            // What a remote cache has is named by its place there.
            files.push(if let Some(path) = uri.strip_prefix("file://") {
                PathBuf::from(path)
            } else {
                let above = list(&file["pathPrefix"]).iter().map(text);
                let below: PathBuf = above.chain([text(&file["name"])]).collect();
                output_base()?.join("execroot/_main").join(below)
            });
        }
    }
    Ok(())
}

/// What ran, from the execution log and the profile.
fn actions(log: &str, profile: &str) -> Result<Vec<Action>> {
    let profile = values(profile)?;
    let time = |outputs: &[String]| {
        let mut events = profile.iter().flat_map(|profile| list(&profile["traceEvents"]));
        let event = events.find(|event| {
            event["cat"] == "action processing"
                && event["out"].as_str().is_some_and(|out| outputs.iter().any(|path| path == out))
        })?;
        Some(Duration::from_micros(event["dur"].as_u64()?))
    };
    let log = values(log)?;
    let actions = log.iter().map(|spawn| {
        let outputs: Vec<String> = list(&spawn["listedOutputs"]).iter().map(text).collect();
        let inputs = list(&spawn["inputs"]).iter().map(|input| {
            let size = &input["digest"]["sizeBytes"];
            // 64-bit numbers are text in protobuf's JSON.
            let size = size.as_u64().or_else(|| size.as_str()?.parse().ok());
            (text(&input["path"]), size.unwrap_or_default())
        });
        Action {
            inputs: inputs.collect(),
            mnemonic: text(&spawn["mnemonic"]),
            runner: text(&spawn["runner"]),
            time: time(&outputs),
            outputs,
        }
    });
    Ok(actions.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_in_the_order_of_the_target_and_sets_may_hold_sets() {
        let events = r#"
            {"id":{"namedSet":{"id":"0"}},"namedSetOfFiles":{"files":[{"uri":"file:///o/a"}]}}
            {"id":{"namedSet":{"id":"1"}},"namedSetOfFiles":
                {"files":[{"uri":"file:///o/b"}],"fileSets":[{"id":"0"}]}}
            {"id":{"namedSet":{"id":"2"}},"namedSetOfFiles":
                {"files":[{"uri":"file:///o/a.json"},{"uri":"file:///o/b.json"}]}}
            {"id":{"targetCompleted":{}},"completed":{"success":true,"outputGroup":[
                {"name":"default","fileSets":[{"id":"1"}]},
                {"name":"metadata","fileSets":[{"id":"2"}]}]}}"#;
        let no_base = || Err(failure("all files are here"));
        let layer = |name: &str| Layer {
            blob: PathBuf::from(format!("/o/{name}")),
            metadata: PathBuf::from(format!("/o/{name}.json")),
        };
        assert_eq!(layers(events, &no_base).unwrap(), [layer("a"), layer("b")]);
        assert_eq!(layers("", &no_base).unwrap(), []);
    }

    #[test]
    fn actions_have_the_time_of_their_profile() {
        let log = r#"{"mnemonic":"PyImageLayer","runner":"worker","listedOutputs":["o/a","o/b"],
                      "inputs":[{"path":"i","digest":{"sizeBytes":"12"}},{"path":"e"}]}
                     {"mnemonic":"Other","runner":"local","listedOutputs":["o/c"]}"#;
        let profile = r#"{"traceEvents":[
            {"cat":"critical path component","out":"o/a","dur":7},
            {"cat":"action processing","name":"x","out":"o/a","dur":1500}]}"#;
        let actions = actions(log, profile).unwrap();
        assert!(actions[0].is_layer() && !actions[1].is_layer());
        assert_eq!(actions[0].time, Some(Duration::from_micros(1500)));
        assert_eq!(actions[1].time, None);
        assert_eq!(actions[0].inputs, [("i".to_owned(), 12), ("e".to_owned(), 0)]);
        assert!(actions[0].made(Path::new("/base/o/b")) && !actions[0].made(Path::new("/o/c")));
    }
}
