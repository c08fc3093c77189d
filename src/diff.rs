//! `pylayer diff`: why two layers, or two images, are not the same.
//!
//! First by entries, then by the first byte that differs and what is there.

mod arguments;
mod bytes;
mod entries;
mod gzip;
mod image;
mod layer;
mod text;

use std::path::Path;

use serde::Serialize;

pub use arguments::DiffRequest;
pub(crate) use image::configs as config_changes;

use crate::error::{Error, Fault, Result};
use crate::fs::{self, Kind};
use crate::layer::CancelCheck;
use image::ImageDifference;
use layer::{Input, LayerDifference};

/// What came of a comparison.
#[derive(Debug)]
pub struct Compared {
    /// Whether there is no difference.
    pub same: bool,
    /// What to tell.
    pub text: String,
}

/// All that differs; what `--json` writes.
#[derive(Debug, Serialize)]
struct Difference {
    a: String,
    b: String,
    same: bool,
    /// Why they differ, in a word each.
    causes: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<LayerDifference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<ImageDifference>,
}

/// A value of both sides; none where a side has none.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Change {
    /// What it is a value of.
    what: String,
    a: Option<String>,
    b: Option<String>,
}

impl Change {
    /// Whether it is of this kind: the first word of what it is about.
    pub(crate) fn is_about(&self, word: &str) -> bool {
        self.what.split(' ').next() == Some(word)
    }
}

/// Compares what a request names; its paths are relative to `base`.
pub fn diff(request: &DiffRequest, base: &Path, check: CancelCheck<'_>) -> Result<Compared> {
    let [a, b] = [&request.a, &request.b].map(|path| base.join(path));
    let is_layout = |path: &Path| fs::kind_followed(path) == Some(Kind::Directory);
    let (mut layer, mut image) = (None, None);
    match (is_layout(&a), is_layout(&b)) {
        (true, true) => {
            image = image::compare([&a, &b], request.platform.as_ref(), check)?;
        }
        (false, false) => {
            layer = layer::compare([&Input::File(a.clone()), &Input::File(b.clone())], check)?;
        }
        (a_is, _) => {
            let (layout, file) = if a_is { (&a, &b) } else { (&b, &a) };
            let what = format!("a layout and a file are not compared: `{}` and", layout.display());
            return Err(Error::input(what).at(file).hint("name two layers, or two layouts"));
        }
    }
    let mut causes = match (&layer, &image) {
        (Some(layer), _) => layer.causes.clone(),
        (None, Some(image)) => image.causes(),
        (None, None) => Vec::new(),
    };
    causes.sort_unstable();
    causes.dedup();
    let [a, b] = [&request.a, &request.b].map(|path| path.to_string_lossy().into_owned());
    let same = layer.is_none() && image.is_none();
    let difference = Difference { a, b, same, causes, layer, image };
    let text = if request.json {
        serde_json::to_string(&difference)
            .map_err(|source| Error::new(Fault::Internal, "a comparison as JSON").because(source))?
            + "\n"
    } else {
        text::show(&difference, request.limit)
    };
    Ok(Compared { same, text })
}
