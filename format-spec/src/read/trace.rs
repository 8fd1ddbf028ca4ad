//! A trace opened for reading: what its ids mean, where its blocks are, what is missing.
//!
//! Opening reads the footer and the index where they are, and walks the block headers where they are not. Blocks are
//! decoded when they are asked for.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::block_ref::BlockRef;
use super::part::Base;
use super::scan::{DamagedRange, Found, Scanner};
use crate::encode::cuts::{self, Cuts};
use crate::encode::{BlockDecoder, decode_definitions, index};
use crate::error::{Damage, Error, Result};
use crate::layout::block::{BlockHeader, flag, kind};
use crate::layout::header::FileHeader;
use crate::layout::index::{Footer, IndexRow};
use crate::layout::{StoredClock, StoredGap};
use crate::limits::MAX_BLOCK_RECORDS;
use crate::model::{ClockAnchor, Columns, Definitions, Gap};

/// A trace, or several one after the other, opened for reading.
#[derive(Debug, Clone)]
pub struct Trace<'a> {
    /// What the ids in events mean.
    pub definitions: Definitions,
    /// Events blocks, by time of their first event.
    pub blocks: Vec<BlockRef>,
    /// Places in time where events are missing, by their begin.
    pub gaps: Vec<Gap>,
    /// Clock anchors, as they were written.
    pub clocks: Vec<ClockAnchor>,
    /// Bytes that could not be used. Opening by the index finds none in events blocks: decoding does.
    pub damage: Vec<DamagedRange>,
    /// Whether the file ends with a footer, and each part in it, as they do unless a recorder died or is still at work.
    pub complete: bool,
    /// Bytes at the end that begin a block but do not finish it.
    pub tail_bytes: u64,
    /// Blocks of all kinds that were found.
    pub block_count: u64,
    /// Strings of which only the beginning was recorded, counted in each block.
    pub cut_strings: u64,
    /// Position behind the last block.
    pub end: usize,
    /// Number of each part, from its file header.
    pub trace_ids: Vec<u64>,
    /// Whether it was opened by its index; if not, its blocks were walked.
    pub by_index: bool,
    bytes: &'a [u8],
    pub(crate) bases: Vec<Base>,
    /// Gaps and clock anchors of the current part that stand at its end again.
    pub(crate) restated_gaps: Vec<Gap>,
    pub(crate) restated_clocks: Vec<ClockAnchor>,
    /// Weight of the definitions so far.
    pub(crate) definitions_weight: u64,
    /// What was said of the next block of events.
    pub(crate) cuts: Option<(u64, Cuts)>,
    /// Whether a part before the last has no footer.
    pub(crate) cut_part: bool,
}

