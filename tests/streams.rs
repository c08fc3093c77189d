//! Deflate streams of wheels against zlib: what is taken into a layer is what zlib can read, no
//! more and no less.

use std::fs;
use std::process::Command;

use xtask::session::{Numbers, noise};

use crate::support::zip::{Member, archive, deflate};
use crate::support::{Folder, Run, decompress};

/// Writes a stream bit by bit, lowest bit first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.pending |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.pending.to_le_bytes()[0]);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// Huffman codes go in highest bit first.
    fn code(&mut self, code: u32, count: u32) {
        self.put(code.reverse_bits() >> (32 - count), count);
    }

    /// A literal or a length of the fixed code (RFC 1951, 3.2.6).
    fn symbol(&mut self, symbol: u32) {
        match symbol {
            0..144 => self.code(0x30 + symbol, 8),
            144..256 => self.code(0x190 + symbol - 144, 9),
            256..280 => self.code(symbol - 256, 7),
            _ => self.code(0xc0 + symbol - 280, 8),
        }
    }
}

/// A stream of one block with the fixed code: enough for a member of its own, and in some streams
/// symbols that RFC 1951 has for nothing.
fn fixed(numbers: &mut Numbers) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0b011, 3);
    let mut byte = || u32::from(numbers.next().to_le_bytes()[0]);
    for _ in 0..100 {
        bits.symbol(byte());
    }
    for _ in 0..100 {
        // Length 258, distance 1 to 4.
        bits.symbol(285);
        bits.code(byte() % 4, 5);
        bits.symbol(byte());
    }
    if byte() % 4 == 0 {
        // Two symbols more than there are lengths; libdeflate takes both for 258.
        bits.symbol(286 + byte() % 2);
        bits.code(0, 5);
    }
    if byte() % 4 == 0 {
        // Two symbols more than there are distances.
        bits.symbol(257);
        bits.code(30 + byte() % 2, 5);
        bits.put(0, 14);
    }
    bits.symbol(256);
    bits.put(0, 7);
    bits.bytes
}

/// A stream as compressors make them, of which some bits are flipped.
fn flipped(numbers: &mut Numbers) -> Vec<u8> {
    let noise = noise(30_000, numbers.next());
    // Of few different bytes, so that the block's own code is described in few bits.
    let mut stream = deflate(&noise.iter().map(|byte| byte & 0x1f).collect::<Vec<u8>>());
    for _ in 0..numbers.below(3) {
        // Most in the code's description.
        let end = *numbers.one_of(&[60, 60, stream.len()]);
        stream[numbers.below(end)] ^= 1 << numbers.below(8);
    }
    stream
}

/// The content of a stream by an inflater that takes more than others do.
fn lenient(stream: &[u8]) -> Option<Vec<u8>> {
    let mut content = vec![0; 200_000];
    let length = libdeflater::Decompressor::new().deflate_decompress(stream, &mut content).ok()?;
    content.truncate(length);
    Some(content)
}

/// Says which streams zlib inflates to the file of the same number, to the end.
const ZLIB: &str = "
import sys, zlib
for number in range(int(sys.argv[1])):
    stream, content = (open(f'{name}/{number}', 'rb').read() for name in ('streams', 'tree'))
    inflate = zlib.decompressobj(-15)
    try:
        good = inflate.decompress(stream) == content and inflate.eof and not inflate.unused_data
    except zlib.error:
        good = False
    print(int(good))
";

#[test]
fn streams_are_taken_where_zlib_reads_them() {
    let folder = Folder::new();
    let numbers = &mut Numbers::new(0x0def_1a7e);
    let (mut streams, mut members) = (Vec::new(), Vec::new());
    while streams.len() < 200 {
        let stream = if streams.len() % 2 == 0 { fixed(numbers) } else { flipped(numbers) };
        if let Some(content) = lenient(&stream).filter(|content| content.len() > 16 << 10) {
            let name = streams.len().to_string();
            folder.file(&format!("streams/{name}"), &stream);
            folder.file(&format!("tree/{name}"), &content);
            members.push(Member::new(&name, &content).with_stream(stream.clone()));
            streams.push(stream);
        }
    }
    fs::write(folder.path().join("p.whl"), archive(&members)).unwrap();
    let tree = ["--package=p", "--wheel=p.whl", "--tree=tree", "--to=app"];
    let blob = folder.layer(&tree);
    assert!(decompress(&blob) == folder.layer(&[&["--compression=none"], &tree[..]].concat()));
    folder.file("blob", &blob);

    let mut python = Command::new("python3");
    python.args(["-c", ZLIB, &streams.len().to_string()]).current_dir(folder.path());
    let zlib = Run::of(&mut python);
    assert_eq!(zlib.code, 0, "{}", zlib.stderr);
    let taken = |stream: &Vec<u8>| memchr::memmem::find(&blob, stream).is_some();
    let good: Vec<bool> = zlib.stdout.lines().map(|line| line == "1").collect();
    assert_eq!(streams.iter().map(taken).collect::<Vec<_>>(), good);
    let count = good.iter().filter(|good| **good).count();
    assert!((50..190).contains(&count), "zlib reads {count} of 200: it is not put to the test");
}
