//! Room for some of a layer's bytes before and after compression.

use std::sync::Arc;

use memmap2::MmapMut;

use super::turn::Owner;
use super::{Shared, lock};
use crate::error::{Error, Fault, Result};
use crate::layer::compress::MEMBER;

/// Members of a full buffer never have more bytes than this: a part is at least 16 KiB or the only
/// one between two such, and no codec adds more than 1/128 and 100 bytes to it.
const COMPRESSED: usize = MEMBER + MEMBER / 64 + (128 << 10);

/// What has to be left to the process by more buffers than one: whoever allocates elsewhere cannot
/// fail in good order.
const RESERVE: usize = 64 << 20;

/// Mapped for themselves, so that they go back to the system when they are dropped, whatever the
/// allocator keeps.
#[derive(Debug)]
pub(super) struct Buffers {
    input: MmapMut,
    output: MmapMut,
}

impl Buffers {
    /// The first ones; an error where the process may have no more memory.
    pub(super) fn first() -> Result<Self> {
        let (input, output) = (map(MEMBER)?, map(COMPRESSED)?);
        Ok(Self { input, output })
    }

    /// More of them; an error where the process may have little more memory.
    pub(super) fn more() -> Result<Self> {
        let buffers = Self::first()?;
        drop(map(RESERVE)?);
        Ok(buffers)
    }
}

fn map(length: usize) -> Result<MmapMut> {
    MmapMut::map_anon(length).map_err(|source| {
        let what = "there is no memory for buffers to compress with";
        Error::new(Fault::Environment, what).because(source)
    })
}

/// Buffers to work with; they go back to the pool when dropped.
#[derive(Debug)]
pub struct BufferLease {
    buffers: Option<Buffers>,
    shared: Arc<Shared>,
    owner: Arc<Owner>,
}

impl BufferLease {
    pub(super) fn new(buffers: Buffers, shared: &Arc<Shared>, owner: &Arc<Owner>) -> Self {
        Self { buffers: Some(buffers), shared: shared.clone(), owner: owner.clone() }
    }

    fn buffers(&mut self) -> &mut Buffers {
        match &mut self.buffers {
            Some(buffers) => buffers,
            None => unreachable!("a lease has its buffers until it is dropped"),
        }
    }

    /// The archive's bytes: room for [`MEMBER`] of them.
    pub fn input(&mut self) -> &mut [u8] {
        &mut self.buffers().input
    }

    /// The compressed bytes: room for all that the archive's may become.
    pub fn output(&mut self) -> &mut [u8] {
        &mut self.buffers().output
    }

    /// Both.
    pub fn both(&mut self) -> (&mut [u8], &mut [u8]) {
        let Buffers { input, output } = self.buffers();
        (input, output)
    }
}

impl Drop for BufferLease {
    fn drop(&mut self) {
        if let Some(buffers) = self.buffers.take() {
            self.shared.give_back(&mut lock(&self.shared.state), &self.owner, buffers);
        }
    }
}
