//! Which function Bazel's digests are made by: it uses one for all, and does not say which.

use std::sync::atomic::{AtomicBool, Ordering};

use super::input_digests::InputDigests;
use super::keys;
use crate::digest::{Digest, Function};
use crate::error::Result;
use crate::layer::CancelCheck;
use crate::layer::plan::{Entry, PackagePlan};

/// The function that Bazel's digests seem to be made by. A wrong guess costs a miss.
#[derive(Debug, Default)]
pub struct DigestFunctionGuess {
    blake3: AtomicBool,
}

impl DigestFunctionGuess {
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
        input_digests: &InputDigests<'_>,
        read: (Function, &[Digest]),
        check: CancelCheck<'_>,
    ) -> Result<()> {
        let (function, digests) = read;
        let contents = package.entries.iter().filter_map(Entry::content);
        let mut input_digests = input_digests.finder();
        let first = contents.zip(digests).find_map(|((content, path), read)| {
            Some((input_digests.about(&path)?, *read, content, path))
        });
        if let Some((claim, read, content, path)) = first
            && claim != read
            && keys::read(&content.open(&path)?, function.other(), check)? == claim
        {
            self.blake3.store(function.other() == Function::Blake3, Ordering::Relaxed);
        }
        Ok(())
    }
}
