//! A layer as GNU tar unpacks it.

use std::path::Path;

use xshell::{Shell, cmd};

use crate::shell::{self, Result};

/// What is in a layer.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Packages from the index.
    pub(crate) packages: u64,
    /// All that are no directories.
    pub(crate) files: u64,
    /// The files' bytes.
    pub(crate) bytes: u64,
    /// Where each file lands, as tar writes it.
    pub(crate) destinations: Vec<String>,
}

/// Unpacks a layer into a folder, over what is there.
pub(crate) fn unpack(blob: &Path, into: &Path) -> Result<Contents> {
    let sh = Shell::new()?;
    // `--verbose` twice lists kind, owner, size, date and name of what is unpacked.
    let tar = cmd!(
        sh,
        "tar --extract --verbose --verbose --no-same-owner --preserve-permissions
         --quoting-style=escape --file {blob} --directory {into}"
    );
    Ok(read(&shell::capture(tar.envs([("LC_ALL", "C"), ("TZ", "UTC")]))?))
}

/// Reads tar's listing.
fn read(listing: &str) -> Contents {
    let mut contents = Contents::default();
    for line in listing.lines().filter(|line| !line.starts_with('d')) {
        let mut rest = line;
        let mut field = || {
            let (field, after) = rest.split_once(' ').unwrap_or((rest, ""));
            rest = after.trim_start();
            field
        };
        let (_mode, _owner, size, _day, _time) = (field(), field(), field(), field(), field());
        contents.files += 1;
        contents.bytes += size.parse::<u64>().unwrap_or(0);
        contents.packages += u64::from(rest.ends_with(".dist-info/METADATA"));
        let name = if line.starts_with('l') { rest.split(" -> ").next() } else { Some(rest) };
        contents.destinations.extend(name.map(str::to_owned));
    }
    contents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_counted() {
        let contents = read(
            "\
drwxr-xr-x 0/0               0 2023-01-01 00:00 app.runfiles/
-rwxr-xr-x 0/0             120 2023-01-01 00:00 app.runfiles/pip/x/x-1.dist-info/METADATA
-rwxr-xr-x 0/0              30 2023-01-01 00:00 app.runfiles/a b.py
lrwxrwxrwx 0/0               0 2023-01-01 00:00 app.runfiles/link -> a b.py
",
        );
        assert_eq!((contents.packages, contents.files, contents.bytes), (1, 3, 150));
        let names = ["app.runfiles/a b.py", "app.runfiles/link"];
        assert_eq!(contents.destinations[1..], names);
    }
}
