//! Entries of the cache's index: any bytes, and what was stored under another key.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pylayer::cache::{KeyBuilder, SegmentIndex};

fuzz_target!(|data: &[u8]| {
    let [key, other] = ["one", "other"].map(|name| KeyBuilder::new(name).finish());
    if let Some(index) = SegmentIndex::decode(&key, data) {
        assert_eq!(index.encode(&key), data);
    }
    let Some((blob, members)) = data.split_first_chunk() else { return };
    let (members, _) = members.as_chunks::<8>();
    let members = members.iter().map(|&[a, b, c, d, e, f, g, h]| {
        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
    });
    let index = SegmentIndex { blob: *blob, members: members.collect() };
    let sealed = index.encode(&key);
    assert_eq!(SegmentIndex::decode(&key, &sealed).as_ref(), Some(&index));
    assert_eq!(SegmentIndex::decode(&other, &sealed), None);
    let _: u64 = index.uncompressed();
});
