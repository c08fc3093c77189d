//! The JSON protocol: objects one after the other, as `JsonFormat` of Bazel's protobuf library
//! writes them and a reader of Gson's takes them.
//!
//! - Names are in camel case; those of the `.proto` file are taken, too. Fields that have their
//!   default may be left out, `null` is the default, unknown fields are skipped, and of a name that
//!   comes twice the last counts.
//! - A digest is Base64 of the bytes that the protobuf protocol would send.
//! - Bazel writes a newline between two objects, and some executors nothing: an object is read as
//!   soon as its last brace is there, and a response ends with a newline.
//! - Braces and strings alone decide where an object ends. What is wrong inside costs that request.
//! - Bazel takes no notice of `wasCancelled`; it is written for other executors.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf as _, Bytes, BytesMut};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use crate::codec::{FrameError, check_items};
use crate::messages::{Input, WorkRequest, WorkResponse};

/// Finds where objects end.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// How many bytes of the object have been looked at.
    seen: usize,
    depth: usize,
    in_string: bool,
    /// Whether the byte before is a backslash that escapes the next.
    escaped: bool,
}

impl Scanner {
    /// Takes the first object's text from what has arrived; `None` until all of it has.
    pub(crate) fn take(
        &mut self,
        arrived: &mut BytesMut,
        limit: u64,
    ) -> Result<Option<Bytes>, FrameError> {
        if self.seen == 0 {
            let between =
                |byte: &u8| byte.is_ascii_whitespace() || b"\0\xef\xbb\xbf".contains(byte);
            let start = arrived.iter().position(|byte| !between(byte)).unwrap_or(arrived.len());
            arrived.advance(start);
            if arrived.first().is_some_and(|byte| *byte != b'{') {
                return Err(FrameError::Json("a request is no object".to_owned()));
            }
        }
        while let Some(byte) = arrived.get(self.seen) {
            self.seen += 1;
            if self.ends_with(*byte) {
                let length = std::mem::take(self).seen;
                return Ok(Some(arrived.split_to(length).freeze()));
            }
        }
        let length = arrived.len() as u64;
        if length > limit { Err(FrameError::TooLarge { length, limit }) } else { Ok(None) }
    }

    fn ends_with(&mut self, byte: u8) -> bool {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }
}

/// A request's number and whether it is a cancel, as far as that can be read: 0 and no cancel,
/// otherwise.
pub(crate) fn route(text: &[u8]) -> (i32, bool) {
    // What is wrong is said when the request is decoded.
    let (mut fields, _) = fields(text, &["requestId", "request_id", "cancel"]);
    let cancel = matches!(fields.get("cancel"), Some(Value::Bool(true)));
    (number(&field(&mut fields, "requestId", "request_id")).unwrap_or(0), cancel)
}

/// Reads a request; the error says what is wrong with it.
pub(crate) fn decode(text: &[u8]) -> Result<WorkRequest, String> {
    let known = ["arguments", "inputs", "requestId", "request_id", "cancel", "verbosity"];
    let known = [&known[..], &["sandboxDir", "sandbox_dir"]].concat();
    // An input has one comma after it and at most one in it.
    check_items(commas(text) / 2)?;
    let (mut fields, read) = fields(text, &known);
    read?;
    let arguments = list(field(&mut fields, "arguments", ""))?.into_iter().map(self::text);
    let inputs = list(field(&mut fields, "inputs", ""))?.into_iter().map(input);
    let cancel = field(&mut fields, "cancel", "");
    let request = WorkRequest {
        arguments: arguments.collect::<Result<_, _>>()?,
        inputs: inputs.collect::<Result<_, _>>()?,
        request_id: number(&field(&mut fields, "requestId", "request_id"))?,
        cancel: cancel
            .as_bool()
            .or(cancel.is_null().then_some(false))
            .ok_or_else(|| format!("`cancel` is {cancel}, neither true nor false"))?,
        verbosity: number(&field(&mut fields, "verbosity", ""))?,
        sandbox_dir: self::text(field(&mut fields, "sandboxDir", "sandbox_dir"))?,
    };
    check_items(request.arguments.len() + request.inputs.len())?;
    Ok(request)
}

/// How many commas there are outside strings.
fn commas(text: &[u8]) -> usize {
    let mut scanner = Scanner::default();
    let is_comma = |byte: &&u8| {
        scanner.ends_with(**byte);
        **byte == b',' && !scanner.in_string
    };
    text.iter().filter(is_comma).count()
}

/// A response as Bazel reads it, with a newline after it.
pub(crate) fn encode(response: &WorkResponse) -> Vec<u8> {
    let WorkResponse { exit_code, output, request_id, was_cancelled } = response;
    let mut object = json!({"exitCode": exit_code, "output": output, "requestId": request_id});
    if *was_cancelled {
        object["wasCancelled"] = true.into();
    }
    format!("{object}\n").into_bytes()
}

/// The known fields of an object, up to the first mistake in it.
fn fields(text: &[u8], known: &[&str]) -> (Map<String, Value>, Result<(), String>) {
    let mut fields = Map::new();
    let known = Known { known, fields: &mut fields };
    let read = known.deserialize(&mut serde_json::Deserializer::from_slice(text));
    (fields, read.map_err(|error| error.to_string()))
}

/// Reads known fields. Others are skipped without recursion, however deep they are.
struct Known<'a> {
    known: &'a [&'a str],
    fields: &'a mut Map<String, Value>,
}

impl<'de> DeserializeSeed<'de> for Known<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Known<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if self.known.contains(&&*name) {
                self.fields.insert(name, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

fn input(value: Value) -> Result<Input, String> {
    let Value::Object(mut fields) = value else {
        return Err(format!("an input is {value}, no object"));
    };
    let digest = text(field(&mut fields, "digest", ""))?;
    let digest = BASE64_STANDARD.decode(&digest);
    Ok(Input {
        path: text(field(&mut fields, "path", ""))?,
        digest: digest.map_err(|error| format!("a digest is not Base64: {error}"))?,
    })
}

/// Takes a field out by one of its names.
fn field(fields: &mut Map<String, Value>, name: &str, other: &str) -> Value {
    fields.remove(name).or_else(|| fields.remove(other)).unwrap_or(Value::Null)
}

fn list(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) => Ok(values),
        other => Err(format!("{other} is no list")),
    }
}

fn text(value: Value) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        other => Err(format!("{other} is no text")),
    }
}

/// A number; in JSON of protobuf it may be written as text, or with a fraction of zero.
fn number(value: &Value) -> Result<i32, String> {
    let number = match value {
        Value::Null => Some(0),
        Value::Number(number) => number.as_i64().and_then(|number| i32::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let float = || value.as_f64().filter(|float| float.fract() == 0.0);
    let number = number.or_else(|| format!("{:.0}", float()?).parse().ok());
    number.ok_or_else(|| format!("{value} is no number of 32 bits"))
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
