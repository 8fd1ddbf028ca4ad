//! Walks the blocks of a trace by their headers, from front to back, over damage (SPEC.md "Walking").

use crate::error::{Damage, Error, NotATrace, Result};
use crate::layout::block::{BLOCK_HEADER_BYTES, BLOCK_MAGIC, BlockHeader, kind};
use crate::layout::header::{FILE_HEADER_BYTES, FileHeader, MAGIC};

/// Bytes of a trace that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedRange {
    /// Position of the first of them.
    pub offset: u64,
    /// How many.
    pub len_bytes: u64,
    /// What is wrong.
    pub damage: Damage,
    /// Events lost with them, as a sound block header tells; 0 if there is none.
    pub events: u32,
}

/// What [`Scanner::next`] finds.
#[derive(Debug, Clone, Copy)]
pub enum Found {
    /// A part begins: its file header, or one made up from the block that follows where it is lost.
    Header(FileHeader),
    /// A block, whole; its content is not checked yet.
    Block {
        /// Position of its header.
        offset: usize,
        /// Its header.
        header: BlockHeader,
    },
    /// Bytes that are neither, or blocks that are missing.
    Damaged(DamagedRange),
}

/// A position in a trace that may still grow.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scanner {
    offset: usize,
    part: Option<Part>,
    /// Content bytes that were checked in vain.
    vain_bytes: u64,
    /// Bytes in front that the caller does not keep.
    forgotten: u64,
}

/// What is known of the part that the position is in.
#[derive(Debug, Clone, Copy)]
struct Part {
    trace_id: u64,
    next_sequence: u32,
    /// Whether its footer was seen.
    over: bool,
}

impl Part {
    /// Whether `behind` a foreign block stands a block of this part.
    fn goes_on(&self, behind: &[u8]) -> bool {
        !self.over
            && BlockHeader::parse(behind).is_ok_and(|next| {
                next.trace_id.get() == self.trace_id && next.sequence.get() >= self.next_sequence
            })
    }
}

/// How far a block reaches.
enum Extent {
    Whole,
    /// Unsound; something sound follows behind so many bytes.
    Damaged(usize, Damage),
    /// The end of the bytes is inside it.
    Unfinished,
}

/// Bytes at the beginning of a file without a sound file header that are searched for a block.
pub(crate) const SEARCHED_BYTES: usize = 1 << 16;
/// Contents are checked in vain for at most this many times the bytes there are: a hostile file nests them.
const MAX_VAIN: u64 = 16;

impl Scanner {
    /// Position of the first byte that was not yet found to be part of anything.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The caller forgets the first `len` bytes, which are behind the position: from now on `bytes` begin after them.
    pub(crate) fn forget(&mut self, len: usize) {
        self.offset -= len;
        self.forgotten += len as u64;
    }

