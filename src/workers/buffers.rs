//! Room for some of a layer's bytes before and after compression.

use std::sync::Arc;

use memmap2::MmapMut;

use super::{Shared, lock};
use crate::layer::compress::MEMBER;

/// Members of a full buffer never have more bytes than this: a part is at least 16 KiB or the only
/// one between two such, and no codec adds more than 1/128 and 100 bytes to it.
const COMPRESSED: usize = MEMBER + MEMBER / 64 + (128 << 10);

/// Mapped for itself, so that it goes back to the system when it is dropped, whatever the
/// allocator keeps.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    input: Room<MEMBER>,
    output: Room<COMPRESSED>,
}

#[derive(Debug, Default)]
struct Room<const LENGTH: usize>(Option<Bytes>);

#[derive(Debug)]
enum Bytes {
    Mapped(MmapMut),
    /// Where nothing can be mapped, the allocator may still have room.
    Allocated(Vec<u8>),
}

impl<const LENGTH: usize> Room<LENGTH> {
    fn bytes(&mut self) -> &mut [u8] {
        let bytes = self.0.get_or_insert_with(|| match MmapMut::map_anon(LENGTH) {
            Ok(mapped) => Bytes::Mapped(mapped),
            Err(_) => Bytes::Allocated(vec![0; LENGTH]),
        });
        match bytes {
            Bytes::Mapped(mapped) => mapped,
            Bytes::Allocated(allocated) => allocated,
        }
    }
}

/// Buffers to work with; they go back to the pool when dropped.
#[derive(Debug)]
pub struct BufferLease {
    buffers: Option<Buffers>,
    shared: Arc<Shared>,
}

impl BufferLease {
    pub(super) fn new(buffers: Buffers, shared: &Arc<Shared>) -> Self {
        Self { buffers: Some(buffers), shared: shared.clone() }
    }

    fn buffers(&mut self) -> &mut Buffers {
        self.buffers.get_or_insert_default()
    }

    /// The archive's bytes: room for [`MEMBER`] of them.
    pub fn input(&mut self) -> &mut [u8] {
        self.buffers().input.bytes()
    }

    /// The compressed bytes: room for all that the archive's may become.
    pub fn output(&mut self) -> &mut [u8] {
        self.buffers().output.bytes()
    }

    /// Both.
    pub fn both(&mut self) -> (&mut [u8], &mut [u8]) {
        let Buffers { input, output } = self.buffers();
        (input.bytes(), output.bytes())
    }
}

impl Drop for BufferLease {
    fn drop(&mut self) {
        if let Some(buffers) = self.buffers.take() {
            self.shared.give_back(&mut lock(&self.shared.state), buffers);
        }
    }
}
