//! The memory tier: small values, bounded by their bytes.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::Key;

/// About what a value costs besides its bytes: its slot, and what the allocator adds.
const OVERHEAD: usize = 256;

/// About how large a value is: decides how many slots are prepared.
const USUAL: usize = 16 << 10;

/// A map whose values together have at most so many bytes, with what keeping them costs.
#[derive(Debug)]
pub(super) struct Memory<V> {
    limit: usize,
    values: Cache<Key, (Arc<V>, usize), Bytes>,
}

#[derive(Clone, Debug)]
struct Bytes;

impl<V> Weighter<Key, (Arc<V>, usize)> for Bytes {
    fn weight(&self, _: &Key, (_, bytes): &(Arc<V>, usize)) -> u64 {
        *bytes as u64
    }
}

impl<V> Memory<V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, values: Cache::with_weighter(limit / USUAL, limit as u64, Bytes) }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<V>> {
        self.values.get(key).map(|(value, _)| value)
    }

    /// Keeps a value of so many bytes, unless it would take more than a quarter of the room, and
    /// gives it back.
    pub(super) fn put(&self, key: Key, value: V, bytes: usize) -> Arc<V> {
        let value = Arc::new(value);
        let bytes = bytes + OVERHEAD;
        if bytes <= self.limit / 4 {
            self.values.insert(key, (value.clone(), bytes));
        }
        value
    }

    pub(super) fn remove(&self, key: &Key) {
        self.values.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KeyBuilder;

    #[test]
    fn the_bytes_are_bounded_whatever_comes() {
        let limit = 1 << 20;
        let memory = Memory::new(limit);
        let key = |number: u64| KeyBuilder::new("test").number(number).finish();
        for number in 0..10_000_u64 {
            memory.put(key(number % 3000), number, (number % 600) as usize);
            assert!(memory.values.weight() <= limit as u64);
        }
        memory.put(key(1), 7, 10);
        assert_eq!(memory.get(&key(1)).as_deref(), Some(&7));
        memory.put(key(2), 8, limit);
        assert_eq!(memory.get(&key(2)).as_deref().filter(|value| **value == 8), None);
        memory.remove(&key(1));
        assert_eq!(memory.get(&key(1)), None);
    }
}
