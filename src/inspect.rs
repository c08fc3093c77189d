//! `pylayer inspect`: what is in a layer or an image.

mod arguments;
mod packages;
mod subject;
mod summary;
mod table;

use std::path::Path;

pub use arguments::{InspectRequest, help};

use crate::error::{Error, Fault, Result};
use crate::layer::Checkpoint;
use subject::Subject;
use summary::Summary;

/// Says what a request asks for; its paths are relative to `base`.
pub fn inspect(request: &InspectRequest, base: &Path, check: Checkpoint<'_>) -> Result<String> {
    let path = base.join(&request.file);
    let subject = Subject::read(&path, request.platform.as_ref(), check)?;
    let summary = Summary::of(&subject);
    if request.json {
        let json = serde_json::to_string(&summary)
            .map_err(|source| Error::new(Fault::Internal, "a summary as JSON").because(source))?;
        return Ok(json + "\n");
    }
    Ok(table::show(&summary, request.limit))
}
