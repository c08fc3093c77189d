//! Two packages at one place: what is the same stands there once, anything else is an error.

use std::collections::BTreeSet;

use super::{Entry, Kind, PackagePlan};
use crate::error::{Error, Result};
use crate::fs;
use crate::layer::{CancelCheck, paths};

impl Entry {
    /// Whether two entries for one place are the same entry: content, mode, and kind.
    fn is_same(&self, other: &Self, check: CancelCheck<'_>) -> Result<bool> {
        if self.mode != other.mode {
            return Ok(false);
        }
        match (&self.kind, &other.kind) {
            (Kind::Symlink(a), Kind::Symlink(b)) => return Ok(a == b),
            (Kind::Symlink(_), _) | (_, Kind::Symlink(_)) => return Ok(false),
            _ => {}
        }
        match (self.content(), other.content()) {
            (None, None) => Ok(true),
            (Some((content, _)), None) | (None, Some((content, _))) => Ok(content.size() == 0),
            (Some((a, at)), Some((b, other))) => {
                fs::same_content((a.open(&at)?, b.open(&other)?), check)
            }
        }
    }
}

/// Whether it takes no more than a look to see that no two entries have one place: each package
/// lies in a part of the image of its own.
fn are_apart(packages: &[PackagePlan]) -> bool {
    let mut ranges = Vec::with_capacity(packages.len());
    for PackagePlan { entries, .. } in packages {
        if !entries.is_sorted_by(|a, b| a.dest < b.dest) {
            return false;
        }
        ranges.extend(entries.first().zip(entries.last()).map(|(a, b)| (&a.dest, &b.dest)));
    }
    ranges.sort();
    ranges.is_sorted_by(|(_, last), (first, _)| last < first)
}

/// Leaves one entry at each place: of two that are the same, the first package's.
pub(super) fn deduplicate(packages: &mut [PackagePlan], check: CancelCheck<'_>) -> Result<()> {
    if are_apart(packages) {
        return Ok(());
    }
    let mut order: Vec<(&[u8], usize, usize)> = Vec::new();
    for (package, plan) in packages.iter().enumerate() {
        let entries = plan.entries.iter().enumerate();
        order.extend(entries.map(|(entry, planned)| (&*planned.dest, package, entry)));
    }
    order.sort();
    let mut dropped = BTreeSet::new();
    let mut kept = 0;
    for next in 1..order.len() {
        let ((place, ..), (other, package, entry)) = (order[kept], order[next]);
        if place != other {
            kept = next;
            continue;
        }
        let (_, first_package, first_entry) = order[kept];
        let first = &packages[first_package].entries[first_entry];
        let second = &packages[package].entries[entry];
        if [first_package, package].iter().any(|&at| packages[at].segment.is_some()) {
            let [one, other] = [first_package, package].map(|at| packages[at].origin());
            return Err(Error::input(format!("{one} and {other} both deliver"))
                .at(paths::as_path(place))
                .hint("a segment cannot leave a file out: make it with an `--exclude`"));
        }
        if !first.is_same(second, check)? {
            let what = format!("{} and {} differ, and both go to", first.origin(), second.origin());
            return Err(Error::input(what)
                .at(paths::as_path(place))
                .hint("leave one of them out, or give it another `--to`"));
        }
        dropped.insert((package, entry));
    }
    for (package, plan) in packages.iter_mut().enumerate() {
        let mut entry = 0..;
        plan.entries.retain(|_| !entry.next().is_some_and(|at| dropped.contains(&(package, at))));
    }
    Ok(())
}

impl PackagePlan {
    /// Where the package comes from, for messages.
    fn origin(&self) -> String {
        let name = paths::as_path(&self.name).display();
        match &self.segment {
            Some(segment) => format!("segment `{}` of package `{name}`", segment.file.display()),
            None => format!("package `{name}`"),
        }
    }
}
