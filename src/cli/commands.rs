//! The commands: what there is, and how each is read.

use std::ffi::OsString;
use std::path::Path;

use clap::{Command, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use super::describe::{self, Read};
use super::startup::Startup;
use super::{Action, HINT};
use crate::check::{CHECK, PartialRequest};
use crate::diff::DiffRequest;
use crate::error::Result;
use crate::flags::{Table, unknown};
use crate::image::{ImageArguments, ImageRequest};
use crate::inspect::InspectRequest;
use crate::load::LoadRequest;
use crate::request::{LAYER, LayerRequest, SEGMENT};

/// A command: what clap knows about it, and how its arguments become an action.
pub(super) struct Entry {
    pub(super) name: &'static str,
    command: fn() -> Command,
    read: fn(Arguments<'_>) -> Result<Action>,
}

/// The arguments that follow a command's name.
struct Arguments<'a> {
    entry: &'static Entry,
    list: Vec<OsString>,
    /// What paths are relative to.
    base: &'a Path,
    startup: &'a mut Startup,
}

/// All commands, in the order in which `pylayer --help` lists them.
pub(super) static COMMANDS: &[Entry] = &[
    Entry {
        name: LAYER.name,
        command: || LAYER.command(),
        read: |given| given.ordered(&LAYER, LayerRequest::default(), |r| Ok(Action::Layer(r))),
    },
    Entry {
        name: SEGMENT.name,
        command: || SEGMENT.command(),
        read: |given| {
            given.ordered(&SEGMENT, LayerRequest::default(), |request| {
                request.of_one_package().map(Action::Segment)
            })
        },
    },
    Entry {
        name: "image",
        command: ImageArguments::command,
        read: |given| {
            given.plain(|arguments: ImageArguments| {
                ImageRequest::new(arguments).map(|request| Action::Image(Box::new(request)))
            })
        },
    },
    Entry {
        name: "load",
        command: LoadRequest::command,
        read: |given| given.plain(|request| Ok(Action::Load(request))),
    },
    Entry {
        name: "inspect",
        command: InspectRequest::command,
        read: |given| given.plain(|request| Ok(Action::Inspect(request))),
    },
    Entry {
        name: "diff",
        command: DiffRequest::command,
        read: |given| given.plain(|request| Ok(Action::Diff(request))),
    },
    Entry {
        name: CHECK.name,
        command: || CHECK.command(),
        read: |given| {
            let request = PartialRequest::new(given.base);
            given.ordered(&CHECK, request, |request| request.finish().map(Action::Check))
        },
    },
    Entry {
        name: "cache",
        command: CacheRequest::command,
        read: |given| given.plain(|request| Ok(Action::Cache(request))),
    },
    Entry {
        name: "completions",
        command: Completions::command,
        read: |given| {
            given.plain(|Completions { shell }| Ok(Action::Print(describe::completions(shell))))
        },
    },
    Entry {
        name: "man",
        command: Man::command,
        read: |given| given.plain(|Man { command }| describe::man(&command).map(Action::Print)),
    },
    Entry {
        name: "help",
        command: Help::command,
        read: |given| given.plain(|Help { command }| describe::help(&command).map(Action::Print)),
    },
];

/// Reads the arguments of the command of this name.
pub(super) fn read(
    name: &str,
    arguments: Vec<OsString>,
    base: &Path,
    startup: &mut Startup,
) -> Result<Action> {
    match COMMANDS.iter().find(|entry| entry.name == name) {
        Some(entry) => (entry.read)(Arguments { entry, list: arguments, base, startup }),
        None => Err(unknown("command", name, COMMANDS.iter().map(|entry| entry.name), HINT)),
    }
}

impl Entry {
    /// The command, which takes the startup flags, too.
    pub(super) fn command(&self) -> Command {
        let command = (self.command)().name(self.name).bin_name(format!("pylayer {}", self.name));
        describe::with_startup(command)
    }
}

impl Arguments<'_> {
    /// Reads them by a table, in their order.
    fn ordered<R>(
        self,
        table: &Table<R>,
        mut request: R,
        into_action: impl FnOnce(R) -> Result<Action>,
    ) -> Result<Action> {
        let own = table.read(&mut request, self.list, Startup::command)?;
        if own.is_empty() {
            return into_action(request);
        }
        match self.startup.read(&Startup::command(), own, &table.hint())? {
            Read::Matches(_) => into_action(request),
            Read::Help(_) | Read::Version(_) => describe::help(&[table.name]).map(Action::Print),
        }
    }

    /// Reads them as clap's derive describes them.
    fn plain<R: Parser>(self, into_action: impl FnOnce(R) -> Result<Action>) -> Result<Action> {
        let command = self.entry.command();
        let hint = format!("`pylayer {} --help` says more", self.entry.name);
        match self.startup.read(&command, self.list, &hint)? {
            Read::Help(text) | Read::Version(text) => Ok(Action::Print(text)),
            Read::Matches(matches) => match R::from_arg_matches(&matches) {
                Ok(request) => into_action(request),
                Err(error) => Err(describe::refusal(&error, &command, &hint)),
            },
        }
    }
}

/// Shows, verifies, and cleans up the cache
#[derive(Debug, Parser)]
#[command(arg_required_else_help = false, disable_help_subcommand = true)]
pub struct CacheRequest {
    /// What to do.
    #[command(subcommand)]
    pub verb: CacheVerb,
}

/// What can be done with a cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Subcommand)]
pub enum CacheVerb {
    /// Shows what the cache holds, with hits and misses
    Stat {
        /// Exact, and in JSON
        #[arg(long)]
        json: bool,
    },
    /// Verifies every entry, and removes those that are damaged
    Verify,
    /// Removes the least recently used entries beyond --cache-size
    #[command(name = "gc")]
    Collect,
    /// Removes everything
    Clear,
}

/// Writes a script that completes commands and flags in a shell
#[derive(Debug, Parser)]
struct Completions {
    /// The shell
    shell: Shell,
}

/// Writes a manual page
#[derive(Debug, Parser)]
struct Man {
    /// The command; without one, the page is about pylayer as a whole
    command: Vec<String>,
}

/// Shows the help of a command
#[derive(Debug, Parser)]
struct Help {
    /// The command
    command: Vec<String>,
}
