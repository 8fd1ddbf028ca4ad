//! The index, a row for every block, and the footer that says where it is (SPEC.md "Index" and "Footer").

use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::block::{BLOCK_HEADER_BYTES, BlockHeader, kind};
use crate::error::Damage;

/// A row of the index, 56 bytes before compression.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct IndexRow {
    /// Position of the block, bytes from the file header of its trace.
    pub offset: U64,
    /// Kind of the block.
    pub kind: u8,
    /// Flags of the block.
    pub flags: u8,
    /// Zero; ignored.
    pub unused: [u8; 6],
    /// Stored bytes, as in the block header.
    pub stored_bytes: U32,
    /// Count, as in the block header.
    pub count: U32,
    /// As in the block header.
    pub first_ns: U64,
    /// As in the block header.
    pub last_ns: U64,
    /// As in the block header.
    pub key_min: I64,
    /// As in the block header.
    pub key_max: I64,
}

const _: () = assert!(size_of::<IndexRow>() == 56);

impl IndexRow {
    pub(crate) fn new(offset: u64, header: &BlockHeader) -> Self {
        Self {
            offset: offset.into(),
            kind: header.kind,
            flags: header.flags,
            unused: [0; 6],
            stored_bytes: header.stored_bytes,
            count: header.count,
            first_ns: header.first_ns,
            last_ns: header.last_ns,
            key_min: header.key_min,
            key_max: header.key_max,
        }
    }
}

/// The content of the footer block, 56 bytes: the last of a complete trace.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Footer {
    /// Bytes of the whole trace, from its file header to the end of this footer.
    pub trace_bytes: U64,
    /// Position of the first restated block, bytes from the file header; they go on to the index.
    pub restated_offset: U64,
    /// Position of the index block, bytes from the file header; 0 if there is none.
    pub index_offset: U64,
    /// Events in the trace.
    pub events: U64,
    /// Events dropped while recording.
    pub dropped: U64,
    /// Zero; ignored.
    pub unused: [u8; 8],
    /// [`TRAILER`]: the last bytes of a complete trace.
    pub trailer: [u8; 8],
}

/// Last eight bytes of a complete trace.
pub const TRAILER: [u8; 8] = *b"TRACE.\r\n";
const _: () = assert!(size_of::<Footer>() == 56);
/// Bytes of the footer block with its header.
pub const FOOTER_BLOCK_BYTES: usize = BLOCK_HEADER_BYTES + size_of::<Footer>();

impl Footer {
    /// Reads the footer block that `bytes` ends with, if they do.
    #[must_use]
    pub fn at_end(bytes: &[u8]) -> Option<Self> {
        let block = bytes.get(bytes.len().checked_sub(FOOTER_BLOCK_BYTES)?..)?;
        let header = BlockHeader::parse(block).ok().filter(|header| header.kind == kind::FOOTER)?;
        Self::parse(header.content(block).ok()?).ok()
    }

    /// Reads the content of a footer block.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, Damage> {
        let footer =
            Self::read_from_bytes(content).map_err(|_| Damage::Content("the footer is not 56 bytes long"))?;
        if footer.trailer == TRAILER { Ok(footer) } else { Err(Damage::Content("the footer has no trailer")) }
    }
}
