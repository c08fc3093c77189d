//! What all command lines have in common: the errors for flags, and numbers as values.

use std::ffi::OsStr;

use crate::error::{Error, Result};

/// Turns a parser's error into a usage error with this hint.
pub fn usage(hint: &'static str) -> impl Fn(lexopt::Error) -> Error {
    move |error| Error::usage(error.to_string()).hint(hint)
}

/// The error for a flag, or a command, that there is not, with the one that may be meant.
pub fn unknown<'a>(
    kind: &str,
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
    hint: &'static str,
) -> Error {
    let what = format!("there is no {kind} `{typed}`");
    let near = |known: &&str| strsim::damerau_levenshtein(typed, known);
    let nearest = known.into_iter().min_by_key(near);
    // A word in which a third is wrong is another word.
    match nearest.filter(|nearest| near(nearest) <= (typed.len() / 3).max(1)) {
        Some(nearest) => Error::usage(what).hint(format!("did you mean `{nearest}`? {hint}")),
        None => Error::usage(what).hint(hint),
    }
}

/// A flag's value as text.
pub fn text<'a>(flag: &str, value: &'a OsStr) -> Result<&'a str> {
    let not_text = || Error::usage(format!("`--{flag}={}` is not UTF-8", value.display()));
    value.to_str().ok_or_else(not_text)
}

/// A flag's value as a number in decimal digits, without a sign.
pub fn number(flag: &str, value: &OsStr, least: u64, most: u64) -> Result<u64> {
    let digits = text(flag, value)?;
    match digits.parse() {
        Ok(number)
            if (least..=most).contains(&number)
                && digits.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            Ok(number)
        }
        _ => {
            let range = format!("a number from {least} to {most}");
            Err(Error::usage(format!("`--{flag}={digits}` is not {range}")))
        }
    }
}

/// Turns a refusal of clap's into a usage error.
pub fn refused(error: &clap::Error, hint: &'static str) -> Error {
    let text = error.to_string();
    // The usage line is in the help; what may be meant stands before it.
    let what = text.split("\n\nUsage:").next().unwrap_or_default();
    let what = what.split("\n\nFor more information").next().unwrap_or_default();
    Error::usage(what.trim_start_matches("error: ").trim_end()).hint(hint)
}

/// A value that knows how to read itself, for clap.
pub fn parsed<T: std::str::FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: Error| error.to_string().replace("\nhint: ", "; "))
}
