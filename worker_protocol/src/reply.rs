//! What Bazel is answered: [`Reply`], or an [`Error`] that becomes one.

use std::fmt;
use std::io;

use crate::job::Abandoned;
use crate::messages::WorkResponse;

/// Exit code for a fault of the worker program itself (`EX_SOFTWARE` of sysexits.h).
pub const INTERNAL_ERROR: i32 = 70;

/// `WorkResponse.output` stays below this many bytes.
pub const MAX_OUTPUT: usize = 64 << 10;

/// The answer to one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// 0 for success.
    pub exit_code: i32,
    /// What Bazel shows the user, for success as well. It is cut off below
    /// [`MAX_OUTPUT`] bytes, with a note.
    pub output: String,
}

impl Reply {
    /// Success, with a text for the user. [`Reply::default`] is success without one.
    pub fn text(output: impl Into<String>) -> Self {
        Self { exit_code: 0, output: output.into() }
    }

    /// Failure, with the reason; a newline is added if it ends without one.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a caller gives what it has, by value or not"
    )]
    pub fn failed(exit_code: i32, why: impl ToString) -> Self {
        let mut output = why.to_string();
        if !output.ends_with('\n') {
            output.push('\n');
        }
        Self { exit_code, output }
    }

    /// The response that carries this reply.
    pub fn into_response(self, request_id: i32) -> WorkResponse {
        WorkResponse {
            exit_code: self.exit_code,
            output: shorten(self.output),
            request_id,
            was_cancelled: false,
        }
    }
}

/// Cuts at a character boundary: half a character is not UTF-8, and Bazel kills a
/// worker for that.
fn shorten(mut output: String) -> String {
    if output.len() < MAX_OUTPUT {
        return output;
    }
    let note = format!("\n[cut off here; {} bytes in all]\n", output.len());
    let mut end = MAX_OUTPUT - 1 - note.len();
    while !output.is_char_boundary(end) {
        end -= 1;
    }
    output.truncate(end);
    output + &note
}

/// Why a request has no ordinary reply. `?` makes one of an [`io::Error`] (exit code 1) and of
/// [`Abandoned`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Option<Reply>);

impl Error {
    /// The request fails with this exit code, for this reason.
    pub fn failed(exit_code: i32, why: impl ToString) -> Self {
        Self(Some(Reply::failed(exit_code, why)))
    }

    /// The failure's reply; [`Abandoned`] if there is nobody to take one.
    pub(crate) fn into_reply(self) -> Result<Reply, Abandoned> {
        self.0.ok_or(Abandoned)
    }
}

impl From<Abandoned> for Error {
    fn from(_: Abandoned) -> Self {
        Self(None)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::failed(1, error)
    }
}

impl From<Reply> for Error {
    fn from(reply: Reply) -> Self {
        Self(Some(reply))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(reply) => f.write_str(reply.output.trim_end()),
            None => Abandoned.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_cut_at_a_character_below_64_kib() {
        let cases = [
            ("short".to_owned(), false),
            ("x".repeat(MAX_OUTPUT - 1), false),
            ("x".repeat(MAX_OUTPUT), true),
            ("é".repeat(MAX_OUTPUT), true),
            (format!("x{}", "日本".repeat(MAX_OUTPUT)), true),
        ];
        for (output, cut) in cases {
            let head: String = output.chars().take(100).collect();
            let length = output.len();
            let response = Reply { exit_code: 1, output }.into_response(7);
            assert!(response.output.len() < MAX_OUTPUT);
            assert!(response.output.starts_with(&head));
            assert_eq!(response.output.ends_with("bytes in all]\n"), cut, "{length}");
            assert_eq!((response.exit_code, response.request_id), (1, 7));
        }
    }

    #[test]
    fn errors_become_replies() {
        fn fails() -> Result<(), Error> {
            Err(io::Error::other("disk on fire"))?
        }
        let error = fails().unwrap_err();
        assert_eq!(error.to_string(), "disk on fire");
        assert_eq!(error.into_reply(), Ok(Reply::failed(1, "disk on fire\n")));
        assert_eq!(Error::from(Abandoned).into_reply(), Err(Abandoned));
    }
}
