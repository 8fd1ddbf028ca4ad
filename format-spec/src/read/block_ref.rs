//! Where an events block is in a file: what opening a trace finds, and decoding starts from.

use crate::layout::block::flag;
use crate::layout::index::IndexRow;

/// Where an events block is, and what its header says of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRef {
    /// Position of the block in the file.
    pub offset: u64,
    /// Bytes after the block header.
    pub stored_bytes: u32,
    /// Events in the block.
    pub events: u32,
    /// Time of the first event, CLOCK_MONOTONIC ns.
    pub first_ns: u64,
    /// Time of the last event.
    pub last_ns: u64,
    /// Lowest key; above `key_max` if no event has a key.
    pub key_min: i64,
    /// Highest key.
    pub key_max: i64,
    /// Trace that the block belongs to, where several stand in one file one after the other.
    pub part: u32,
    /// Whether some of its strings are cut.
    pub is_cut: bool,
    /// Position of the block that says which; `None` if there is none.
    pub cuts: Option<u64>,
}

impl BlockRef {
    pub(crate) fn new(offset: u64, row: &IndexRow, part: u32) -> Self {
        Self {
            offset,
            stored_bytes: row.stored_bytes.get(),
            events: row.count.get(),
            first_ns: row.first_ns.get(),
            last_ns: row.last_ns.get(),
            key_min: row.key_min.get(),
            key_max: row.key_max.get(),
            part,
            is_cut: row.flags & flag::CUT != 0,
            cuts: None,
        }
    }
}
