//! The checker: whether an image's layers are few and small enough, and no path is in two of them.
//!
//! It sees what would be shipped of the packages that no group holds, knows how many layers there
//! are, the base image's included, and where the sources of each go.

mod advice;
mod balance;
mod duplicates;
mod request;
mod sizes;

use std::fmt::Write as _;

pub use request::{CHECK, CheckRequest, PartialRequest};
use sizes::Package;

use crate::error::Result;
use crate::layer::CancelCheck;

/// A mebibyte: what `MB` means in flags and messages, as in `rules_py`.
const MB: u64 = 1 << 20;

/// How many packages a message lists.
const LISTED: usize = 15;

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// More layers than this are an error.
    pub max_layers: u64,
    /// More layers than this are worth a warning.
    pub warn_layers: u64,
    /// The most bytes of all ungrouped packages together.
    pub squashed: u64,
    /// More bytes of one package than this are worth a warning.
    pub package: u64,
    /// More compressed bytes of one layer than this are worth a warning, if all others together
    /// have fewer.
    pub layer: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_layers: 127,
            warn_layers: 90,
            squashed: 200 * MB,
            package: 200 * MB,
            layer: 100 * MB,
        }
    }
}

/// What the checker has found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What has to change.
    pub errors: Vec<String>,
    /// What should.
    pub warnings: Vec<String>,
    /// What may be meant so: for the log alone.
    pub notes: Vec<String>,
    /// Lines for the user's `py_layer_tier`.
    pub advice: String,
}

impl Findings {
    /// Whether the user need not be told anything.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.warnings.is_empty()
    }

    /// What the log says: all of it.
    pub fn log(&self) -> String {
        let lines = self.notes.iter().map(|note| format!("NOTE: {note}\n"));
        self.text() + &lines.collect::<String>()
    }

    /// Notes that something is named in vain: a warning if a slip of the pen may have done it.
    fn slip(&mut self, what: &str, name: &str, known: &[&str]) {
        match known.iter().find(|known| one_slip_apart(known, name)) {
            Some(known) => self.warnings.push(format!("{what}; is {known} meant?")),
            None => self.notes.push(format!("{what}.")),
        }
    }

    /// What the user is told.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.is_empty() {
            text.push_str("OK: all package groups within threshold.\n");
        }
        let kinds = [("ERROR", &self.errors), ("WARNING", &self.warnings)];
        for (kind, lines) in kinds {
            for line in lines {
                // Writing to a string cannot fail.
                _ = writeln!(text, "{kind}: {line}");
            }
        }
        if !self.advice.is_empty() {
            text.push('\n');
            text.push_str(&self.advice);
        }
        text
    }
}

/// Checks an image.
pub fn check(request: &CheckRequest, still_wanted: CancelCheck<'_>) -> Result<Findings> {
    let Limits { max_layers, warn_layers, squashed, package: one, layer: _ } = request.limits;
    let mut packages = sizes::measure(request, still_wanted)?;
    packages.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    let mut found = Findings::default();

    let layers = request.layers.saturating_add(request.base_layers);
    let base = match request.base_layers {
        0 => String::new(),
        base => format!(", {base} of them the base image's"),
    };
    if layers > max_layers {
        found.errors.push(format!(
            "image has {layers} layers{base} (limit {max_layers}). Give several packages one \
             group in py_layer_tier to have fewer."
        ));
    } else if layers > warn_layers {
        found.warnings.push(format!(
            "image has {layers} layers{base} (warn threshold: {warn_layers}, hard limit: \
             {max_layers})."
        ));
    }

    found.errors.extend(duplicates::duplicates(&request.sources, still_wanted)?);
    let known: Vec<&str> = request.known_groups.iter().map(String::as_str).collect();
    for group in &request.unknown_groups {
        let what = format!(
            "`compression` of the tier names the group {group}, which the image does not have"
        );
        found.slip(&what, group, &known);
    }
    let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    for package in &request.absent {
        let what = format!("the tier names the package {package}, which the image does not have");
        found.slip(&what, package, &names);
    }

    let total = packages.iter().fold(0, |sum: u64, package| sum.saturating_add(package.bytes));
    let too_much = total > squashed;
    if too_much {
        found.errors.push(format!(
            "squashed pip layer is {} (threshold {}). Promote the largest ungrouped packages \
             below into py_layer_tier to shrink it.{}",
            mb(total),
            mb(squashed),
            listing(&packages)
        ));
    }
    for package in packages.iter().filter(|package| package.bytes > one) {
        found.warnings.push(format!(
            "{} is {} (threshold {}): unusually large for a package.",
            package.name,
            mb(package.bytes),
            mb(one)
        ));
    }
    if too_much || packages.iter().any(|package| package.bytes > one) {
        found.advice = advice::advice(&packages, request.limits);
    }
    for segment in &request.grouped_segments {
        packages.push(sizes::segment(segment)?);
    }
    balance::balance(request, &packages, &mut found)?;
    Ok(found)
}

fn listing(packages: &[Package]) -> String {
    let worth_it = packages.iter().filter(|package| package.bytes >= MB).take(LISTED);
    let line = |package: &Package| format!("\n  {:>10}  {}", mb(package.bytes), package.name);
    worth_it.map(line).collect::<Vec<_>>().concat()
}

/// Whether one letter more, less, other, or two in the wrong order make two names one.
fn one_slip_apart(a: &str, b: &str) -> bool {
    let (a, b) = if a.len() <= b.len() {
        (a.as_bytes(), b.as_bytes())
    } else {
        (b.as_bytes(), a.as_bytes())
    };
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    match (a, b) {
        ([], [_]) => true,
        ([first, second, rest @ ..], [other_first, other_second, other_rest @ ..])
            if (first, second) == (other_second, other_first) && rest == other_rest =>
        {
            true
        }
        ([_, rest @ ..], [_, other @ ..]) => rest == other || a == other,
        _ => false,
    }
}

/// A size for people: whole megabytes, or tenths where those are few.
fn mb(bytes: u64) -> String {
    if bytes >= 10 * MB {
        format!("{}MB", bytes / MB)
    } else {
        format!("{}.{}MB", bytes / MB, bytes % MB * 10 / MB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_one_letter() {
        for (a, b, slip) in [
            ("numpy", "nunpy", true),
            ("numpy", "numy", true),
            ("numpy", "numpyy", true),
            ("numpy", "nupmy", true),
            ("numpy", "numpy", false),
            ("numpy", "nump2y3", false),
            ("numpy", "scipy", false),
            ("six", "", false),
        ] {
            assert_eq!((one_slip_apart(a, b), one_slip_apart(b, a)), (slip, slip), "{a} {b}");
        }
    }

    #[test]
    fn sizes_are_rounded_for_people() {
        for (bytes, shown) in
            [(0, "0.0MB"), (MB / 2, "0.5MB"), (10 * MB, "10MB"), (200 * MB + MB / 2, "200MB")]
        {
            assert_eq!(mb(bytes), shown);
        }
    }
}
