//! The sessions' format: one step a line, what belongs to it indented below.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use super::{Answer, End, Place, Request, Session, Step};
use crate::shell::{Context as _, Result, failure};

impl Session {
    /// Reads a session.
    pub fn parse(text: &str) -> Result<Self> {
        let mut session = Self { directory: PathBuf::from("execroot/session"), ..Self::default() };
        for (number, line) in text.lines().enumerate() {
            let read = session.line(line);
            read.context(format_args!("line {}: `{line}`", number + 1))?;
        }
        Ok(session)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        if let Some(text) = line.strip_prefix('#') {
            self.about.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
            return Ok(());
        }
        let indented = line.starts_with(' ');
        let line = line.trim_start();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word.is_empty() {
            return Ok(());
        }
        if indented {
            let last = self.steps.last_mut().ok_or_else(|| failure("belongs to no step"))?;
            return belongs(last, word, rest);
        }
        match word {
            "directory" => self.directory = PathBuf::from(OsString::from_vec(unescape(rest)?)),
            "startup" => self.startup.push(rest.to_owned()),
            _ => self.steps.push(step(word, rest)?),
        }
        Ok(())
    }

    /// Writes the session so that [`parse`](Self::parse) reads it.
    pub fn write(&self) -> String {
        let mut text = String::new();
        for line in &self.about {
            text.push_str(format!("# {line}").trim_end());
            text.push('\n');
        }
        let directory = escape(self.directory.as_os_str().as_bytes());
        text += &["directory ", &directory, "\n"].concat();
        for flag in &self.startup {
            text += &["startup ", flag, "\n"].concat();
        }
        for step in &self.steps {
            text.push('\n');
            text += &step.write();
        }
        text
    }
}

impl Step {
    /// The lines of this step.
    pub(super) fn write(&self) -> String {
        match self {
            Self::Place { path, what } => place_lines(&escape(path), what),
            Self::Request(request) => request_lines(request),
            Self::Bytes(bytes) => format!("bytes {}\n", hex(bytes)),
            Self::Answer(answer) => answer_lines("answer", answer),
            Self::Due(answer) => answer_lines("due", answer),
            Self::Output { path, digest } => format!("output {digest} {}\n", escape(path)),
            Self::End { exit_code } => format!("end {exit_code}\n"),
        }
    }
}

fn answer_lines(word: &str, answer: &Answer) -> String {
    let Answer { id, end, said } = answer;
    let mut lines = match end {
        End::Exit(code) => format!("{word} {id} {code}\n"),
        End::Cancelled => format!("{word} {id} cancelled\n"),
    };
    for text in said {
        lines += &content_line('|', text.as_bytes());
    }
    lines
}

fn place_lines(path: &str, what: &Place) -> String {
    match what {
        Place::File(content) => {
            let mut lines = format!("file {path}\n");
            for line in content.split_inclusive(|byte| *byte == b'\n') {
                lines += &match line.split_last() {
                    Some((b'\n', line)) => content_line('|', line),
                    _ => content_line(':', line),
                };
            }
            lines
        }
        Place::Noise { size, seed } => format!("noise {size} {seed} {path}\n"),
        Place::Hole(size) => format!("hole {size} {path}\n"),
        Place::Link(text) => format!("link {path}\n  to {}\n", escape(text)),
    }
}

fn content_line(mark: char, text: &[u8]) -> String {
    format!("{}\n", format!("  {mark} {}", escape(text)).trim_end())
}

fn request_lines(request: &Request) -> String {
    let Request { arguments, inputs, id, cancel, verbosity, sandbox_dir, unknown, wire } = request;
    let mut lines = format!("{} {id}\n", if *cancel { "cancel" } else { "request" });
    let mut line = |word: &str, rest: String| {
        lines.push_str(format!("  {word} {rest}").trim_end());
        lines.push('\n');
    };
    for argument in arguments {
        line("argument", escape(argument));
    }
    for (path, digest) in inputs {
        let digest = if digest.is_empty() { "-".to_owned() } else { escape_word(digest) };
        line("input", format!("{digest} {}", escape(path)));
    }
    if *verbosity != 0 {
        line("verbosity", verbosity.to_string());
    }
    if !sandbox_dir.is_empty() {
        line("sandbox_dir", escape(sandbox_dir));
    }
    for (number, value) in unknown {
        line("field", format!("{number} {}", escape(value)));
    }
    if let Some(wire) = wire {
        line("wire", hex(wire));
    }
    lines
}

