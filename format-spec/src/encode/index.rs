//! The rows of an index as the content of a block (SPEC.md "Index row").

use zerocopy::{FromZeros, IntoBytes};

use super::codec::{Decoder, Encoder};
use super::cursor::Cursor;
use crate::error::Damage;
use crate::layout::block::BLOCK_HEADER_BYTES;
use crate::layout::index::IndexRow;

/// Appends the content of an index block.
pub(crate) fn encode(rows: &[IndexRow], encoder: &mut Encoder, out: &mut Vec<u8>) {
    encoder.put_plane(rows.as_bytes(), out);
}

/// Reads the rows of an index block: the blocks in front of position `end`, which bounds how many there can be.
pub(crate) fn decode(content: &[u8], count: u32, end: u64) -> Result<Vec<IndexRow>, Damage> {
    let max = end / BLOCK_HEADER_BYTES as u64;
    if u64::from(count) > max {
        return Err(Damage::Limit { what: "index rows", len: count.into(), max });
    }
    let mut rows = vec![IndexRow::new_zeroed(); count as usize];
    let mut cursor = Cursor::new(content);
    Decoder::new().take_plane(&mut cursor, rows.as_mut_bytes())?;
    if !cursor.is_empty() {
        return Err(Damage::Content("bytes are left over"));
    }
    // Rows that point to one block again and again would make a reader do the work as often.
    let mut next = 0;
    let sound = |row: &IndexRow| {
        let block = BLOCK_HEADER_BYTES as u64 + u64::from(row.stored_bytes.get());
        let follows = row.offset.get() >= next;
        next = row.offset.get().saturating_add(block);
        follows && next <= end && row.first_ns <= row.last_ns
    };
    if !rows.iter().all(sound) {
        return Err(Damage::Content("an index row points out of the trace or back"));
    }
    Ok(rows)
}
