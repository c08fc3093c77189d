//! The archive of the Bazel module: the same bytes from the same checkout, anywhere.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::{Compression, GzBuilder};
use xshell::cmd;

use crate::project::Project;
use crate::shell::{self, Context as _, Result};

/// What users of the module do not need. The tests stay: cargo wants what its manifest names.
const LEFT_OUT: &[&str] = &[".bcr/", ".ci/", ".github/", "benches/", "fuzz/"];

/// The file that the archive has with other contents than the checkout.
pub(super) const LOCKFILE: &str = "pylayer.lock.json";

/// Writes the archive. All in it is in one folder.
pub(super) fn write(project: &Project, folder: &str, lockfile: &str, to: &Path) -> Result<()> {
    let sh = project.shell()?;
    let files = shell::capture(cmd!(sh, "git ls-files -z"))?;
    let mut files: Vec<&str> = files.split_terminator('\0').collect();
    files.retain(|file| LEFT_OUT.iter().all(|left_out| !file.starts_with(left_out)));

    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let path = project.root.join(file);
        let metadata = path.symlink_metadata().context(path.display())?;
        if !metadata.is_file() {
            continue;
        }
        let contents = match file {
            LOCKFILE => lockfile.as_bytes().to_vec(),
            _ => fs::read(&path).context(path.display())?,
        };
        let mut header = tar::Header::new_ustar();
        header.set_mode(if metadata.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 });
        header.set_size(contents.len() as u64);
        let name = format!("{folder}/{file}");
        archive.append_data(&mut header, name, &*contents).context(file)?;
    }
    let pack = |bytes: &[u8]| -> io::Result<Vec<u8>> {
        // Neither a time nor a name is in its header.
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        gzip.write_all(bytes)?;
        gzip.finish()
    };
    let packed = archive.into_inner().and_then(|bytes| pack(&bytes)).context(to.display())?;
    fs::write(to, packed).context(to.display())
}