/// A step's first line.
fn step(word: &str, rest: &str) -> Result<Step> {
    let place = |path: &str, what| Ok(Step::Place { path: unescape(path)?, what });
    let request = |cancel| Ok(Request { id: number(rest)?, cancel, ..Request::default() });
    match word {
        "file" => place(rest, Place::File(Vec::new())),
        "link" => place(rest, Place::Link(Vec::new())),
        "hole" => {
            let (size, path) = split(rest)?;
            place(path, Place::Hole(number(size)?))
        }
        "noise" => {
            let (size, rest) = split(rest)?;
            let (seed, path) = split(rest)?;
            place(path, Place::Noise { size: number(size)?, seed: number(seed)? })
        }
        "request" => request(false).map(Step::Request),
        "cancel" => request(true).map(Step::Request),
        "bytes" => Ok(Step::Bytes(from_hex(rest)?)),
        "answer" => Ok(Step::Answer(answer(rest)?)),
        "due" => Ok(Step::Due(answer(rest)?)),
        "output" => {
            let (digest, path) = split(rest)?;
            Ok(Step::Output { path: unescape(path)?, digest: digest.to_owned() })
        }
        "end" => Ok(Step::End { exit_code: if rest.is_empty() { 0 } else { number(rest)? } }),
        _ => Err(failure(format!("there is no step `{word}`"))),
    }
}

fn answer(text: &str) -> Result<Answer> {
    let (id, end) = split(text)?;
    let end = if end == "cancelled" { End::Cancelled } else { End::Exit(number(end)?) };
    Ok(Answer { id: number(id)?, end, said: Vec::new() })
}

/// An indented line.
fn belongs(step: &mut Step, word: &str, rest: &str) -> Result<()> {
    match (step, word) {
        (Step::Place { what: Place::File(content), .. }, "|") => {
            content.extend(unescape(rest)?);
            content.push(b'\n');
        }
        (Step::Place { what: Place::File(content), .. }, ":") => content.extend(unescape(rest)?),
        (Step::Place { what: Place::Link(text), .. }, "to") => *text = unescape(rest)?,
        (Step::Answer(answer) | Step::Due(answer), "|") => {
            let text = String::from_utf8(unescape(rest)?);
            answer.said.push(text.context("an answer is always UTF-8")?);
        }
        (Step::Request(request), "argument") => request.arguments.push(unescape(rest)?),
        (Step::Request(request), "input") => {
            let (digest, path) = split(rest)?;
            let digest = if digest == "-" { Vec::new() } else { unescape(digest)? };
            request.inputs.push((unescape(path)?, digest));
        }
        (Step::Request(request), "verbosity") => request.verbosity = number(rest)?,
        (Step::Request(request), "sandbox_dir") => request.sandbox_dir = unescape(rest)?,
        (Step::Request(request), "wire") => request.wire = Some(from_hex(rest)?),
        (Step::Request(request), "field") => {
            let (field, value) = split(rest).unwrap_or((rest, ""));
            request.unknown.push((number(field)?, unescape(value)?));
        }
        _ => return Err(failure(format!("`{word}` does not belong to the step above it"))),
    }
    Ok(())
}

fn split(text: &str) -> Result<(&str, &str)> {
    text.split_once(' ').ok_or_else(|| failure("a word is missing"))
}

fn number<T: std::str::FromStr<Err = std::num::ParseIntError>>(text: &str) -> Result<T> {
    text.parse().context(format_args!("`{text}` is no number"))
}

