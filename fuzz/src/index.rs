//! Entries of the cache's index: any bytes, and what was stored under another key.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pylayer::cache::{Facts, KeyBuilder};

fuzz_target!(|data: &[u8]| {
    let [key, other] = ["one", "other"].map(|name| KeyBuilder::new(name).finish());
    if let Some(facts) = Facts::decode(&key, data) {
        assert_eq!(facts.encode(&key), data);
    }
    let Some((blob, members)) = data.split_first_chunk() else { return };
    let (members, _) = members.as_chunks::<8>();
    let members = members.iter().map(|&[a, b, c, d, e, f, g, h]| {
        (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
    });
    let facts = Facts { blob: *blob, members: members.collect() };
    let sealed = facts.encode(&key);
    assert_eq!(Facts::decode(&key, &sealed).as_ref(), Some(&facts));
    assert_eq!(Facts::decode(&other, &sealed), None);
    let _: u64 = facts.uncompressed();
});
