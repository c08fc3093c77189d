//! Entries of the cache's index: any bytes, with a wrong and with the right seal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pylayer::cache::Facts;

fuzz_target!(|data: &[u8]| {
    if let Some(facts) = Facts::decode(data) {
        assert_eq!(facts.encode(), data);
    }
    let mut sealed = data.to_vec();
    sealed.extend_from_slice(blake3::hash(data).as_bytes());
    match Facts::decode(&sealed) {
        None => assert!(data.len() < 32 || !data.len().is_multiple_of(8)),
        Some(facts) => {
            assert_eq!(facts.encode(), sealed);
            assert!(facts.members.is_empty() == (facts.size() == 0 && data.len() == 32));
            let _: u64 = facts.uncompressed();
        }
    }
});
