//! What clap knows of the command line: for people, for shells, and as errors of ours.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::HINT;
use super::commands::{COMMANDS, Entry};
use super::startup::Startup;
use crate::error::{Error, Fault, Result};
use crate::flags::unknown;

/// What comes of arguments that clap reads.
pub(super) enum Read {
    /// What they say.
    Matches(ArgMatches),
    /// The help that they ask for.
    Help(String),
    /// The version that they ask for.
    Version(String),
}

/// The process's own command line, without the commands.
pub(super) fn root() -> Command {
    Startup::command()
        .name("pylayer")
        .about("Container image layers for Python: same input, same bytes")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .max_term_width(100)
        .override_usage(
            "pylayer [STARTUP FLAGS] COMMAND [ARGS]\n       \
             pylayer [STARTUP FLAGS] @FILE                 arguments from FILE, one per line\n       \
             pylayer [STARTUP FLAGS] --persistent_worker   a Bazel worker on stdin and stdout",
        )
        .after_help("Startup flags never change an output. They may also follow a command.")
        .arg(
            Arg::new("persistent_worker")
                .long("persistent_worker")
                .action(ArgAction::SetTrue)
                .help("Answers Bazel's work requests from standard input until that ends"),
        )
}

/// A command that takes the startup flags, too; only `pylayer --help` describes them.
pub(super) fn with_startup(command: Command) -> Command {
    let startup = Startup::command();
    let flags = startup.get_arguments().map(|flag| flag.clone().global(true).hide(true));
    let notes = command.get_after_help().map(|notes| format!("{notes}\n\n")).unwrap_or_default();
    command
        .args(flags)
        .max_term_width(100)
        .after_help(notes + "Startup flags may follow, too: `pylayer --help` lists them.")
}

/// The whole command line.
fn tree() -> Command {
    let mut tree = root().subcommands(COMMANDS.iter().map(Entry::command));
    tree.build();
    tree
}

/// The command that these words name, of the whole command line.
fn named(words: &[impl AsRef<str>]) -> Result<Command> {
    words.iter().map(AsRef::as_ref).try_fold(tree(), |command, word| {
        command.find_subcommand(word).cloned().ok_or_else(|| {
            unknown("command", word, command.get_subcommands().map(Command::get_name), HINT)
        })
    })
}

/// What `--help` prints of the command that these words name.
pub(super) fn help(words: &[impl AsRef<str>]) -> Result<String> {
    Ok(with_equals(&named(words)?.render_help().to_string()))
}

/// The help with flags as they are written everywhere else: clap has `--flag <VALUE>`.
pub(super) fn with_equals(help: &str) -> String {
    let line = |line: &str| {
        let rewritten = line.split_once(" <").and_then(|(flag, rest)| {
            let (value, rest) = rest.split_once('>')?;
            let flag = Some(flag).filter(|flag| flag.trim_start().starts_with('-'))?;
            let rest = if rest.is_empty() { String::new() } else { format!("  {rest}") };
            Some(format!("{flag}={value}{rest}"))
        });
        rewritten.unwrap_or_else(|| line.to_owned()) + "\n"
    };
    help.lines().map(line).collect()
}

/// A script that completes the command line in a shell.
pub(super) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut tree(), "pylayer", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The manual page of the command that these words name.
pub(super) fn man(words: &[impl AsRef<str>]) -> Result<String> {
    let mut page = Vec::new();
    Man::new(named(words)?).render(&mut page).map_err(|source| {
        Error::new(Fault::Internal, "cannot write a manual page").because(source)
    })?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// An error of clap's in words of ours.
pub(super) fn refusal(error: &clap::Error, command: &Command, hint: &str) -> Error {
    // What a value's own parser says is all there is to say, with a hint of its own if it has one.
    if let Some(source) = error.source() {
        let text = source.to_string();
        let (what, own) = text.split_once("\nhint: ").unwrap_or((&text, hint));
        return Error::usage(what).hint(own);
    }
    let typed = |kind| match error.get(kind) {
        Some(ContextValue::String(typed)) => typed.as_str(),
        _ => "",
    };
    match (error.kind(), typed(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, typed) if typed.starts_with("--") => {
            let commands = std::iter::once(command).chain(command.get_subcommands());
            let flags = commands.flat_map(Command::get_arguments).filter_map(Arg::get_long);
            let flags: Vec<String> = flags.map(|flag| format!("--{flag}")).collect();
            unknown("flag", typed, flags.iter().map(|flag| &**flag), hint)
        }
        (ErrorKind::InvalidSubcommand, _) => {
            let known = command.get_subcommands().map(Command::get_name);
            unknown("command", typed(ContextKind::InvalidSubcommand), known, hint)
        }
        (ErrorKind::MissingSubcommand, _) => {
            let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            let what = format!("`{}` has no command", command.get_bin_name().unwrap_or_default());
            Error::usage(what).hint(format!("add one of {}; {hint}", names.join(", ")))
        }
        (ErrorKind::MissingRequiredArgument, _) => {
            let missing = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::Strings(missing)) => missing.join("`, `"),
                _ => String::new(),
            };
            let missing = missing.replace(['<', '>'], "");
            Error::usage(format!("`{missing}` is missing")).hint(hint)
        }
        (ErrorKind::InvalidValue, flag) if !typed(ContextKind::InvalidValue).is_empty() => {
            let (flag, _) = flag.split_once(" <").unwrap_or((flag, ""));
            let valid = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(valid)) => valid.join(", "),
                _ => String::new(),
            };
            let valid = match valid.rsplit_once(", ") {
                Some((others, last)) => format!("{others}, or {last}"),
                None => valid,
            };
            let value = typed(ContextKind::InvalidValue);
            let flag = if flag.starts_with('-') { format!("{flag}: ") } else { String::new() };
            Error::usage(format!("{flag}`{value}` is not {valid}")).hint(hint)
        }
        _ => {
            let text = error.to_string();
            let (what, _) = text.split_once("\n\n").unwrap_or((&text, ""));
            let words: Vec<&str> = what.split_whitespace().skip_while(|w| *w == "error:").collect();
            Error::usage(words.join(" ")).hint(hint)
        }
    }
}
