//! A trace opened for reading, by its index or by walking its blocks. Blocks are decoded when they are asked for.

use std::ops::Deref;

use super::block_ref::BlockRef;
use super::by_index;
use super::gathering::Gathering;
use super::known::Known;
use super::scan::{Found, Scanner};
use crate::encode::BlockDecoder;
use crate::encode::cuts::{self, Cuts};
use crate::error::{Damage, Result};
use crate::layout::block::{BlockHeader, kind};
use crate::model::Columns;

/// A trace, or several one after the other, opened for reading. What is known of it are its fields, by [`Deref`].
#[derive(Debug, Clone)]
pub struct Trace<'a> {
    /// Bytes at the end that begin a block but do not finish it.
    pub tail_bytes: u64,
    /// Position behind the last block.
    pub end: usize,
    /// Whether it was opened by its index; if not, its blocks were walked.
    pub by_index: bool,
    known: Known,
    bytes: &'a [u8],
    /// Threads that a walk takes, and events of a share, where that was said.
    pub(super) walking: Option<(usize, u64)>,
}

impl Deref for Trace<'_> {
    type Target = Known;

    fn deref(&self) -> &Known {
        &self.known
    }
}

impl<'a> Trace<'a> {
    /// Opens the trace in `bytes`, by the index where there is one.
    ///
    /// # Errors
    /// [`Error::NotATrace`](crate::Error::NotATrace), [`Error::Version`](crate::Error::Version) or
    /// [`Error::UnknownRequired`](crate::Error::UnknownRequired) if it cannot be read at all.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        match by_index::gather(bytes) {
            Some(known) => {
                Ok(Self { tail_bytes: 0, end: bytes.len(), by_index: true, known, bytes, walking: None })
            }
            None => Self::scan(bytes),
        }
    }

    /// Opens the trace in `bytes` by walking its block headers, whether it has an index or not.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn scan(bytes: &'a [u8]) -> Result<Self> {
        let mut gathering = Gathering::default();
        let mut scanner = Scanner::default();
        let mut part_offset = 0;
        while let Some(found) = scanner.next(bytes)? {
            match found {
                Found::Header(header) => gathering.begin_part(&header, part_offset),
                Found::Block { offset, header } => {
                    gathering.absorb(offset as u64, &bytes[offset..], &header)?
                }
                Found::Damaged(range) => gathering.known.damage.push(range),
            }
            part_offset = scanner.offset();
        }
        let end = scanner.offset();
        gathering.known.complete &= end == bytes.len() && !gathering.cut_part;
        let known = gathering.finish();
        let tail_bytes = (bytes.len() - end) as u64;
        Ok(Self { tail_bytes, end, by_index: false, known, bytes, walking: None })
    }

    /// What is known of it.
    #[must_use]
    pub fn into_known(self) -> Known {
        self.known
    }

    /// Decodes `block` into `out`.
    ///
    /// # Errors
    /// The damage, if the block cannot be used; `out` is empty then.
    pub fn decode(
        &self,
        block: &BlockRef,
        decoder: &mut BlockDecoder,
        out: &mut Columns,
    ) -> Result<(), Damage> {
        let bytes = usize::try_from(block.offset).ok().and_then(|offset| self.bytes.get(offset..));
        let bytes = bytes.unwrap_or_default();
        self.known.decode_bytes(block, bytes, decoder, out)?;
        let cuts = block.cuts.filter(|_| block.is_cut).map(|offset| self.cuts_at(offset, bytes, block.part));
        let cuts = cuts.transpose().inspect_err(|_| out.clear())?;
        mark_cut(block, cuts, out);
        Ok(())
    }

    /// What the block at `offset` says of the strings of the block that begins `events`.
    fn cuts_at(&self, offset: u64, events: &[u8], part: u32) -> Result<Cuts, Damage> {
        let bytes = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..));
        let bytes = bytes.unwrap_or_default();
        let header = BlockHeader::parse(bytes)?;
        let base = self.bases.get(part as usize).copied().unwrap_or_default();
        let is_of = header.kind == kind::CUTS && header.trace_id.get() == base.trace_id;
        let cuts = cuts::decode(header.content(bytes)?, header.sequence.get(), header.count.get())?;
        if is_of && cuts.sequence == BlockHeader::parse(events)?.sequence.get() {
            Ok(cuts)
        } else {
            Err(Damage::Content("what is said of its strings is of another block"))
        }
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Marks the strings of a block that are cut; where it is not known which, any may be.
pub(super) fn mark_cut(block: &BlockRef, cuts: Option<Cuts>, columns: &mut Columns) {
    if block.is_cut {
        let strings = (0..).zip(columns.string_start.iter().skip(1)).map(|(string, _)| string);
        columns.cut_strings = cuts.map_or_else(|| strings.collect(), |cuts| cuts.strings);
    }
}
