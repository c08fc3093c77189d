//! `pylayer inspect`: what is in a layer or an image.

mod arguments;
mod packages;
mod report;
mod subject;
mod summary;
mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use arguments::InspectRequest;

use crate::error::{Error, Fault, Result};
use crate::fs::{self, Output};
use crate::layer::CancelCheck;
use crate::oci::Layout;
use subject::Subject;
use summary::Summary;

/// What there is to say.
#[derive(Debug)]
pub struct Told {
    /// For standard output.
    pub text: String,
    /// A page that is ready to appear.
    pub report: Option<Output>,
}

/// Says what a request asks for; its paths are relative to `base`.
pub fn inspect(request: &InspectRequest, base: &Path, check: CancelCheck<'_>) -> Result<Told> {
    let InspectRequest { file, json, limit, platform, report, against, other } = request;
    if let Some(report) = report {
        let place = fs::identity(&base.join(report));
        let mut sources = [file].into_iter().chain(against).chain(other).map(|it| base.join(it));
        let holds =
            |source: &PathBuf| fs::canonical(source).is_some_and(|is| place.starts_with(is));
        if let Some(source) = sources.find(holds) {
            return Err(Error::input("the report is also a source, or in one:")
                .at(source)
                .hint("write it to a place of its own"));
        }
    }
    let output = report.as_ref().map(|path| Output::create(&base.join(path))).transpose()?;
    let platform = platform.as_ref();
    let subject = Subject::read(&base.join(file), platform, check)?;
    let Some(mut output) = output else {
        let summary = Summary::of(&subject);
        let text = if *json {
            serde_json::to_string(&summary).map_err(|source| {
                Error::new(Fault::Internal, "a summary as JSON").because(source)
            })? + "\n"
        } else {
            table::show(&summary, *limit)
        };
        return Ok(Told { text, report: None });
    };
    let named = |path: &OsString| {
        let image = Layout::open(&base.join(path))?.image(platform)?;
        Ok((path.to_string_lossy().into_owned(), image))
    };
    let others = other.iter().map(named).collect::<Result<Vec<_>>>()?;
    let against = match against {
        Some(path) => {
            let other = Subject::read(&base.join(path), platform, check)?;
            Some((path.to_string_lossy().into_owned(), other))
        }
        None => None,
    };
    let against = against.as_ref().map(|(name, subject)| (&**name, subject));
    let page = report::page(&file.to_string_lossy(), &subject, &others, against)?;
    output.write(page.as_bytes())?;
    Ok(Told { text: String::new(), report: Some(output) })
}

/// A page about the image at `path`, under the name that people know it by.
pub fn page(name: &str, path: &Path, check: CancelCheck<'_>) -> Result<String> {
    report::page(name, &Subject::read(path, None, check)?, &[], None)
}
