//! Tables of flags, for commands in which the order of flags matters.
//!
//! A row is all there is to know about a flag: its name, its value, its help, and what it does to
//! the request. The same rows read a command line and, as a [`clap::Command`], give the help, the
//! completions, and the man page.

use std::ffi::{OsStr, OsString};

use clap::{Arg, ArgAction, Command, ValueHint};
use clap_lex::RawArgs;

use super::unknown;
use crate::error::{Error, Result};

/// A flag of a command whose request is an `R`.
#[derive(Debug)]
pub struct Flag<R> {
    /// Its name, without dashes.
    name: &'static str,
    /// What the help calls its value; none if it has no value.
    value: Option<&'static str>,
    help: &'static str,
    default: Option<fn() -> String>,
    set: Set<R>,
}

/// Takes in a flag, of this name and with this value, which is empty where it has none.
type Set<R> = fn(&mut R, &'static str, OsString) -> Result<()>;

impl<R> Flag<R> {
    /// A flag with a value.
    pub const fn new(
        name: &'static str,
        value: &'static str,
        help: &'static str,
        set: Set<R>,
    ) -> Self {
        Self { name, value: Some(value), help, default: None, set }
    }

    /// A flag without a value.
    pub const fn switch(name: &'static str, help: &'static str, set: Set<R>) -> Self {
        Self { name, value: None, help, default: None, set }
    }

    /// Says what holds where the flag is not given.
    #[must_use]
    pub const fn default(mut self, default: fn() -> String) -> Self {
        self.default = Some(default);
        self
    }

    fn arg(&self) -> Arg {
        let help = match self.default {
            Some(default) => format!("{} [default: {}]", self.help, default()),
            None => self.help.to_owned(),
        };
        let arg = Arg::new(self.name).long(self.name).help(help);
        match self.value {
            None => arg.action(ArgAction::SetTrue),
            Some(name) => arg.value_name(name).value_hint(match name {
                "DIR" => ValueHint::DirPath,
                "FILE" | "LOG" | "PATH" | "SRC" => ValueHint::AnyPath,
                _ => ValueHint::Other,
            }),
        }
    }
}

/// The flags of a command whose request is an `R`, in sections with headings.
#[derive(Debug)]
pub struct Table<R: 'static> {
    /// The command's name.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// What follows its name.
    pub usage: &'static str,
    /// Headings, and what stands below them.
    pub sections: &'static [(&'static str, &'static [Flag<R>])],
    /// What the help ends with.
    pub notes: &'static str,
}

impl<R> Table<R> {
    /// Takes in a command's arguments, in their order. Gives those that belong to `others`, which
    /// is asked only if there are any: each in one piece, a value after `=`.
    pub fn read(
        &self,
        request: &mut R,
        arguments: impl IntoIterator<Item = OsString>,
        others: impl Fn() -> Command,
    ) -> Result<Vec<OsString>> {
        let raw = RawArgs::new(arguments);
        let mut cursor = raw.cursor();
        let mut rest = Vec::new();
        while let Some(argument) = raw.next(&mut cursor) {
            let Some((Ok(name), attached)) = argument.to_long() else {
                let word = argument.to_value_os();
                if word == "-h" {
                    rest.push(word.to_owned());
                    continue;
                }
                let what = format!("`{}` is not a flag", word.display());
                return Err(Error::usage(what).hint(self.hint()));
            };
            let mut value = |expected| match (expected, attached) {
                (true, Some(value)) => Ok(value.to_owned()),
                (true, None) => raw.next_os(&mut cursor).map(OsStr::to_owned).ok_or_else(|| {
                    Error::usage(format!("`--{name}` has no value")).hint(self.hint())
                }),
                (false, None) => Ok(OsString::new()),
                (false, Some(_)) => {
                    Err(Error::usage(format!("`--{name}` takes no value")).hint(self.hint()))
                }
            };
            if let Some(flag) = self.flags().find(|flag| flag.name == name) {
                let value = value(flag.value.is_some())?;
                (flag.set)(request, flag.name, value)
                    .map_err(|error| error.or_hint(|| self.hint()))?;
                continue;
            }
            let mut others = others();
            others.build();
            let other = others.get_arguments().find(|other| other.get_long() == Some(name));
            let takes_value = other.map(|other| other.get_action().takes_values());
            let mut whole = OsString::from(format!("--{name}"));
            match takes_value {
                Some(true) => {
                    whole.push("=");
                    whole.push(value(true)?);
                }
                Some(false) => drop(value(false)?),
                None => {
                    let names = self.flags().map(|flag| flag.name);
                    let names = names.chain(others.get_arguments().filter_map(Arg::get_long));
                    let names: Vec<String> = names.map(|name| format!("--{name}")).collect();
                    let names = names.iter().map(|name| &**name);
                    return Err(unknown("flag", &format!("--{name}"), names, &self.hint()));
                }
            }
            rest.push(whole);
        }
        Ok(rest)
    }

