//! Gathers what the blocks of a trace tell, one after the other: found by walking, by the index, or while they come.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::block_ref::BlockRef;
use super::known::Known;
use super::scan::DamagedRange;
use crate::encode::cuts::{self, Cuts};
use crate::encode::{Shared, decode_definitions};
use crate::error::{Damage, Error, Result};
use crate::layout::block::{BlockHeader, flag, kind};
use crate::layout::index::{Footer, IndexRow};
use crate::layout::{StoredClock, StoredGap};
use crate::limits::MAX_BLOCK_RECORDS;
use crate::model::{ClockAnchor, Gap, Listed};

/// What is known so far, and what only the blocks to come will settle.
#[derive(Debug, Clone, Default)]
pub(super) struct Gathering {
    pub(super) known: Known,
    /// Gaps and clock anchors of the current part that stand at its end again.
    pub(super) restated_gaps: Vec<Gap>,
    pub(super) restated_clocks: Vec<ClockAnchor>,
    /// How far what was not recorded is listed.
    pub(super) listed: Listed,
    /// What definitions have in common.
    pub(super) shared: Shared,
    /// Weight of the definitions so far.
    pub(super) definitions_weight: u64,
    /// What was said of the next block of events, and where.
    pub(super) cuts: Option<(u64, Cuts)>,
    /// Whether a part before the last has no footer.
    pub(super) cut_part: bool,
}

impl Gathering {
    /// Takes in a block found by walking or by the index: at position `offset` of the file, where `bytes` begin.
    pub(super) fn absorb(&mut self, offset: u64, bytes: &[u8], header: &BlockHeader) -> Result<()> {
        self.known.block_count += 1;
        self.known.complete = header.kind == kind::FOOTER;
        if header.kind == kind::EVENTS {
            let row = IndexRow::new(0, header);
            let cuts = self.take_cuts(header.sequence.get()).map(|(at, _)| at);
            self.known.blocks.push(BlockRef { cuts, ..BlockRef::new(offset, &row, self.known.part()) });
            return Ok(());
        }
        let part_bytes = offset + header.block_bytes() as u64 - self.known.base().offset;
        let result = match header.content(bytes) {
            Ok(content) if header.kind == kind::CUTS => {
                cuts::decode(content, header.sequence.get(), header.count.get()).map(|cuts| {
                    self.known.cut_strings += cuts.strings.len() as u64;
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
                self.known.damage.push(DamagedRange { offset, len_bytes, damage, events: 0 });
            }
        }
        Ok(())
    }

    /// What was said of the strings of block `sequence`, which comes now, and where.
    pub(super) fn take_cuts(&mut self, sequence: u32) -> Option<(u64, Cuts)> {
        self.cuts.take().filter(|(_, cuts)| cuts.sequence == sequence)
    }

    fn absorb_content(
        &mut self,
        header: &BlockHeader,
        content: &[u8],
        part_bytes: u64,
    ) -> Result<(), Damage> {
        let count = header.count.get() as usize;
        let base = self.known.base();
        let restated = header.flags & flag::RESTATED != 0;
        match header.kind {
            kind::DEFINITIONS => {
                let mut shared = std::mem::take(&mut self.shared);
                let placed = decode_definitions(content, count, &mut shared, |numbered, weight, shared| {
                    self.place(numbered, weight, part_bytes, shared)
                });
                self.shared = shared;
                placed?;
            }
            kind::GAPS => {
                let gaps = plain::<StoredGap>(content, count)?;
                if gaps.iter().any(|gap| gap.from_ns > gap.to_ns) {
                    return Err(Damage::Content("a gap ends before it begins"));
                }
                let list = if restated { &mut self.restated_gaps } else { &mut self.known.gaps };
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
                let list = if restated { &mut self.restated_clocks } else { &mut self.known.clocks };
                list.extend(clocks.iter().map(ClockAnchor::from).map(shifted));
            }
            kind::FOOTER => {
                Footer::parse(content)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// All that was gathered, in order; nothing more comes.
    pub(super) fn finish(mut self) -> Known {
        self.settle_part();
        let mut known = self.known;
        known.definitions.drop_lost();
        known.blocks.sort_by_key(|block| (block.first_ns, block.offset));
        known.gaps.sort_by_key(|gap| gap.from_ns);
        known
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