/// Bytes as text in a line: UTF-8 as it is, save `\` and what a person cannot see.
pub(super) fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\\' => text.push_str("\\\\"),
                char if char.is_control() => hexes(&mut text, char.to_string().as_bytes()),
                char => text.push(char),
            }
        }
        hexes(&mut text, chunk.invalid());
    }
    // What would be lost at a line's ends.
    if text.ends_with(' ') {
        text.pop();
        text.push_str("\\x20");
    }
    if text.starts_with(' ') {
        text.replace_range(..1, "\\x20");
    }
    text
}

/// The same without a space anywhere.
fn escape_word(bytes: &[u8]) -> String {
    escape(bytes).replace(' ', "\\x20")
}

fn hexes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        text.push_str("\\x");
        text.push_str(&hex(&[*byte]));
    }
}

fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (escaped, length) = match after.as_bytes() {
            [b'\\', ..] => (vec![b'\\'], 1),
            [b'x', ..] => (from_hex(after.get(1..3).unwrap_or_default())?, 3),
            _ => return Err(failure("`\\` is written `\\\\`, any byte `\\xNN`")),
        };
        bytes.extend(escaped);
        rest = after.get(length..).ok_or_else(|| failure("`\\x` wants two hex digits"))?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex(text: &str) -> Result<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    bytes
        .filter(|bytes| rest.is_empty() && !bytes.is_empty())
        .ok_or_else(|| failure(format!("`{text}` is not bytes in hex")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive() {
        for bytes in [
            &b""[..],
            b" ",
            b"  two  ",
            b"a\\x20",
            b"\xff\xfe\n\t",
            "日本 é".as_bytes(),
            "\u{96}".as_bytes(),
            b"\0",
        ] {
            let text = escape(bytes);
            assert!(!text.contains('\n') && text.trim() == text, "{text:?}");
            assert_eq!(unescape(&text).unwrap(), bytes, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let request = Request {
            arguments: vec![b"layer".to_vec(), vec![], b"\xff".to_vec()],
            inputs: vec![(b"a b".to_vec(), vec![0, 0x20]), (b"c".to_vec(), vec![])],
            id: -7,
            cancel: false,
            verbosity: 10,
            sandbox_dir: b"__sandbox/1".to_vec(),
            unknown: vec![(7, b"x y".to_vec()), (99, vec![])],
            wire: Some(vec![0]),
        };
        let place = |what| Step::Place { path: b"a/b c".to_vec(), what };
        let session = Session {
            about: vec!["One.".to_owned(), String::new(), "Two.".to_owned()],
            directory: PathBuf::from("execroot/x"),
            startup: vec!["--jobs=1".to_owned()],
            steps: vec![
                place(Place::File(b"one\n\n\\ two".to_vec())),
                place(Place::File(vec![])),
                place(Place::Noise { size: 9, seed: 3 }),
                place(Place::Hole(1 << 40)),
                place(Place::Link(b"{base}/x".to_vec())),
                Step::Request(request.clone()),
                Step::Request(Request { cancel: true, ..Request::default() }),
                Step::Bytes(vec![0, 0xff]),
                Step::Answer(Answer { id: -7, end: End::Exit(1), said: vec!["a  b".to_owned()] }),
                Step::Answer(Answer { id: 0, end: End::Cancelled, said: vec![] }),
                Step::Due(Answer { id: 5, end: End::Exit(0), said: vec![] }),
                Step::Output { path: b"o o".to_vec(), digest: "00".to_owned() },
                Step::End { exit_code: 3 },
            ],
        };
        let text = session.write();
        assert_eq!(Session::parse(&text).unwrap(), session, "{text}");
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, said) in [
            ("frobnicate 1", "line 1: `frobnicate 1`: there is no step `frobnicate`"),
            ("request 1\n  input x", "line 2: `  input x`: a word is missing"),
            ("answer one 0", "`one` is no number"),
            ("file a\\q", "`\\` is written"),
            ("bytes 0", "not bytes in hex"),
            ("  argument x", "belongs to no step"),
            ("end\n  argument x", "does not belong"),
        ] {
            let error = Session::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
