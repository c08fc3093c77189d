//! Which function Bazel's digests are made by: it uses one for all, and does not say which.

use std::sync::atomic::{AtomicBool, Ordering};

use super::claims::Claims;
use super::keys;
use crate::digest::{Digest, Function};
use crate::error::Result;
use crate::layer::Checkpoint;
use crate::layer::plan::{Entry, PackagePlan};

/// What a process has learnt about the function of claims. A wrong guess costs a miss.
#[derive(Debug, Default)]
pub struct Functions {
    blake3: AtomicBool,
}

impl Functions {
    pub(super) fn guess(&self) -> Function {
        if self.blake3.load(Ordering::Relaxed) { Function::Blake3 } else { Function::Sha256 }
    }

    /// Learns that the last guess was wrong.
    pub(super) fn guess_otherwise(&self) {
        self.blake3.store(self.guess().other() == Function::Blake3, Ordering::Relaxed);
    }

    /// Learns from a package whose contents were read and hashed as guessed: if the first claim
    /// is wrong by that function and right by the other, the other is guessed from now on.
    pub(super) fn learn(
        &self,
        package: &PackagePlan,
        claims: &Claims<'_>,
        read: (Function, &[Digest]),
        check: Checkpoint<'_>,
    ) -> Result<()> {
        let (function, digests) = read;
        let contents = package.entries.iter().filter_map(Entry::content);
        let mut claims = claims.finder();
        let first = contents
            .zip(digests)
            .find_map(|((content, path), read)| Some((claims.about(&path)?, *read, content, path)));
        if let Some((claim, read, content, path)) = first
            && claim != read
            && keys::read(&content.open(&path)?, function.other(), check)? == claim
        {
            self.blake3.store(function.other() == Function::Blake3, Ordering::Relaxed);
        }
        Ok(())
    }
}
