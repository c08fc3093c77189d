//! The JSON protocol: objects one after the other, as `JsonFormat` of Bazel's protobuf library
//! writes them and a reader of Gson's takes them.
//!
//! - Names are in camel case; those of the `.proto` file are taken, too. Fields that have their
//!   default may be left out, `null` is the default, unknown fields are skipped, and of a name that
//!   comes twice the last counts.
//! - A digest is Base64 of the bytes that the protobuf protocol would send.
//! - Bazel 4 writes nothing between two objects, later ones write a newline: an object is read as
//!   soon as its last brace is there, and a response ends with a newline.
//! - Bazel takes no notice of `wasCancelled`; it is written for other executors.

use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Deserializer, Map, Value, json};

use crate::codec::{FrameError, Incoming};
use crate::messages::{Input, WorkRequest, WorkResponse};

/// Reads requests of at most `limit` bytes, one with each call, until there is none.
pub(crate) fn requests(
    input: impl Read,
    limit: u64,
) -> impl FnMut() -> Result<Option<Incoming>, FrameError> {
    let left = Arc::new(AtomicU64::new(limit));
    let limited = Limited { input, left: Arc::clone(&left) };
    let mut values = Deserializer::from_reader(BufReader::new(limited)).into_iter::<Value>();
    move || {
        left.store(limit, Ordering::Relaxed);
        match values.next() {
            None => Ok(None),
            Some(Ok(Value::Object(fields))) => decode(fields).map(Some),
            Some(Ok(_)) => Err(FrameError::Json("a request is no object".to_owned())),
            Some(Err(error)) if error.is_eof() => {
                Err(FrameError::Json("the input ended inside a request".to_owned()))
            }
            Some(Err(error)) => Err(FrameError::Json(error.to_string())),
        }
    }
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

/// A reader that gives out no more than is left.
struct Limited<R> {
    input: R,
    left: Arc<AtomicU64>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(io::Error::other("a request is above the limit"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.input.read(&mut buffer[..most])?;
        self.left.store(left - read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn decode(mut fields: Map<String, Value>) -> Result<Incoming, FrameError> {
    let id = field(&mut fields, "requestId", "request_id");
    let request_id = number(&id).map_err(FrameError::Json)?;
    let cancel = matches!(fields.get("cancel"), Some(Value::Bool(true)));
    if cancel {
        return Ok(Incoming::Request(WorkRequest { request_id, cancel, ..WorkRequest::default() }));
    }
    Ok(match request(request_id, fields) {
        Ok(request) => Incoming::Request(request),
        Err(reason) => Incoming::Unreadable { request_id, reason },
    })
}

fn request(request_id: i32, mut fields: Map<String, Value>) -> Result<WorkRequest, String> {
    let arguments = list(field(&mut fields, "arguments", ""))?.into_iter().map(text);
    let inputs = list(field(&mut fields, "inputs", ""))?.into_iter().map(input);
    Ok(WorkRequest {
        arguments: arguments.collect::<Result<_, _>>()?,
        inputs: inputs.collect::<Result<_, _>>()?,
        request_id,
        cancel: false,
        verbosity: number(&field(&mut fields, "verbosity", ""))?,
        sandbox_dir: text(field(&mut fields, "sandboxDir", "sandbox_dir"))?,
    })
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

/// A number; in JSON of protobuf it may be written as text.
fn number(value: &Value) -> Result<i32, String> {
    let number = match value {
        Value::Null => Some(0),
        Value::Number(number) => number.as_i64().and_then(|number| i32::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| format!("{value} is no number of 32 bits"))
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