    fn flags(&self) -> impl Iterator<Item = &Flag<R>> {
        self.sections.iter().flat_map(|(_, flags)| *flags)
    }

    /// Where the user finds the flags.
    pub fn hint(&self) -> String {
        format!("`pylayer {} --help` lists the flags", self.name)
    }

    /// The command as clap describes it.
    pub fn command(&self) -> Command {
        let usage = format!("pylayer {} {}", self.name, self.usage);
        let command = Command::new(self.name).about(self.about).override_usage(usage);
        let command = if self.notes.is_empty() { command } else { command.after_help(self.notes) };
        self.sections.iter().fold(command, |command, (heading, flags)| {
            command.args(flags.iter().map(|flag| flag.arg().help_heading(*heading)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    static TABLE: Table<Vec<String>> = Table {
        name: "try",
        about: "",
        usage: "",
        sections: &[(
            "",
            &[
                Flag::new("one", "X", "", |seen, flag, value| {
                    seen.push(format!("{flag} {}", value.display()));
                    Ok(())
                }),
                Flag::switch("two", "", |seen, flag, _| {
                    seen.push(flag.to_owned());
                    Ok(())
                }),
            ],
        )],
        notes: "",
    };

    fn read(arguments: &[&[u8]]) -> Result<(Vec<String>, Vec<OsString>)> {
        let arguments = arguments.iter().map(|bytes| OsString::from_vec(bytes.to_vec()));
        let others = || Command::new("").arg(Arg::new("jobs").long("jobs"));
        let mut seen = Vec::new();
        let rest = TABLE.read(&mut seen, arguments, others)?;
        Ok((seen, rest))
    }

    #[test]
    fn flags_are_read_in_order_and_those_of_others_are_given_back() {
        let (seen, rest) = read(&[
            b"--one=a=b",
            b"--jobs",
            b"3",
            b"--two",
            b"--one",
            b"--two",
            b"--jobs=\xff",
            b"--help",
            b"--one=",
        ])
        .unwrap();
        assert_eq!(seen, ["one a=b", "two", "one --two", "one "]);
        let bytes: Vec<_> = rest.into_iter().map(OsString::into_vec).collect();
        assert_eq!(bytes, [&b"--jobs=3"[..], b"--jobs=\xff", b"--help"]);
    }

    #[test]
    fn slips_are_named() {
        for (arguments, said) in [
            (&[&b"--one"[..]][..], "`--one` has no value"),
            (&[b"--two=x"], "`--two` takes no value"),
            (&[b"--jobs"], "`--jobs` has no value"),
            (&[b"--help=x"], "`--help` takes no value"),
            (&[b"--tow"], "did you mean `--two`"),
            (&[b"--job=3"], "did you mean `--jobs`"),
            (&[b"stray"], "`stray` is not a flag"),
            (&[b"--"], "`--` is not a flag"),
            (&[b"-x"], "`-x` is not a flag"),
            (&[b"--\xff=x"], "is not a flag"),
        ] {
            let error = read(arguments).unwrap_err();
            assert_eq!(error.fault().exit_code(), 2);
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
