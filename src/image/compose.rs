//! The config of an image: the base's, with what is added to it.

use oci_spec::image::{History, HistoryBuilder};

use super::given::Given;
use super::request::{ImageRequest, RunArguments};
use crate::error::Result;
use crate::oci::{Config, RunConfig};

/// Adds to a base's config what a request asks for, and those of the given layers that are taken.
pub(super) fn config(
    config: &mut Config,
    request: &ImageRequest,
    given: &[Given],
    taken: &[usize],
) -> Result<()> {
    run(config.config.get_or_insert_default(), &request.run);
    let mut history = history_of_base(config)?;
    let mut diff_ids = config.rootfs.diff_ids().clone();
    for (index, layer) in given.iter().enumerate() {
        if taken.contains(&index) {
            diff_ids.push(layer.diff_id.to_string());
            if !layer.history.is_empty() {
                history.extend(layer.history.iter().cloned());
                continue;
            }
        }
        let entry = HistoryBuilder::default()
            .created(&*request.created)
            .created_by(format!("pylayer image: {}", layer.name));
        let entry = if taken.contains(&index) { entry } else { entry.empty_layer(true) };
        history.push(entry.build().map_err(super::invalid)?);
    }
    config.rootfs.set_diff_ids(diff_ids);
    config.history = (!history.is_empty()).then_some(history);
    config.created = Some(request.created.clone());
    Ok(())
}

/// The base's history, with an entry for each of its layers: tools that show layers beside their
/// history refuse an image that has fewer of these.
fn history_of_base(config: &mut Config) -> Result<Vec<History>> {
    let mut history = config.history.take().unwrap_or_default();
    let told = history.iter().filter(|entry| entry.empty_layer() != Some(true)).count();
    for _ in told..config.rootfs.diff_ids().len() {
        let entry = HistoryBuilder::default().created_by("a layer of the base image");
        history.push(entry.build().map_err(super::invalid)?);
    }
    Ok(history)
}

/// Says how a container runs.
fn run(config: &mut RunConfig, arguments: &RunArguments) {
    let RunArguments { entrypoint, cmd, env, user, workdir, labels, ports, volumes, stop_signal } =
        arguments;
    if !entrypoint.is_empty() {
        config.entrypoint = words(entrypoint);
        // The base's arguments are for the base's program.
        config.cmd = None;
    }
    if !cmd.is_empty() {
        config.cmd = words(cmd);
    }
    for (name, value) in env {
        let all = config.env.get_or_insert_default();
        let line = format!("{name}={value}");
        let is_it = |line: &String| line.split('=').next() == Some(name);
        match all.iter_mut().find(|line| is_it(line)) {
            Some(place) => *place = line,
            None => all.push(line),
        }
    }
    for (name, value) in labels {
        config.labels.get_or_insert_default().insert(name.clone(), value.clone());
    }
    for port in ports {
        let object = serde_json::Value::Object(serde_json::Map::new());
        config.exposed_ports.get_or_insert_default().insert(port.clone(), object);
    }
    for volume in volumes {
        let object = serde_json::Value::Object(serde_json::Map::new());
        config.volumes.get_or_insert_default().insert(volume.clone(), object);
    }
    for (place, value) in [
        (&mut config.user, user),
        (&mut config.working_dir, workdir),
        (&mut config.stop_signal, stop_signal),
    ] {
        if value.is_some() {
            place.clone_from(value);
        }
    }
}

/// The words of a command; a single empty one says that there is none.
fn words(words: &[String]) -> Option<Vec<String>> {
    (words != [""]).then(|| words.to_vec())
}