impl<'a> Trace<'a> {
    /// Opens the trace in `bytes`, by the index where there is one.
    ///
    /// # Errors
    /// [`Error::NotATrace`], [`Error::Version`] or [`Error::UnknownRequired`] if it cannot be read at all.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        match Self::open_by_index(bytes) {
            Some(trace) => Ok(trace),
            None => Self::scan(bytes),
        }
    }

    /// Opens the trace in `bytes` by walking its block headers, whether it has an index or not.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn scan(bytes: &'a [u8]) -> Result<Self> {
        let mut trace = Self::empty(bytes);
        let mut scanner = Scanner::default();
        let mut part_offset = 0;
        while let Some(found) = scanner.next(bytes)? {
            match found {
                Found::Header(header) => trace.begin_part(&header, part_offset),
                Found::Block { offset, header } => trace.absorb(offset as u64, &bytes[offset..], &header)?,
                Found::Damaged(range) => trace.damage.push(range),
            }
            part_offset = scanner.offset();
        }
        trace.end = scanner.offset();
        trace.tail_bytes = (bytes.len() - scanner.offset()) as u64;
        trace.complete &= trace.tail_bytes == 0 && !trace.cut_part;
        Ok(trace.sorted())
    }

    pub(crate) fn empty(bytes: &'a [u8]) -> Self {
        Self {
            definitions: Definitions::default(),
            blocks: Vec::new(),
            gaps: Vec::new(),
            clocks: Vec::new(),
            damage: Vec::new(),
            complete: false,
            tail_bytes: 0,
            block_count: 0,
            cut_strings: 0,
            end: 0,
            trace_ids: Vec::new(),
            by_index: false,
            bytes,
            bases: Vec::new(),
            restated_gaps: Vec::new(),
            restated_clocks: Vec::new(),
            definitions_weight: 0,
            cuts: None,
            cut_part: false,
        }
    }

    /// Opens by footers and indexes; `None` where any of them is missing or damaged.
    fn open_by_index(bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let mut parts = Vec::new();
        let mut end = bytes.len();
        while end > 0 {
            let footer = Footer::at_end(&bytes[..end])?;
            let len = usize::try_from(footer.trace_bytes.get()).ok()?;
            let start = end.checked_sub(len).filter(|_| len > 0)?;
            parts.push((start, end, footer));
            end = start;
        }
        let mut trace = Self { by_index: true, ..Self::empty(bytes) };
        for (start, end, footer) in parts.into_iter().rev() {
            trace.begin_part(&FileHeader::parse(&bytes[start..end]).ok()?, start);
            trace.part_by_index(start, end, &footer)?;
            trace.complete = true;
        }
        trace.end = bytes.len();
        Some(trace.sorted())
    }

    fn part_by_index(&mut self, start: usize, end: usize, footer: &Footer) -> Option<()> {
        let index_offset = start.checked_add(usize::try_from(footer.index_offset.get()).ok()?)?;
        let restated_offset = start.checked_add(usize::try_from(footer.restated_offset.get()).ok()?)?;
        if footer.index_offset.get() == 0 || restated_offset > index_offset {
            return None;
        }
        let mut offset = restated_offset;
        while offset < index_offset {
            let header = self.listed(offset, end, &[kind::DEFINITIONS, kind::GAPS, kind::CLOCKS])?;
            if header.flags & flag::RESTATED == 0 {
                return None;
            }
            self.absorb(offset as u64, &self.bytes[offset..], &header).ok()?;
            offset += header.block_bytes();
        }
        let header = self.listed(index_offset, end, &[kind::INDEX])?;
        let content = header.content(&self.bytes[index_offset..end]).ok()?;
        let rows_end = (restated_offset - start) as u64;
        let rows = index::decode(content, header.count.get(), rows_end).ok()?;
        for (sequence, row) in (0..).zip(rows) {
            let offset = start + usize::try_from(row.offset.get()).ok()?;
            let only_here = match row.kind {
                kind::GAPS => self.restated_gaps.is_empty(),
                kind::CLOCKS => self.restated_clocks.is_empty(),
                kind::CUTS => true,
                _ => false,
            };
            if only_here {
                let header = self.listed(offset, end, &[row.kind])?;
                self.absorb(offset as u64, &self.bytes[offset..], &header).ok()?;
                continue;
            }
            match row.kind {
                kind::EVENTS => {
                    let cuts = self.take_cuts(sequence).map(|(at, _)| at);
                    let block = BlockRef::new(offset as u64, &row, self.part());
                    self.blocks.push(BlockRef { cuts, ..block });
                }
                kind::DEFINITIONS..=kind::CUTS => {}
                // Walking says which block it is.
                _ if row.flags & flag::REQUIRED != 0 => return None,
                _ => {}
            }
            self.block_count += 1;
        }
        // The index and the footer.
        self.block_count += 2;
        self.damage.is_empty().then_some(())
    }

    /// The header of a block that the footer or the index says is of one of these kinds.
    fn listed(&self, offset: usize, end: usize, kinds: &[u8]) -> Option<BlockHeader> {
        let header = BlockHeader::parse(self.bytes.get(offset..end)?).ok()?;
        (kinds.contains(&header.kind) && header.trace_id.get() == self.base().trace_id).then_some(header)
    }

    fn sorted(mut self) -> Self {
        self.settle_part();
        self.definitions.drop_lost();
        self.blocks.sort_by_key(|block| (block.first_ns, block.offset));
        self.gaps.sort_by_key(|gap| gap.from_ns);
        self
    }

    /// Takes in a block found by walking or by the index: at position `offset` of the file, where `bytes` begin.
    pub(crate) fn absorb(&mut self, offset: u64, bytes: &[u8], header: &BlockHeader) -> Result<()> {
        self.block_count += 1;
        self.complete = header.kind == kind::FOOTER;
        if header.kind == kind::EVENTS {
            let row = IndexRow::new(0, header);
            let cuts = self.take_cuts(header.sequence.get()).map(|(at, _)| at);
            self.blocks.push(BlockRef { cuts, ..BlockRef::new(offset, &row, self.part()) });
            return Ok(());
        }
        let part_bytes = offset + header.block_bytes() as u64 - self.base().offset;
        let result = match header.content(bytes) {
            Ok(content) if header.kind == kind::CUTS => {
                cuts::decode(content, header.sequence.get(), header.count.get()).map(|cuts| {
                    self.cut_strings += cuts.strings.len() as u64;
                    self.cuts = Some((offset, cuts));
                })
            }
            Ok(content) => self.absorb_content(header, content, part_bytes),
            Err(damage) => Err(damage),
        };
        match (result, header.kind) {
            (Ok(()), kind::DEFINITIONS..=kind::CUTS) => {}
            (Ok(()), _) if header.flags & flag::REQUIRED != 0 => {
                return Err(Error::UnknownRequired { offset, kind: header.kind });
            }
            (Ok(()), _) => {}
            (Err(damage), _) => {
                let len_bytes = header.block_bytes() as u64;
                self.damage.push(DamagedRange { offset, len_bytes, damage, events: 0 });
            }
        }
        Ok(())
    }

    /// What was said of the strings of block `sequence`, which comes now, and where.
    pub(crate) fn take_cuts(&mut self, sequence: u32) -> Option<(u64, Cuts)> {
        self.cuts.take().filter(|(_, cuts)| cuts.sequence == sequence)
    }

    fn absorb_content(
        &mut self,
        header: &BlockHeader,
        content: &[u8],
        part_bytes: u64,
    ) -> Result<(), Damage> {
        let count = header.count.get() as usize;
        let base = self.base();
        let restated = header.flags & flag::RESTATED != 0;
        match header.kind {
            kind::DEFINITIONS => {
                decode_definitions(content, header.count.get(), |id, definition, weight| {
                    self.place(id, definition, weight, part_bytes)
                })?;
            }
            kind::GAPS => {
                let gaps = plain::<StoredGap>(content, count)?;
                if gaps.iter().any(|gap| gap.from_ns > gap.to_ns) {
                    return Err(Damage::Content("a gap ends before it begins"));
                }
                let list = if restated { &mut self.restated_gaps } else { &mut self.gaps };
                list.extend(gaps.iter().map(Gap::from).map(|gap| Gap {
                    host: gap.host.plus(base.hosts),
                    site: gap.site.plus(base.sites),
                    ..gap
                }));
            }
            kind::CLOCKS => {
                let clocks = plain::<StoredClock>(content, count)?;
                let shifted =
                    |anchor: ClockAnchor| ClockAnchor { host: anchor.host.plus(base.hosts), ..anchor };
                let list = if restated { &mut self.restated_clocks } else { &mut self.clocks };
                list.extend(clocks.iter().map(ClockAnchor::from).map(shifted));
            }
            kind::FOOTER => {
                Footer::parse(content)?;
            }
            _ => {}
        }
        Ok(())
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
        self.decode_bytes(block, bytes, decoder, out)?;
        let cuts = block.cuts.filter(|_| block.is_cut).map(|offset| self.cuts_at(offset, bytes, block.part));
        let cuts = cuts.transpose().inspect_err(|_| out.clear())?;
        mark_cut(block, cuts, out);
        Ok(())
    }

    /// Decodes `block`, where `bytes` begin.
    pub(crate) fn decode_bytes(
        &self,
        block: &BlockRef,
        bytes: &[u8],
        decoder: &mut BlockDecoder,
        out: &mut Columns,
    ) -> Result<(), Damage> {
        let result = self.decode_checked(block, bytes, decoder, out);
        if result.is_err() {
            out.clear();
        }
        result
    }

    fn decode_checked(
        &self,
        block: &BlockRef,
        bytes: &[u8],
        decoder: &mut BlockDecoder,
        out: &mut Columns,
    ) -> Result<(), Damage> {
        let header = BlockHeader::parse(bytes)?;
        let base = self.bases.get(block.part as usize).copied().unwrap_or_default();
        if header.kind != kind::EVENTS || header.trace_id.get() != base.trace_id {
            return Err(Damage::Content("no events block of this trace where the index says one is"));
        }
        let found = BlockRef::new(block.offset, &IndexRow::new(0, &header), block.part);
        if *block != (BlockRef { cuts: block.cuts, ..found }) {
            return Err(Damage::Content("the index says something else than the block header"));
        }
        decoder.decode(header.content(bytes)?, &header, out)?;
        if out.time_ns.first().is_some_and(|&first| first != header.first_ns.get()) {
            return Err(Damage::Content("the first time is not the one in the block header"));
        }
        if out.time_ns.last().is_some_and(|&last| last != header.last_ns.get()) {
            return Err(Damage::Content("the last time is not the one in the block header"));
        }
        if !self.defines(&base, block.part, decoder) {
            return Err(Damage::Content(
                "its threads or sites are not defined: their definitions are damaged",
            ));
        }
        if block.part > 0 {
            out.thread.iter_mut().for_each(|id| *id = id.plus(base.threads));
            out.site.iter_mut().for_each(|id| *id = id.plus(base.sites));
        }
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

    /// Events in all blocks, as their headers say.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.events)).sum()
    }

    /// Events that the recorder reported dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.gaps.iter().fold(0, |sum, gap| sum.saturating_add(gap.count))
    }

    /// Times of the first and the last event, CLOCK_MONOTONIC ns.
    #[must_use]
    pub fn time_range(&self) -> Option<(u64, u64)> {
        let first = self.blocks.iter().map(|block| block.first_ns).min()?;
        Some((first, self.blocks.iter().map(|block| block.last_ns).max()?))
    }
}

/// Marks the strings of a block that are cut; where it is not known which, any may be.
pub(super) fn mark_cut(block: &BlockRef, cuts: Option<Cuts>, columns: &mut Columns) {
    if block.is_cut {
        let strings = (0..).zip(columns.string_start.iter().skip(1)).map(|(string, _)| string);
        columns.cut_strings = cuts.map_or_else(|| strings.collect(), |cuts| cuts.strings);
    }
}

/// The content of a block of gaps or clock anchors.
fn plain<T: FromBytes + Immutable + KnownLayout + Unaligned>(
    content: &[u8],
    count: usize,
) -> Result<&[T], Damage> {
    if count > MAX_BLOCK_RECORDS {
        let max = MAX_BLOCK_RECORDS as u64;
        return Err(Damage::Limit { what: "gaps or anchors", len: count as u64, max });
    }
    match <[T]>::ref_from_bytes(content) {
        Ok(all) if all.len() == count => Ok(all),
        _ => Err(Damage::Content("gaps or anchors are cut")),
    }
}
