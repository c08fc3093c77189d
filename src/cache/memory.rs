//! The memory tier: small values, bounded by their bytes, the least recently used dropped first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Key;

/// About what a value costs besides its bytes: two entries of maps, and what the allocator adds.
const OVERHEAD: usize = 256;

/// A map whose values together have at most so many bytes, with what keeping them costs.
#[derive(Debug)]
pub(super) struct Memory<V> {
    limit: usize,
    state: Mutex<State<V>>,
}

#[derive(Debug)]
struct State<V> {
    values: BTreeMap<Key, Slot<V>>,
    /// Keys by when they were last used.
    order: BTreeMap<u64, Key>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Slot<V> {
    value: Arc<V>,
    bytes: usize,
    used: u64,
}

impl<V> Memory<V> {
    pub(super) fn new(limit: usize) -> Self {
        let state = State { values: BTreeMap::new(), order: BTreeMap::new(), clock: 0, bytes: 0 };
        Self { limit, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<V>> {
        let mut state = self.state();
        let State { values, order, clock, .. } = &mut *state;
        let slot = values.get_mut(key)?;
        *clock += 1;
        order.remove(&slot.used);
        order.insert(*clock, *key);
        slot.used = *clock;
        Some(slot.value.clone())
    }

    /// Keeps a value of so many bytes, unless it would take more than a quarter of the room, and
    /// gives it back.
    pub(super) fn put(&self, key: Key, value: V, bytes: usize) -> Arc<V> {
        let value = Arc::new(value);
        let bytes = bytes + OVERHEAD;
        if bytes > self.limit / 4 {
            return value;
        }
        let mut state = self.state();
        state.remove(&key);
        state.clock += 1;
        let used = state.clock;
        state.order.insert(used, key);
        state.values.insert(key, Slot { value: value.clone(), bytes, used });
        state.bytes += bytes;
        while state.bytes > self.limit
            && let Some((_, oldest)) = state.order.first_key_value().map(|(&at, &key)| (at, key))
        {
            state.remove(&oldest);
        }
        value
    }

    pub(super) fn remove(&self, key: &Key) {
        self.state().remove(key);
    }
}

impl<V> State<V> {
    fn remove(&mut self, key: &Key) {
        if let Some(slot) = self.values.remove(key) {
            self.order.remove(&slot.used);
            self.bytes -= slot.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KeyBuilder;

    fn key(number: u64) -> Key {
        KeyBuilder::new("test").number(number).finish()
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let memory = Memory::new(4 * (10 + OVERHEAD));
        for number in 0..4 {
            memory.put(key(number), number, 10);
        }
        assert!(memory.get(&key(0)).is_some());
        memory.put(key(4), 4, 10);
        let kept: Vec<u64> = (0..5).filter(|&number| memory.get(&key(number)).is_some()).collect();
        assert_eq!(kept, [0, 2, 3, 4]);
    }

    #[test]
    fn the_bytes_are_bounded_whatever_comes() {
        let limit = 1000 + 8 * OVERHEAD;
        let memory = Memory::new(limit);
        for number in 0..10_000_u64 {
            memory.put(key(number % 300), number, (number % 600) as usize);
            let state = memory.state();
            assert!(state.bytes <= limit);
            assert_eq!(state.bytes, state.values.values().map(|slot| slot.bytes).sum::<usize>());
            assert_eq!(state.order.len(), state.values.len());
        }
    }
}
