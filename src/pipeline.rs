//! The road from a valid spec to a finished blob: plan, archive, members, digests, in one pass.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::crew::{Crew, Member, Ticket};
use crate::digest::Hasher;
use crate::error::Result;
use crate::fs::{self, Output};
use crate::layer::compress::{Compression, MEMBER};
use crate::layer::metadata::{self, Blob};
use crate::layer::plan::plan;
use crate::layer::segment::{self, Sink};
use crate::layer::{Checkpoint, LayerSpec};

/// Hash what was read while it is still in the processor's cache, but not in crumbs.
const HASH: usize = 64 << 10;

/// Where a layer's files go.
#[derive(Debug)]
pub struct Targets {
    /// The blob.
    pub blob: PathBuf,
    /// The JSON about it, if wanted.
    pub metadata: Option<PathBuf>,
}

/// A layer that is complete and not visible yet.
#[derive(Debug)]
pub struct Finished {
    blob: Output,
    metadata: Option<Output>,
}

/// Builds a layer.
pub fn build(
    targets: &Targets,
    spec: &LayerSpec,
    crew: &Crew,
    check: Checkpoint<'_>,
) -> Result<Finished> {
    let plan = plan(spec, check)?;
    let mut blob = Assembly::start(Output::create(&targets.blob)?, spec.compression, crew);
    segment::write_head(&plan.directories, spec.attributes, &mut blob)?;
    for package in &plan.packages {
        segment::write_package(package, spec.attributes, &mut blob, check)?;
    }
    segment::write_tail(&mut blob)?;
    let (output, facts) = blob.finish()?;

    let metadata = match &targets.metadata {
        Some(target) => {
            let mut output = Output::create(target)?;
            output.write(&metadata::json(&facts, spec.compression.media_type())?)?;
            Some(output)
        }
        None => None,
    };
    Ok(Finished { blob: output, metadata })
}

impl Finished {
    /// Makes the layer's files appear: all of them, or none.
    pub fn publish(self) -> Result<()> {
        let target = self.blob.target().to_owned();
        self.blob.publish()?;
        match self.metadata.map_or(Ok(()), Output::publish) {
            Ok(()) => Ok(()),
            Err(error) => {
                fs::remove(&target);
                Err(error)
            }
        }
    }
}

/// A blob in the making: takes in the archive, has members compressed, and writes them in order.
struct Assembly<'a> {
    output: Output,
    compression: Compression,
    crew: &'a Crew,
    /// The member that is being filled; none before its first byte.
    member: Option<Member>,
    filled: usize,
    hashed: usize,
    in_flight: VecDeque<Ticket>,
    archive: Hasher,
    blob: Hasher,
}

impl<'a> Assembly<'a> {
    fn start(output: Output, compression: Compression, crew: &'a Crew) -> Self {
        Self {
            output,
            compression,
            crew,
            member: None,
            filled: 0,
            hashed: 0,
            in_flight: VecDeque::new(),
            archive: Hasher::new(),
            blob: Hasher::new(),
        }
    }

    /// The member to fill: the buffers of members in flight come back as those are written.
    fn member(&mut self) -> Result<&mut Member> {
        let member = match self.member.take() {
            Some(member) => member,
            None => loop {
                if let Some(member) = self.crew.try_member() {
                    break member;
                }
                if !self.write_oldest()? {
                    break self.crew.member();
                }
            },
        };
        Ok(self.member.insert(member))
    }

    /// Writes the oldest member in flight; false if there is none.
    fn write_oldest(&mut self) -> Result<bool> {
        let Some(ticket) = self.in_flight.pop_front() else {
            return Ok(false);
        };
        let member = self.crew.wait(&ticket)?;
        self.blob.update(member.output());
        self.output.write(member.output())?;
        Ok(true)
    }

    fn hash(&mut self) {
        if let Some(member) = &mut self.member {
            self.archive.update(&member.input()[self.hashed..self.filled]);
        }
        self.hashed = self.filled;
    }

    fn end_member(&mut self) -> Result<()> {
        self.hash();
        let length = std::mem::take(&mut self.filled);
        self.hashed = 0;
        let Some(mut member) = self.member.take() else {
            return Ok(());
        };
        if self.compression == Compression::None {
            self.output.write(&member.input()[..length])?;
            self.member = Some(member);
            return Ok(());
        }
        self.in_flight.push_back(self.crew.submit(member, length, self.compression));
        while self.in_flight.len() >= self.crew.depth() {
            self.write_oldest()?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Output, Blob)> {
        while self.write_oldest()? {}
        let (archive, blob) = match self.compression {
            Compression::None => (self.archive.clone(), self.archive),
            Compression::Gzip(_) | Compression::Zstd(_) => (self.archive, self.blob),
        };
        let size = blob.length();
        let facts = Blob { digest: blob.finish(), size, diff_id: archive.finish() };
        Ok((self.output, facts))
    }
}

impl Sink for Assembly<'_> {
    fn room(&mut self) -> Result<&mut [u8]> {
        if self.filled == MEMBER {
            self.end_member()?;
        }
        let filled = self.filled;
        Ok(&mut self.member()?.input()[filled..])
    }

    fn filled(&mut self, length: usize) {
        self.filled += length;
        if self.filled - self.hashed >= HASH {
            self.hash();
        }
    }

    fn end_segment(&mut self) -> Result<()> {
        if self.filled > 0 { self.end_member() } else { Ok(()) }
    }
}
