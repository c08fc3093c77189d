//! The page about the command line: what `--help` prints, which comes from what reads the flags.

use std::process::Command;

use crate::project::Project;
use crate::shell::{self, Result};

const HEAD: &str = "\
# Command line

<!-- Written by `cargo xtask docs` from the output of `pylayer help`. -->

Arguments mean the same at a shell, in a file (`pylayer @FILE`, one argument a line), and in a
`WorkRequest` from Bazel. Write `--flag=value` or `--flag value`.

| Exit code | Meaning                                                                |
| --------: | ---------------------------------------------------------------------- |
|         0 | Success                                                                |
|         1 | The input is at fault; for `pylayer diff`, the two are different       |
|         2 | The command line is wrong                                              |
|         3 | The environment is at fault: a full disk, a missing permission         |
|        70 | A bug in pylayer                                                       |
";

/// The whole page.
pub(super) fn page(project: &Project) -> Result<String> {
    let worker = project.worker()?;
    let help = |command: Option<&str>| {
        let mut pylayer = Command::new(&worker);
        shell::capture(pylayer.arg("help").args(command))
    };
    let root = help(None)?;
    let mut page = format!("{HEAD}\n## pylayer\n\n```text\n{}\n```\n", root.trim_end());
    for name in commands(&root) {
        let text = help(Some(name))?;
        page += &format!("\n## pylayer {name}\n\n```text\n{}\n```\n", text.trim_end());
    }
    Ok(page)
}

/// The names below the heading `Commands:`.
fn commands(help: &str) -> impl Iterator<Item = &str> {
    let below = help.split("\nCommands:\n").nth(1).unwrap_or_default();
    let lines = below.lines().take_while(|line| !line.is_empty());
    // A name begins after two blanks; a text that goes on, further to the right.
    lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().filter(|_| !line.starts_with("   ")))
}
