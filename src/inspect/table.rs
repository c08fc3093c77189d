//! A summary for people.

use bytesize::ByteSize;
use comfy_table::{CellAlignment, Table, presets};

use super::summary::{Sum, Summary};

/// How wide the bar of the largest layer is.
const BAR: u64 = 24;

/// A size for people.
fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// A table whose columns but the last, which have numbers, are flush right.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for (index, column) in table.column_iter_mut().enumerate() {
        if index + 1 < header.len() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A heading and what is below it.
fn section(text: &mut String, heading: &str, table: &Table) {
    let lines = table.trim_fmt();
    let heading = if heading.is_empty() { String::new() } else { format!("{heading}\n") };
    *text = format!("{text}\n{heading}{lines}\n");
}

/// All of it, tables of at most so many rows.
pub(super) fn show(summary: &Summary, limit: usize) -> String {
    let mut text = head(summary);
    let most = summary.layers.iter().map(|layer| layer.size).max().unwrap_or(0).max(1);
    let mut layers = table(&[
        "Compressed",
        "Archive",
        "Files",
        "Members",
        "Codec",
        "",
        "Digest, and where from",
    ]);
    for layer in &summary.layers {
        let digest = &layer.digest.to_string()["sha256:".len()..][..12];
        let bar = usize::try_from(layer.size.saturating_mul(BAR).div_ceil(most)).unwrap_or(0);
        let bar = format!("{:<1$}", "█".repeat(bar), usize::try_from(BAR).unwrap_or(0));
        let from = layer.created_by.as_deref().unwrap_or_default();
        layers.add_row([
            size(layer.size),
            size(layer.archive_size),
            layer.files.to_string(),
            layer.members.to_string(),
            layer.codec.to_owned(),
            bar,
            crate::archive::show(format!("{digest} {from}").trim_end().as_bytes()),
        ]);
    }
    let is_image = summary.image.is_some();
    section(&mut text, if is_image { "Layers" } else { "Layer" }, &layers);
    text.push_str(&pull(summary));

    sums(&mut text, "Packages", &summary.packages, limit, |sum| match (&*sum.name, &sum.version) {
        ("", _) => "(no Python package)".to_owned(),
        (name, Some(version)) => format!("{name} {version}"),
        (name, None) => name.to_owned(),
    });
    let directories: Vec<Sum> = telling(&summary.directories);
    sums(&mut text, "Directories", &directories, limit, |sum| format!("{}/", sum.name));

    let mut files: Vec<_> = summary.entries.iter().filter(|entry| entry.bytes > 0).collect();
    files.sort_by(|a, b| (b.bytes, &a.path).cmp(&(a.bytes, &b.path)));
    let mut largest = table(&["Size", "Compressed", "Largest files"]);
    for entry in files.iter().take(limit) {
        let path = crate::archive::show(entry.path.as_bytes());
        largest.add_row([size(entry.bytes), size(entry.compressed), path]);
    }
    if !files.is_empty() {
        section(&mut text, "", &largest);
    }
    if !summary.duplicates.is_empty() {
        let wasted = summary.duplicates.iter().map(|it| it.wasted).sum();
        let mut twice = table(&["Wasted", "Times", "The same content"]);
        for duplicate in summary.duplicates.iter().take(limit) {
            let paths = &duplicate.paths;
            let shown = paths.iter().take(2).cloned().collect::<Vec<_>>().join(", ");
            let more = if paths.len() > 2 { ", …" } else { "" };
            twice.add_row([size(duplicate.wasted), paths.len().to_string(), shown + more]);
        }
        section(&mut text, &format!("{} is there more than once", size(wasted)), &twice);
    }
    if let Some(first) = summary.overridden.first() {
        let count = summary.overridden.len();
        text = format!("{text}\n{count} paths are in more than one layer, such as {first}\n");
    }
    for (number, layer) in summary.layers.iter().enumerate().filter(|(_, it)| it.trailing > 0) {
        let bytes = layer.trailing;
        text = format!(
            "{text}\nLayer {number}: {bytes} bytes follow the archive's end, which no tool extracts\n"
        );
    }
    text
}

