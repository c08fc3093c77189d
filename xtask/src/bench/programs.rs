//! What makes layers: pylayer in its ways, and others of the same files.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::DESTINATION;
use crate::install::{self, Need};
use crate::wheels::Package;

/// Makes the archive with Python's own module, from a list of names.
const TARFILE: &str = "\
import sys, tarfile
names = open(sys.argv[2]).read().split('\\0')[:-1]
with tarfile.open(sys.argv[1], 'w:gz', compresslevel=6) as archive:
    for name in names:
        archive.add(name, sys.argv[3] + '/' + name)
";

/// One layer to be made, and where it goes.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) worker: &'a Path,
    pub(super) packages: &'a [Package],
    /// The folder of the packages' trees.
    pub(super) trees: &'a Path,
    /// The files as bsdtar takes them.
    pub(super) mtree: &'a Path,
    /// The files below the folder of trees, each ended by a NUL.
    pub(super) names: &'a Path,
    pub(super) output: PathBuf,
}

/// A way to make a layer.
#[derive(Clone, Copy)]
pub(super) struct Program {
    pub(super) name: &'static str,
    /// What it needs beside what every bench does.
    pub(super) needs: &'static [Need],
    pub(super) command: fn(&Job<'_>) -> Command,
}

pub(super) const BSDTAR: Program = Program {
    name: "bsdtar, gzip 6",
    needs: &[],
    command: |job| {
        bsdtar(job.mtree, &job.output, "gzip", "gzip:compression-level=6,gzip:!timestamp")
    },
};
pub(super) const BSDTAR_ZSTD: Program = Program {
    name: "bsdtar, zstd 3",
    needs: &[],
    command: |job| bsdtar(job.mtree, &job.output, "zstd", "zstd:compression-level=3"),
};
pub(super) const PYLAYER: Program =
    Program { name: "pylayer, gzip 6", needs: &[], command: |job| pylayer(job, &[], &[], false) };
pub(super) const PYLAYER_WHEELS: Program = Program {
    name: "pylayer, gzip 6, wheels",
    needs: &[],
    command: |job| pylayer(job, &[], &[], true),
};
pub(super) const PYLAYER_ONE: Program = Program {
    name: "pylayer, gzip 6, one thread",
    needs: &[],
    command: |job| pylayer(job, &["--jobs=1"], &[], false),
};
pub(super) const PYLAYER_ZSTD: Program = Program {
    name: "pylayer, zstd 3",
    needs: &[],
    command: |job| pylayer(job, &[], &["--compression=zstd:3"], false),
};
pub(super) const TAR_GZIP: Program =
    Program { name: "GNU tar, gzip 6", needs: &[], command: |job| tar(job, "gzip -6n") };
pub(super) const TAR_PIGZ: Program = Program {
    name: "GNU tar, pigz 6",
    needs: &[install::PIGZ],
    command: |job| tar(job, "pigz -6n"),
};
pub(super) const TAR_ZSTD: Program = Program {
    name: "GNU tar, zstd 3",
    needs: &[install::ZSTD],
    command: |job| tar(job, "zstd -q -3 -T0"),
};
pub(super) const PYTHON: Program = Program {
    name: "Python's tarfile, gzip 6",
    needs: &[],
    command: |job| {
        let mut command = Command::new("python3");
        command.args(["-c", TARFILE]).args([&job.output, job.names]).arg(DESTINATION);
        command.current_dir(job.trees);
        command
    },
};

fn pylayer(job: &Job<'_>, startup: &[&str], flags: &[&str], wheels: bool) -> Command {
    let mut command = Command::new(job.worker);
    command.args(startup).arg("layer").args(flags).arg("--output").arg(&job.output);
    // The others compute no digests; a layer that is of use has them.
    command.arg("--metadata").arg(job.output.with_extension("json"));
    for Package { name, tree, wheel } in job.packages {
        command.args(["--package", name]);
        if let (Some(wheel), true) = (wheel, wheels) {
            command.arg("--wheel").arg(wheel);
        }
        command.arg("--tree").arg(tree).arg(format!("--to={DESTINATION}/{name}"));
    }
    command
}

fn bsdtar(mtree: &Path, output: &Path, filter: &str, options: &str) -> Command {
    let mut command = Command::new("bsdtar");
    command.arg("--create").arg(format!("--{filter}")).args(["--options", options]);
    command.arg("--file").arg(output).arg(format!("@{}", mtree.display()));
    // In the C locale it does not take names that are not ASCII.
    command.env("LC_ALL", "C.UTF-8");
    command
}

fn tar(job: &Job<'_>, compressor: &str) -> Command {
    let mut command = Command::new("tar");
    command.arg("--create").arg("--file").arg(&job.output);
    command.args(["--owner=0", "--group=0", "--numeric-owner", "--mtime=@1672560000"]);
    command.arg(format!("--transform=s,^,{DESTINATION}/,"));
    command.args(["--use-compress-program", compressor, "--no-recursion", "--null"]);
    command.arg("--directory").arg(job.trees).arg("--files-from").arg(job.names);
    command
}
