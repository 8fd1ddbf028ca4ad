//! What is known of a trace: what its ids mean, where its blocks are, what is missing.

use super::block_ref::BlockRef;
use super::part::Base;
use super::scan::DamagedRange;
use crate::encode::BlockDecoder;
use crate::error::Damage;
use crate::layout::block::{BlockHeader, kind};
use crate::layout::index::IndexRow;
use crate::model::{ClockAnchor, Columns, Definitions, Gap, SiteId, ThreadId};

/// What is known of a trace: all of it where the file is whole, else as much as has come.
#[derive(Debug, Clone, Default)]
pub struct Known {
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
    /// Blocks of all kinds that were found.
    pub block_count: u64,
    /// Strings of which only the beginning was recorded, counted in each block.
    pub cut_strings: u64,
    /// Number of each part, from its file header.
    pub trace_ids: Vec<u64>,
    /// The parts that have begun.
    pub(super) bases: Vec<Base>,
}

impl Known {
    /// The part that was begun last.
    pub(super) fn base(&self) -> Base {
        self.bases.last().copied().unwrap_or_default()
    }

    /// Number of the part that was begun last.
    pub(super) fn part(&self) -> u32 {
        u32::try_from(self.bases.len().saturating_sub(1)).unwrap_or(u32::MAX)
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

    /// Decodes `block`, where `bytes` begin.
    pub(super) fn decode_bytes(
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

    /// Whether the threads and sites of the block decoded last are defined in its part.
    fn defines(&self, base: &Base, part: u32, decoder: &BlockDecoder) -> bool {
        let next = self.bases.get(part as usize + 1);
        let (threads_end, sites_end) =
            next.map_or((ThreadId::NONE, SiteId::NONE), |next| (ThreadId(next.threads), SiteId(next.sites)));
        let mut threads = decoder.threads.iter().map(|id| id.plus(base.threads));
        let mut sites = decoder.sites.iter().map(|&(id, args)| (id.plus(base.sites), args));
        threads.all(|id| id < threads_end && self.definitions.has_thread(id))
            && sites.all(|(id, args)| id < sites_end && self.definitions.has_site(id, args))
    }
}
