//! Any bytes, also under sound checksums, are read without a panic, in bounded time and memory, and in order of time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_format::block::{BLOCK_HEADER_BYTES, BLOCK_MAGIC};
use tracer_format::header::FileHeader;
use tracer_format::{Batch, Trace};
use zerocopy::IntoBytes;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let mut sound = bytes.to_vec();
    make_sound(&mut sound);
    read(&sound);
});

fn read(bytes: &[u8]) {
    for trace in [Trace::open(bytes), Trace::scan(bytes)].into_iter().flatten() {
        let (mut batches, mut last_ns) = (trace.batches(), 0);
        while let Some(batch) = batches.next() {
            let Batch::Events { columns, rows } = batch else { continue };
            for row in rows {
                assert!(columns.time_ns[row] >= last_ns);
                last_ns = columns.time_ns[row];
                columns.event(row).args(&trace.definitions).for_each(drop);
            }
        }
    }
}

/// Gives the file a sound header, and every block sound checksums.
fn make_sound(bytes: &mut [u8]) {
    let header = FileHeader::new(0);
    if let Some(begin) = bytes.get_mut(..32) {
        begin.copy_from_slice(header.as_bytes());
    }
    let mut at = 32;
    while at + BLOCK_HEADER_BYTES <= bytes.len() {
        // A fuzzer finds two bytes of the magic, but hardly eight.
        if bytes[at..at + 2] != BLOCK_MAGIC[..2] {
            at += 1;
            continue;
        }
        bytes[at..at + 8].copy_from_slice(&BLOCK_MAGIC);
        bytes[at + 16..at + 24].fill(0);
        let len = u32::from_le_bytes(bytes[at + 12..at + 16].try_into().unwrap()) as usize;
        let content = at + BLOCK_HEADER_BYTES;
        if let Some(content) = bytes.get(content..content.saturating_add(len)) {
            let checksum = crc32fast::hash(content).to_le_bytes();
            bytes[at + 64..at + 68].copy_from_slice(&checksum);
        }
        let checksum = crc32fast::hash(&bytes[at..at + 68]).to_le_bytes();
        bytes[at + 68..at + 72].copy_from_slice(&checksum);
        at += BLOCK_HEADER_BYTES;
    }
}
