//! Walks the blocks of a trace by their headers, from front to back, over damage (SPEC.md "Reading a damaged file").

use crate::block::{BLOCK_MAGIC, BlockHeader};
use crate::header::{FILE_HEADER_BYTES, FileHeader, MAGIC};
use crate::{Damage, Error, NotATrace, Result};

/// Bytes of a trace that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedRange {
    /// Position of the first of them.
    pub offset: u64,
    /// How many.
    pub len_bytes: u64,
    /// What is wrong.
    pub damage: Damage,
}

/// What [`Scanner::next`] finds.
#[derive(Debug, Clone, Copy)]
pub enum Found {
    /// A file header: a trace begins.
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
    sequence: Option<u32>,
}

impl Scanner {
    /// Position of the first byte that was not yet found to be part of anything.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Finds what comes next in `bytes`, which are the same as the last time, or more. `None` at the end, and where
    /// the rest is the beginning of a block that is not all there.
    ///
    /// # Errors
    /// [`Error::NotATrace`] and [`Error::Version`] if `bytes` do not begin as a trace that can be read.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<Found>> {
        if self.offset == 0 {
            return self.header(FileHeader::parse(bytes)?);
        }
        let rest = bytes.get(self.offset..).unwrap_or_default();
        if rest.is_empty() || BLOCK_MAGIC.starts_with(rest) {
            return Ok(None);
        }
        match FileHeader::parse(rest) {
            Ok(header) => return self.header(header),
            Err(Error::NotATrace(NotATrace::Short { .. })) => return Ok(None),
            Err(Error::NotATrace(_)) => {}
            Err(other) => return Err(other),
        }
        let damage = match BlockHeader::parse(rest) {
            Ok(header) => return Ok(self.block(header, rest.len())),
            Err(Damage::Truncated { .. }) => return Ok(None),
            Err(damage) => damage,
        };
        let offset = self.offset;
        let skipped = 1 + resync(rest.get(1..).unwrap_or_default());
        self.offset = offset + skipped;
        Ok(Some(damaged(offset, skipped, damage)))
    }

    fn header(&mut self, header: FileHeader) -> Result<Option<Found>> {
        self.offset += FILE_HEADER_BYTES;
        self.sequence = Some(0);
        Ok(Some(Found::Header(header)))
    }

    fn block(&mut self, header: BlockHeader, rest: usize) -> Option<Found> {
        let found = header.sequence.get();
        if let Some(expected) = self.sequence.replace(found)
            && expected < found
        {
            return Some(damaged(self.offset, 0, Damage::Missing { count: found - expected }));
        }
        if header.block_bytes() > rest {
            return None;
        }
        let offset = self.offset;
        self.offset += header.block_bytes();
        self.sequence = Some(found.wrapping_add(1));
        Some(Found::Block { offset, header })
    }
}

fn damaged(offset: usize, len: usize, damage: Damage) -> Found {
    Found::Damaged(DamagedRange { offset: offset as u64, len_bytes: len as u64, damage })
}

/// Bytes before the next sound block header or file header; all of them if there is none.
fn resync(bytes: &[u8]) -> usize {
    let sound = |at: &usize| {
        let rest = &bytes[*at..];
        (rest.starts_with(&BLOCK_MAGIC) && BlockHeader::parse(rest).is_ok())
            || (rest.starts_with(&MAGIC) && FileHeader::parse(rest).is_ok())
    };
    let first_bytes = [BLOCK_MAGIC[0], MAGIC[0]];
    let starts = bytes.iter().enumerate().filter(|(_, byte)| first_bytes.contains(byte)).map(|(at, _)| at);
    starts.into_iter().find(sound).unwrap_or(bytes.len())
}
