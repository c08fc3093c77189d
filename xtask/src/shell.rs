//! Failures in words, and other programs where xshell does not run them.

use std::fmt;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use xshell::Cmd;

/// What went wrong, in words for a person.
#[derive(Debug)]
pub struct Failure(String);

/// A result with such an error.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Makes a [`Failure`].
pub fn failure(message: impl fmt::Display) -> Failure {
    Failure(message.to_string())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<xshell::Error> for Failure {
    fn from(error: xshell::Error) -> Self {
        failure(error)
    }
}

/// Says what was being done when an error came up.
pub trait Context<T> {
    /// Puts `what`, and a colon, before the error.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| failure(format!("{what}: {error}")))
    }
}

/// A command as one would type it.
pub fn display(command: &Command) -> String {
    let mut words = Vec::new();
    for (key, value) in command.get_envs() {
        let Some(value) = value else { continue };
        words.push(format!("{}={}", key.to_string_lossy(), quote(&value.to_string_lossy())));
    }
    words.push(quote(&command.get_program().to_string_lossy()));
    words.extend(command.get_args().map(|word| quote(&word.to_string_lossy())));
    words.join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Runs a command whose output goes where ours goes; it reads nothing, and has to succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .context(format_args!("cannot run `{}`", display(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(failure(format!("`{}` failed: {status}", display(command))))
}

/// Runs a command for its standard output; its standard error goes where ours goes.
pub(crate) fn capture(command: Cmd<'_>) -> Result<String> {
    let mut command = Command::from(command);
    let output = output(command.stderr(Stdio::inherit()))?;
    if !output.status.success() {
        // It may hold the reason, as with programs that report on standard output; xshell drops it.
        io::stderr().write_all(&output.stdout).context("cannot write to standard error")?;
        return Err(failure(format!("`{}` failed: {}", display(&command), output.status)));
    }
    String::from_utf8(output.stdout)
        .context(format_args!("`{}` writes no UTF-8", display(&command)))
}

/// Runs a command that may fail, and gives all that it said, save what goes elsewhere already.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().context(format_args!("cannot run `{}`", display(command)))
}

/// Where a program is on `PATH`.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xshell::{Shell, cmd};

    #[test]
    fn a_command_is_shown_so_that_a_shell_reads_it_back() {
        let mut command = Command::new("prog");
        command.env("A", "b c").args(["--x=1", "it's", "", "$(x)"]);
        assert_eq!(display(&command), r"A='b c' prog --x=1 'it'\''s' '' '$(x)'");
    }

    #[test]
    fn a_failure_names_the_command() {
        let (sh, script) = (Shell::new().unwrap(), "exit 3");
        let failed = cmd!(sh, "sh -c {script}").quiet().run().unwrap_err().to_string();
        assert!(failed.contains("`sh -c \"exit 3\"`: 3"), "{failed}");
        let failed = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert_eq!(failed, "`sh -c 'exit 3'` failed: exit status: 3");
        let missing = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert!(missing.starts_with("cannot run `no-such-program`: "), "{missing}");
    }
}
