//! The flags of `pylayer layer`.
//!
//! Their order matters: `--to`, `--mode`, and `--links` belong to the source before them, sources to
//! the package before them.

use std::ffi::{OsStr, OsString};

use super::{Item, ItemKind, LayerRequest, PackageRequest};
use crate::error::{Error, Result};
use crate::flags::{Flag, Table, number, once, text};
use crate::layer::compress::Compression;
use crate::layer::spec::{Attributes, DEFAULT_MODE, Links, Mode};

type Row = Flag<LayerRequest>;

/// The flags of `pylayer layer`.
pub static LAYER: Table<LayerRequest> = Table {
    name: "layer",
    about: "Builds one layer: the same input gives the same bytes",
    usage: "--output=PATH [FLAGS] SOURCES...",
    sections: &[
        ("Output", OUTPUT),
        ("Attributes of every entry", ATTRIBUTES),
        ("Packages", PACKAGES),
        ("Packages that `pylayer segment` has compressed", SEGMENTS),
        ("Sources", SOURCES),
        ("Flags that follow a source and belong to it", OF_SOURCES),
        ("What other layers have", OTHERS),
    ],
    notes: "\
Sources before the first --package belong to a package without a name.

A GLOB without a slash matches a name at any depth. One with a slash matches from the package's \
root: the site-packages of an install tree, else the tree itself. A GLOB that matches a directory \
matches everything below it.",
};

/// The flags of `pylayer segment`.
pub static SEGMENT: Table<LayerRequest> = Table {
    name: "segment",
    about: "Compresses one package into a file, for `pylayer layer --segment`",
    usage: "--output=PATH --package=NAME [FLAGS] SOURCES...",
    sections: &[
        ("Output", SEGMENT_OUTPUT),
        ("Attributes of every entry, those of the layer", ATTRIBUTES),
        ("The package", PACKAGES),
        ("Sources", SOURCES),
        ("Flags that follow a source and belong to it", OF_SOURCES),
        ("What other layers have", OTHERS),
    ],
    notes: "\
A layer has the same bytes whether a package is given as a segment or as its sources.",
};

const SEGMENTS: &[Row] = &[Row::new(
    "segment",
    "FILE",
    "A segment file, with the same compression, owner, group, and mtime (repeatable)",
    |request, _, path| {
        request.segments.push(path);
        Ok(())
    },
)];

const OUTPUT: &[Row] = &[BLOB, METADATA, COMPRESSION, EXPLAIN];

const SEGMENT_OUTPUT: &[Row] = &[SEGMENT_FILE, COMPRESSION, EXPLAIN];

const BLOB: Row =
    Row::new("output", "PATH", "The layer blob; `-` is standard output", |request, flag, path| {
        once(&mut request.output, flag, path)
    });

const SEGMENT_FILE: Row = Row::new("output", "PATH", "The segment file", |request, flag, path| {
    once(&mut request.output, flag, path)
});

const METADATA: Row = Row::new(
    "metadata",
    "PATH",
    "JSON about the blob: media type, digest, size, diff_id",
    |request, flag, path| once(&mut request.metadata, flag, path),
);

const COMPRESSION: Row = Row::new(
    "compression",
    "CODEC",
    "none, gzip[:1..9], or zstd[:1..22]",
    |request, flag, codec| {
        request.compression = text(flag, &codec)?.parse()?;
        Ok(())
    },
)
.default(|| Compression::default().to_string());

const EXPLAIN: Row = Row::switch(
    "explain",
    "Says for each package whether it was in the cache, and if not, why",
    |request, _, _| {
        request.explain = true;
        Ok(())
    },
);

const ATTRIBUTES: &[Row] = &[
    Row::new("owner", "UID", "Numeric user ID", |request, flag, value| {
        request.attributes.owner = id(flag, &value)?;
        Ok(())
    })
    .default(|| Attributes::default().owner.to_string()),
    Row::new("group", "GID", "Numeric group ID", |request, flag, value| {
        request.attributes.group = id(flag, &value)?;
        Ok(())
    })
    .default(|| Attributes::default().group.to_string()),
    Row::new("mtime", "SECONDS", "Modification time since 1970", |request, flag, value| {
        request.attributes.mtime = number(flag, &value, 0, i64::MAX as u64)?;
        Ok(())
    })
    .default(|| Attributes::default().mtime.to_string()),
];