    /// Finds what comes next in `bytes`, which are the same as the last time, or more. `None` at the end, and where
    /// the rest is the beginning of a block that is not all there.
    ///
    /// # Errors
    /// [`Error::NotATrace`] and [`Error::Version`] if `bytes` do not begin as a trace that can be read.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<Found>> {
        let rest = bytes.get(self.offset..).unwrap_or_default();
        let begin = self.offset == 0 && self.part.is_none();
        if !begin && (rest.is_empty() || BLOCK_MAGIC.starts_with(rest)) {
            return Ok(None);
        }
        match FileHeader::parse(rest) {
            Ok(header) => return Ok(Some(self.begin_part(header, FILE_HEADER_BYTES))),
            Err(Error::NotATrace(why)) if begin => return self.lost_header(rest, why),
            Err(Error::NotATrace(NotATrace::Short { .. })) => return Ok(None),
            Err(Error::NotATrace(_)) => {}
            Err(other) => return Err(other),
        }
        match BlockHeader::parse(rest) {
            Ok(header) => Ok(self.block(&header, rest, self.forgotten + bytes.len() as u64)),
            Err(Damage::Truncated { .. }) => Ok(None),
            Err(damage) => Ok(Some(self.skip(resync(rest, 1).unwrap_or(rest.len()), damage, 0))),
        }
    }

    /// A trace whose first bytes are damaged still has its blocks; anything else is not a trace.
    fn lost_header(&mut self, bytes: &[u8], why: NotATrace) -> Result<Option<Found>> {
        let searched = &bytes[..bytes.len().min(SEARCHED_BYTES + BLOCK_HEADER_BYTES)];
        let Some(at) = resync(searched, 0) else {
            return Err(Error::NotATrace(why));
        };
        if at == 0 {
            return Ok(BlockHeader::parse(bytes).ok().map(|header| self.implied_part(&header)));
        }
        let damage = match why {
            NotATrace::Checksum { computed, stored } => Damage::HeaderChecksum { computed, stored },
            _ => Damage::Magic,
        };
        Ok(Some(self.skip(at, damage, 0)))
    }

    fn begin_part(&mut self, header: FileHeader, len: usize) -> Found {
        self.offset += len;
        self.part = Some(Part { trace_id: header.trace_id.get(), next_sequence: 0, over: false });
        Found::Header(header)
    }

    fn implied_part(&mut self, block: &BlockHeader) -> Found {
        self.begin_part(FileHeader::new(block.trace_id.get()), 0)
    }

    fn block(&mut self, header: &BlockHeader, rest: &[u8], file_bytes: u64) -> Option<Found> {
        let Some(part) = self.part else {
            return Some(self.implied_part(header));
        };
        let found = header.sequence.get();
        let expected = part.next_sequence;
        let foreign = part.trace_id != header.trace_id.get();
        let out_of_place = foreign || part.over || found < expected;
        // A block out of place may be a copy of one that was read, so its events do not count as lost.
        let events = if header.kind == kind::EVENTS && !out_of_place { header.count.get() } else { 0 };
        match self.extent(header, !out_of_place && found == expected, rest, file_bytes) {
            Extent::Unfinished => None,
            Extent::Damaged(len, damage) => {
                // A header that was left from something else must not make the blocks behind it late.
                self.passed(header, found == expected && !out_of_place);
                Some(self.skip(len, damage, events))
            }
            Extent::Whole if foreign && !part.goes_on(&rest[header.block_bytes()..]) => {
                Some(self.implied_part(header))
            }
            Extent::Whole if foreign => {
                let damage = Damage::Content("a block of another trace");
                Some(self.skip(header.block_bytes(), damage, 0))
            }
            Extent::Whole if out_of_place => {
                Some(self.skip(header.block_bytes(), Damage::OutOfPlace { found, expected }, events))
            }
            Extent::Whole if found > expected => {
                self.part = Some(Part { next_sequence: found, ..part });
                Some(self.skip(0, Damage::Missing { count: found - expected }, 0))
            }
            Extent::Whole => {
                self.passed(header, true);
                let offset = self.offset;
                self.offset += header.block_bytes();
                Some(Found::Block { offset, header: *header })
            }
        }
    }

    fn passed(&mut self, header: &BlockHeader, in_place: bool) {
        if let Some(part) = self.part.as_mut().filter(|_| in_place) {
            part.next_sequence = header.sequence.get().saturating_add(1);
            part.over = header.kind == kind::FOOTER;
        }
    }

    /// How far a block reaches. The one that is due is whole if something sound follows it; any other must be right. If
    /// its content is wrong it was cut off, and what comes next is inside it.
    fn extent(&mut self, header: &BlockHeader, is_due: bool, rest: &[u8], file_bytes: u64) -> Extent {
        let len = header.block_bytes();
        let Some(behind) = rest.get(len..) else {
            let damage = Damage::Truncated { found: rest.len() as u64, expected: len as u64 };
            return resync(rest, BLOCK_HEADER_BYTES)
                .map_or(Extent::Unfinished, |at| Extent::Damaged(at, damage));
        };
        if self.vain_bytes > MAX_VAIN * file_bytes || is_due && (is_end(behind) || is_sound(behind)) {
            return Extent::Whole;
        }
        match header.content(rest) {
            Ok(_) => Extent::Whole,
            Err(damage) => {
                self.vain_bytes += len as u64;
                Extent::Damaged(resync(rest, BLOCK_HEADER_BYTES).unwrap_or(rest.len()), damage)
            }
        }
    }

    fn skip(&mut self, len: usize, damage: Damage, events: u32) -> Found {
        let offset = self.forgotten + self.offset as u64;
        self.offset += len;
        Found::Damaged(DamagedRange { offset, len_bytes: len as u64, damage, events })
    }
}

/// Whether `bytes` are the end of a file, maybe with a header that is not all there.
fn is_end(bytes: &[u8]) -> bool {
    BLOCK_MAGIC.starts_with(bytes)
        || matches!(BlockHeader::parse(bytes), Err(Damage::Truncated { .. }))
        || MAGIC.starts_with(bytes)
        || (bytes.len() < FILE_HEADER_BYTES && bytes.starts_with(&MAGIC))
}

fn is_sound(bytes: &[u8]) -> bool {
    (bytes.starts_with(&BLOCK_MAGIC) && BlockHeader::parse(bytes).is_ok())
        || (bytes.starts_with(&MAGIC)
            && matches!(FileHeader::parse(bytes), Ok(_) | Err(Error::Version { .. })))
}

/// Position of the next sound block header or file header, at `from` at the earliest.
fn resync(bytes: &[u8], from: usize) -> Option<usize> {
    let first_bytes = [BLOCK_MAGIC[0], MAGIC[0]];
    let starts = (from..bytes.len()).filter(|&at| first_bytes.contains(&bytes[at]));
    starts.into_iter().find(|&at| is_sound(&bytes[at..]))
}
