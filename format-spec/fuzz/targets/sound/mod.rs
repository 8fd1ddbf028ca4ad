//! Traces whose checksums are right whatever they hold, and reading all there is in a trace.
#![allow(dead_code, reason = "each target uses some of it")]

use tracer_format::block::{BLOCK_HEADER_BYTES, BLOCK_MAGIC, BlockHeader};
use tracer_format::header::{FILE_HEADER_BYTES, FileHeader};
use tracer_format::log::skipped_text;
use tracer_format::{Batch, Trace};
use zerocopy::{FromBytes, IntoBytes};

/// Reads all events both ways; they must be in order of time.
pub fn read(bytes: &[u8]) {
    for trace in [Trace::open(bytes), Trace::scan(bytes)].into_iter().flatten() {
        trace.definitions.skipped.iter().map(skipped_text).for_each(drop);
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

/// Gives the header of the block at `at` its magic and sound checksums; gives its length, or none at the end.
pub fn seal(bytes: &mut [u8], at: usize, trace_id: u64) -> Option<usize> {
    let (mut header, _) = BlockHeader::read_from_prefix(bytes.get(at..)?).ok()?;
    header.magic = BLOCK_MAGIC;
    header.trace_id = trace_id.into();
    let content = at + BLOCK_HEADER_BYTES;
    if let Some(content) = bytes.get(content..content.saturating_add(header.stored_bytes.get() as usize)) {
        header.content_checksum = crc32fast::hash(content).into();
    }
    let checked = BLOCK_HEADER_BYTES - 4;
    header.header_checksum = crc32fast::hash(&header.as_bytes()[..checked]).into();
    bytes[at..at + BLOCK_HEADER_BYTES].copy_from_slice(header.as_bytes());
    Some(header.block_bytes())
}

/// Gives the file a sound header, and every block sound checksums.
pub fn make_sound(bytes: &mut [u8]) {
    let header = FileHeader::new(0);
    if let Some(begin) = bytes.get_mut(..FILE_HEADER_BYTES) {
        begin.copy_from_slice(header.as_bytes());
    }
    let mut at = FILE_HEADER_BYTES;
    while at + BLOCK_HEADER_BYTES <= bytes.len() {
        // A fuzzer finds two bytes of the magic, but hardly eight.
        if bytes[at..at + 2] == BLOCK_MAGIC[..2] {
            seal(bytes, at, 0);
            at += BLOCK_HEADER_BYTES;
        } else {
            at += 1;
        }
    }
}