const PACKAGES: &[Row] = &[
    Row::new(
        "package",
        "NAME",
        "Opens a package: what follows belongs to it",
        |request, _, name| {
            request.packages.push(PackageRequest { name, ..PackageRequest::default() });
            request.last_is_elsewhere = false;
            Ok(())
        },
    ),
    Row::new(
        "wheel",
        "FILE",
        "The wheel that the package was installed from (repeatable): gzip layers copy compressed \
         data from it where they can. The layer's contents stay the same",
        |request, _, path| {
            request.package().wheels.push(path);
            Ok(())
        },
    ),
    Row::new(
        "include",
        "GLOB",
        "Only files that match (repeatable), by their path in the --tree, or below site-packages \
         in the --to of a --file",
        |request, flag, glob| {
            request.package().include.push(text(flag, &glob)?.to_owned());
            Ok(())
        },
    ),
    Row::new("exclude", "GLOB", "No files that match (repeatable)", |request, flag, glob| {
        request.package().exclude.push(text(flag, &glob)?.to_owned());
        Ok(())
    }),
    Row::new(
        "bytecode",
        "keep",
        "Keeps the package's `__pycache__` directories",
        |request, flag, value| {
            if value != "keep" {
                let what = format!("`--{flag}={}` is not `keep`", value.display());
                return Err(Error::usage(what));
            }
            request.package().keeps_bytecode = true;
            Ok(())
        },
    ),
];

const SOURCES: &[Row] = &[
    Row::new("tree", "SRC", "Every file below a directory, at --to", |request, _, path| {
        request.source(ItemKind::Tree, path)
    }),
    Row::new("file", "SRC", "One file", |request, _, path| request.source(ItemKind::File, path)),
    Row::new("symlink", "TEXT", "A symbolic link with that text", |request, _, target| {
        request.source(ItemKind::Symlink, target)
    }),
    Row::switch("empty", "An empty file", |request, _, none| request.source(ItemKind::Empty, none)),
    Row::switch("directory", "A directory, even if nothing is in it", |request, _, none| {
        request.source(ItemKind::Directory, none)
    }),
];

const OF_SOURCES: &[Row] = &[
    Row::new(
        "to",
        "DEST",
        "The source's path in the image; every source has one",
        |r, flag, path| once(&mut r.last(flag, &path)?.to, flag, path),
    ),
    Row::new(
        "mode",
        "OCTAL|keep",
        "Permission bits, or `keep`: 0755 for a file that its owner may execute, 0644 for others",
        |request, flag, value| {
            let mode = mode(text(flag, &value)?)?;
            once(&mut request.last(flag, &value)?.mode, flag, mode)
        },
    )
    .default(|| format!("{DEFAULT_MODE:04o}")),
    Row::new(
        "links",
        "follow|keep",
        "For a --file that is a link: `follow` always takes the file that it points to, `keep` \
         always the link",
        |request, flag, value| {
            let links = match text(flag, &value)? {
                "follow" => Links::Follow,
                "keep" => Links::Keep,
                other => {
                    let what = format!("`--{flag}={other}` is neither follow nor keep");
                    return Err(Error::usage(what));
                }
            };
            once(&mut request.last(flag, &value)?.links, flag, links)
        },
    ),
];

const OTHERS: &[Row] = &[
    Row::new(
        "base-directory",
        "PATH",
        "The base image owns this directory and its parents: the layer has no entries for them \
         (repeatable)",
        |request, _, path| {
            request.base_directories.push(path);
            Ok(())
        },
    ),
    Row::new(
        "elsewhere",
        "SRC",
        "Another layer delivers SRC at --to: it is left out here, and links to it become relative \
         links to --to",
        |request, _, path| request.source(ItemKind::Elsewhere, path),
    ),
];

impl LayerRequest {
    /// The package that is open.
    fn package(&mut self) -> &mut PackageRequest {
        if self.packages.is_empty() {
            self.packages.push(PackageRequest::default());
        }
        let last = self.packages.len() - 1;
        &mut self.packages[last]
    }

    #[expect(clippy::unnecessary_wraps, reason = "what a row of the table gives")]
    fn source(&mut self, kind: ItemKind, value: OsString) -> Result<()> {
        self.last_is_elsewhere = kind == ItemKind::Elsewhere;
        let item = Item { kind, value, to: None, mode: None, links: None };
        if self.last_is_elsewhere {
            self.elsewhere.push(item);
        } else {
            self.package().items.push(item);
        }
        Ok(())
    }

    /// The source that a flag belongs to.
    fn last(&mut self, flag: &str, value: &OsString) -> Result<&mut Item> {
        let last = if self.last_is_elsewhere {
            self.elsewhere.last_mut()
        } else {
            self.packages.last_mut().and_then(|package| package.items.last_mut())
        };
        last.ok_or_else(|| {
            let what = format!("`--{flag}={}` follows no source", value.display());
            Error::usage(what).hint("name the source first, such as `--tree=SRC --to=DEST`")
        })
    }
}

/// A user's or a group's number.
fn id(flag: &str, value: &OsStr) -> Result<u64> {
    number(flag, value, 0, u32::MAX.into())
        .map_err(|error| error.hint("a layer does not know the names of an image's users"))
}

fn mode(text: &str) -> Result<Mode> {
    if text == "keep" {
        return Ok(Mode::Keep);
    }
    let octal = text.bytes().all(|byte| byte.is_ascii_digit());
    match u32::from_str_radix(text, 8) {
        Ok(mode) if octal && mode <= 0o7777 => Ok(Mode::Fixed(mode)),
        _ => Err(Error::usage(format!("`--mode={text}` is not an octal mode or `keep`"))
            .hint("write digits from 0 to 7, such as 0755")),
    }
}
