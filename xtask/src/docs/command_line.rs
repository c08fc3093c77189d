//! The pages about the command line: what `--help` prints, which comes from what reads the flags.

use std::path::Path;

use xshell::{Shell, cmd};

use crate::project::Project;
use crate::shell::{self, Result};

const LAYERS: [&str; 2] = ["layer", "segment"];
const IMAGES: [&str; 4] = ["image", "load", "inspect", "diff"];

const HEAD: &str = "\
# Command line

<!-- Written by `cargo xtask docs` from the output of `pylayer help`. -->

Arguments mean the same at a shell, in a file (`pylayer @FILE`, one argument per line), and in a
`WorkRequest` from Bazel. Write `--flag=value` or `--flag value`.

`layer` and `segment` are in [Command line: layers](command-line-layers.md); `image`, `load`, `inspect`,
and `diff` are in [Command line: images](command-line-images.md).

| Exit code | Meaning                                                          |
| --------: | ---------------------------------------------------------------- |
|         0 | Success                                                          |
|         1 | The input is at fault; for `pylayer diff`, the two are different |
|         2 | The command line is wrong                                        |
|         3 | The environment is at fault: a full disk, a missing permission   |
|        70 | A bug in pylayer                                                 |
";

const HEAD_OF_LAYERS: &str = "\
# Command line: layers

<!-- Written by `cargo xtask docs` from the output of `pylayer help`. -->

[How a layer is made](../explanation/layer.md) explains what these commands do, and
[Command line](command-line.md) has the startup flags and the exit codes.
";

const HEAD_OF_IMAGES: &str = "\
# Command line: images

<!-- Written by `cargo xtask docs` from the output of `pylayer help`. -->

[Images, inspect, diff](images.md) explains what these commands do, and
[Command line](command-line.md) has the startup flags and the exit codes.
";

/// The page about the process itself, and about the commands that have no page of their own.
pub(super) fn page(project: &Project) -> Result<String> {
    let worker = project.worker()?;
    let root = help(&worker, None)?;
    let page = format!("{HEAD}\n## pylayer\n\n```text\n{}\n```\n", root.trim_end());
    let names = commands(&root).filter(|name| !LAYERS.contains(name) && !IMAGES.contains(name));
    Ok(page + &sections(&worker, names)?)
}

/// The page about the commands that make layers.
pub(super) fn page_of_layers(project: &Project) -> Result<String> {
    Ok(HEAD_OF_LAYERS.to_owned() + &sections(&project.worker()?, LAYERS.into_iter())?)
}

/// The page about the commands that make images, and look into them.
pub(super) fn page_of_images(project: &Project) -> Result<String> {
    Ok(HEAD_OF_IMAGES.to_owned() + &sections(&project.worker()?, IMAGES.into_iter())?)
}

fn sections<'a>(worker: &Path, names: impl Iterator<Item = &'a str>) -> Result<String> {
    let section = |name| {
        let text = help(worker, Some(name))?;
        Ok(format!("\n## pylayer {name}\n\n```text\n{}\n```\n", text.trim_end()))
    };
    names.map(section).collect()
}

fn help(worker: &Path, command: Option<&str>) -> Result<String> {
    let sh = Shell::new()?;
    shell::capture(cmd!(sh, "{worker} help {command...}"))
}

/// The names below the heading `Commands:`.
fn commands(help: &str) -> impl Iterator<Item = &str> {
    let below = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let lines = below.lines().take_while(|line| !line.is_empty());
    // A name begins after two blanks; a text that goes on, further to the right.
    let names = lines.filter_map(|line| line.strip_prefix("  "));
    names.filter(|line| !line.starts_with(' ')).filter_map(|line| line.split_whitespace().next())
}
