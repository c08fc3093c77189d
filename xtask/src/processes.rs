//! What other processes do, as `/proc` shows it.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::shell::Result;

/// A process: its number and its command line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// Its words.
    pub line: Vec<String>,
}

/// The persistent workers of a server, given its output base.
pub fn workers(output_base: &Path) -> Vec<Process> {
    let prefix = output_base.display().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        // Empty for a process that has ended and is not yet waited for.
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).trim_end_matches('\0').to_owned();
        Some(Process { id, line: line.split('\0').map(str::to_owned).collect() })
    });
    let is_worker = |process: &Process| {
        process.line.iter().any(|word| word == "--persistent_worker")
            && process.line.iter().any(|word| word.starts_with(&prefix))
    };
    processes.filter(is_worker).collect()
}

/// The files that a process has open, without links. One that has no name any more, or never had,
/// ends with ` (deleted)`. None of a process that has ended.
pub fn open_files(process: u32) -> Vec<PathBuf> {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok()).collect()
}

/// Sends a signal, named without `SIG`.
pub fn signal(process: u32, name: &str) -> Result<()> {
    let (sh, script) = (Shell::new()?, format!("kill -{name} {process}"));
    Ok(cmd!(sh, "sh -c {script}").quiet().run()?)
}