/// The first lines.
fn head(summary: &Summary) -> String {
    let Summary { path, compressed, bytes, layers, .. } = summary;
    let files: u64 = layers.iter().map(|layer| layer.files).sum();
    let plural = if files == 1 { "" } else { "s" };
    let sizes =
        format!("{} compressed, {} in {files} file{plural}", size(*compressed), size(*bytes));
    let path = crate::archive::show(path.as_bytes());
    match (&summary.image, &**layers) {
        (Some(image), _) => {
            let mut text = format!(
                "{path}: image for {}, {}, {sizes}\nmanifest    {}\n",
                image.platform,
                if layers.len() == 1 {
                    "1 layer".to_owned()
                } else {
                    format!("{} layers", layers.len())
                },
                image.digest
            );
            for (name, value) in config(summary) {
                text = format!("{text}{name:<11} {}\n", crate::archive::show(value.as_bytes()));
            }
            text
        }
        (None, [layer]) if summary.segment.is_some() => format!(
            "{path}: segment of package `{}`, {sizes}\ndigest      {} of the members\n",
            crate::archive::show(summary.segment.as_deref().unwrap_or_default().as_bytes()),
            layer.digest
        ),
        (None, [layer]) => format!(
            "{path}: layer, {sizes}\ndigest      {}\ndiff_id     {}\n",
            layer.digest, layer.diff_id
        ),
        (None, _) => format!("{path}: {sizes}\n"),
    }
}

/// How a container runs, in words of the command line.
pub(super) fn config(summary: &Summary) -> Vec<(&'static str, String)> {
    let Some(image) = &summary.image else { return Vec::new() };
    let keys = [
        ("Entrypoint", "entrypoint"),
        ("Cmd", "command"),
        ("User", "user"),
        ("WorkingDir", "directory"),
        ("Env", "environment"),
        ("Labels", "labels"),
        ("ExposedPorts", "ports"),
        ("Volumes", "volumes"),
        ("StopSignal", "stop signal"),
    ];
    let told = keys.into_iter().filter(|(key, _)| !image.config[*key].is_null());
    told.map(|(key, name)| (name, image.config[key].to_string())).collect()
}

/// What pullers make of it.
pub(super) fn pull(summary: &Summary) -> String {
    let pull = &summary.pull;
    let mut text = String::new();
    if summary.layers.len() > 1 {
        text = format!(
            "Three layers at a time, as Docker and containerd fetch them: a pull waits for {} of {}; \
             the largest layer is {}.\n",
            size(pull.three_at_a_time),
            size(summary.compressed),
            size(pull.largest_layer)
        );
    }
    format!("{text}A lazy puller reads {} for one file on average.\n", size(pull.one_file))
}

/// The directories that tell something: not those of which one directory below has nearly all.
fn telling(directories: &[Sum]) -> Vec<Sum> {
    let has_nearly_all = |inner: &Sum, outer: &Sum| {
        inner.bytes.saturating_mul(20) > outer.bytes.saturating_mul(19)
            && inner.name.starts_with(&format!("{}/", outer.name))
    };
    let few = &directories[..directories.len().min(400)];
    let telling = few.iter().filter(|outer| !few.iter().any(|inner| has_nearly_all(inner, outer)));
    telling.cloned().collect()
}

/// A table of sums.
fn sums(text: &mut String, what: &str, all: &[Sum], limit: usize, name: impl Fn(&Sum) -> String) {
    if all.is_empty() {
        return;
    }
    let mut rows = table(&["Size", "Compressed", "Files", what]);
    for sum in all.iter().take(limit) {
        let name = crate::archive::show(name(sum).as_bytes());
        rows.add_row([size(sum.bytes), size(sum.compressed), sum.files.to_string(), name]);
    }
    section(text, "", &rows);
    if all.len() > limit {
        *text = format!("{text}and {} more\n", all.len() - limit);
    }
}
