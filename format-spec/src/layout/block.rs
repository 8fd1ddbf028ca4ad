//! Blocks: the self-delimiting parts of a trace, each with a header that guards it (SPEC.md "Block header").

use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::Damage;
use crate::limits::{MAX_BLOCKS, MAX_STORED_BYTES};

/// First eight bytes of a block; a reader searches for them after damage.
pub const BLOCK_MAGIC: [u8; 8] = *b"\xb7TRBLK\r\n";

/// Kinds of blocks, by their number on disk; numbers are never reused.
pub mod kind {
    /// Hosts, processes, threads, sites and so on.
    pub const DEFINITIONS: u8 = 1;
    /// Events, as columns.
    pub const EVENTS: u8 = 2;
    /// Places in time where events are missing.
    pub const GAPS: u8 = 3;
    /// Clock anchors.
    pub const CLOCKS: u8 = 4;
    /// Where the blocks are.
    pub const INDEX: u8 = 5;
    /// Where the index is, and totals.
    pub const FOOTER: u8 = 6;
    /// Which strings of the next events block are cut.
    pub const CUTS: u8 = 7;
}

/// Bits of [`BlockHeader::flags`].
pub mod flag {
    /// A reader that does not know the kind must refuse the trace.
    pub const REQUIRED: u8 = 1;
    /// What the block holds was written before: it stands here again so that opening is quick.
    pub const RESTATED: u8 = 2;
    /// Some strings of this block of events are cut: the block in front of it says which.
    pub const CUT: u8 = 4;
}

/// The header of a block as it lies on disk, 72 bytes; the stored bytes follow.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BlockHeader {
    /// [`BLOCK_MAGIC`].
    pub magic: [u8; 8],
    /// One of [`kind`].
    pub kind: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Zero; ignored.
    pub unused: [u8; 2],
    /// Bytes after this header that belong to the block.
    pub stored_bytes: U32,
    /// As in the file header: a block shows which trace it is of.
    pub trace_id: U64,
    /// Events, gaps, anchors, definitions or index rows in the block.
    pub count: U32,
    /// Number of the block in its trace, from 0: tells how many are missing.
    pub sequence: U32,
    /// Time of the first event, or of the start of the first gap; or 0.
    pub first_ns: U64,
    /// Time of the last event, or of the end of the last gap; or 0.
    pub last_ns: U64,
    /// Lowest key of an event; above `key_max` if no event has a key.
    pub key_min: I64,
    /// Highest key of an event.
    pub key_max: I64,
    /// CRC-32 of the stored bytes.
    pub content_checksum: U32,
    /// CRC-32 of the header bytes before it.
    pub header_checksum: U32,
}

const _: () = assert!(size_of::<BlockHeader>() == 72);
/// Bytes of a block header.
pub const BLOCK_HEADER_BYTES: usize = size_of::<BlockHeader>();
const CHECKED: usize = BLOCK_HEADER_BYTES - 4;

/// What a block header says of the events in its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    pub(crate) key_min: i64,
    pub(crate) key_max: i64,
}

impl Bounds {
    pub(crate) const NONE: Self = Self { first_ns: 0, last_ns: 0, key_min: 0, key_max: -1 };
}

impl BlockHeader {
    /// Bytes of the whole block.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        BLOCK_HEADER_BYTES + self.stored_bytes.get() as usize
    }

    /// Reads and checks the header at the front of `bytes`; the stored bytes need not be there.
    ///
    /// # Errors
    /// The damage, if this is no sound block header.
    pub fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        if !bytes.starts_with(&BLOCK_MAGIC) {
            return Err(Damage::Magic);
        }
        let Ok((header, _)) = Self::read_from_prefix(bytes) else {
            return Err(Damage::Truncated { found: bytes.len() as u64, expected: BLOCK_HEADER_BYTES as u64 });
        };
        let (computed, stored) =
            (crc32fast::hash(&header.as_bytes()[..CHECKED]), header.header_checksum.get());
        if computed != stored {
            return Err(Damage::HeaderChecksum { computed, stored });
        }
        let len = header.stored_bytes.get();
        if len as usize > MAX_STORED_BYTES {
            return Err(Damage::Limit {
                what: "stored bytes",
                len: len.into(),
                max: MAX_STORED_BYTES as u64,
            });
        }
        let (sequence, max) = (header.sequence.get(), MAX_BLOCKS as u64 - 1);
        if u64::from(sequence) > max {
            return Err(Damage::Limit { what: "block number", len: sequence.into(), max });
        }
        Ok(header)
    }

    /// The stored bytes of the block that begins `bytes`, checked.
    ///
    /// # Errors
    /// The damage, if they are not all there or their checksum does not fit.
    pub fn content<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Damage> {
        let content = bytes
            .get(BLOCK_HEADER_BYTES..self.block_bytes())
            .ok_or(Damage::Truncated { found: bytes.len() as u64, expected: self.block_bytes() as u64 })?;
        let (computed, stored) = (crc32fast::hash(content), self.content_checksum.get());
        if computed == stored { Ok(content) } else { Err(Damage::Checksum { computed, stored }) }
    }
}

/// A block that is being written: fills the header in once the content is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockMaker {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) count: u32,
    pub(crate) trace_id: u64,
    pub(crate) sequence: u32,
    pub(crate) bounds: Bounds,
}

impl BlockMaker {
    /// Makes room for a header at the end of `out`; the content is appended after it.
    pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
        let start = out.len();
        out.resize(start + BLOCK_HEADER_BYTES, 0);
        start
    }

    /// Writes the header of the block that begins at `start` and goes on to the end of `out`.
    pub(crate) fn end(self, out: &mut [u8], start: usize) {
        let (head, content) = out[start..].split_at_mut(BLOCK_HEADER_BYTES);
        let stored_bytes = u32::try_from(content.len()).expect("every kind of content is limited");
        let mut header = BlockHeader {
            magic: BLOCK_MAGIC,
            kind: self.kind,
            flags: self.flags,
            unused: [0; 2],
            stored_bytes: stored_bytes.into(),
            trace_id: self.trace_id.into(),
            count: self.count.into(),
            sequence: self.sequence.into(),
            first_ns: self.bounds.first_ns.into(),
            last_ns: self.bounds.last_ns.into(),
            key_min: self.bounds.key_min.into(),
            key_max: self.bounds.key_max.into(),
            content_checksum: crc32fast::hash(content).into(),
            header_checksum: 0.into(),
        };
        header.header_checksum = crc32fast::hash(&header.as_bytes()[..CHECKED]).into();
        head.copy_from_slice(header.as_bytes());
    }
}
