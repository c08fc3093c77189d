//! What is not wrong and yet probably not meant.

use std::collections::BTreeMap;
use std::path::Path;

/// How many examples a warning names.
const NAMED: usize = 3;

/// Warnings about a layer: for each kind, what it is about.
#[derive(Debug, Default)]
pub struct Warnings(BTreeMap<Kind, Vec<String>>);

/// A kind of warning, in the order of telling.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// The layer has no entries.
    NoEntries,
    /// The output's name says another compression.
    OutputName,
    /// A copy of a file of this machine stands in for an absolute link out of a tree.
    Copied,
    /// A glob matches nothing.
    Glob,
    /// An `--elsewhere` serves for nothing.
    Elsewhere,
    /// A `--wheel` serves for nothing.
    Wheel,
    /// A layer that is given for an image has no entries, and is left out.
    EmptyLayer,
    /// A layer that is given for an image is in it already, and is left out.
    KnownLayer,
}

impl Kind {
    /// Whether the user can do something about it; what only costs time is for the log alone.
    pub fn is_for_users(self) -> bool {
        !matches!(self, Self::Elsewhere | Self::Wheel)
    }

    fn what(self) -> &'static str {
        match self {
            Self::NoEntries => "the layer has no entries, because no source has a file",
            Self::OutputName => "the name of the output does not fit its compression",
            Self::Copied => {
                "an absolute link leads out of its tree; the layer has a copy of this machine's \
                 file instead"
            }
            Self::Glob => "a glob matches nothing, so it may be misspelled",
            Self::Elsewhere => {
                "an --elsewhere has no effect, because no source and no link leads there"
            }
            Self::Wheel => "a --wheel has no effect",
            Self::EmptyLayer => "a layer without entries is left out of the image",
            Self::KnownLayer => "a layer is left out, because the image has it already",
        }
    }
}

impl Warnings {
    /// Adds a warning about something.
    pub fn add(&mut self, kind: Kind, about: impl Into<String>) {
        self.0.entry(kind).or_default().push(about.into());
    }

    /// Adds a link for which a copy stands in.
    pub(super) fn copied(&mut self, link: &Path) {
        self.add(Kind::Copied, format!("`{}`", link.display()));
    }

    /// A line for each kind, with a few examples.
    pub fn lines(&self) -> impl Iterator<Item = (Kind, String)> {
        self.0.iter().map(|(&kind, about)| {
            let mut named = about.iter().take(NAMED).map(String::as_str);
            let mut line = named.by_ref().collect::<Vec<_>>().join(", ");
            if about.len() > NAMED {
                line = format!("{line}, and {} more", about.len() - NAMED);
            }
            let about = if about.iter().all(String::is_empty) {
                String::new()
            } else {
                format!(": {line}")
            };
            (kind, format!("{}{about}", kind.what()))
        })
    }
}
