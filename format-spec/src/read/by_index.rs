//! Opens a trace by its footers and indexes, without walking its blocks (SPEC.md "Reading a complete file").

use super::block_ref::BlockRef;
use super::gathering::Gathering;
use super::known::Known;
use crate::encode::index;
use crate::layout::block::{BlockHeader, flag, kind};
use crate::layout::header::FileHeader;
use crate::layout::index::{Footer, IndexRow};

/// What footers and indexes tell; `None` where any of them is missing or damaged.
pub(super) fn gather(bytes: &[u8]) -> Option<Known> {
    let mut parts = Vec::new();
    let mut end = bytes.len();
    while end > 0 {
        let footer = Footer::at_end(&bytes[..end])?;
        let len = usize::try_from(footer.trace_bytes.get()).ok()?;
        let start = end.checked_sub(len).filter(|_| len > 0)?;
        parts.push((start, end, footer));
        end = start;
    }
    let mut gathering = Gathering::default();
    for (start, end, footer) in parts.into_iter().rev() {
        gathering.begin_part(&FileHeader::parse(&bytes[start..end]).ok()?, start);
        IndexedPart { bytes: &bytes[..end], start }.gather(&footer, &mut gathering)?;
        gathering.known.complete = true;
    }
    (!bytes.is_empty()).then(|| gathering.finish())
}

/// A part of a file, to the end of `bytes`.
struct IndexedPart<'a> {
    bytes: &'a [u8],
    start: usize,
}

impl IndexedPart<'_> {
    fn gather(&self, footer: &Footer, gathering: &mut Gathering) -> Option<()> {
        let index_offset = self.start.checked_add(usize::try_from(footer.index_offset.get()).ok()?)?;
        let restated_offset = self.start.checked_add(usize::try_from(footer.restated_offset.get()).ok()?)?;
        if footer.index_offset.get() == 0 || restated_offset > index_offset {
            return None;
        }
        let mut offset = restated_offset;
        while offset < index_offset {
            let header =
                self.listed(offset, &[kind::DEFINITIONS, kind::GAPS, kind::CLOCKS], &gathering.known)?;
            if header.flags & flag::RESTATED == 0 {
                return None;
            }
            gathering.absorb(offset as u64, &self.bytes[offset..], &header).ok()?;
            offset += header.block_bytes();
        }
        let header = self.listed(index_offset, &[kind::INDEX], &gathering.known)?;
        let content = header.content(&self.bytes[index_offset..]).ok()?;
        let rows_end = (restated_offset - self.start) as u64;
        let rows = index::decode(content, header.count.get(), rows_end).ok()?;
        for (sequence, row) in (0..).zip(rows) {
            self.row(sequence, &row, gathering)?;
        }
        // The index and the footer.
        gathering.known.block_count += 2;
        gathering.known.damage.is_empty().then_some(())
    }

    /// Takes in a block that the index lists: number `sequence` of the part.
    fn row(&self, sequence: u32, row: &IndexRow, gathering: &mut Gathering) -> Option<()> {
        let offset = self.start + usize::try_from(row.offset.get()).ok()?;
        let only_here = match row.kind {
            kind::GAPS => gathering.restated_gaps.is_empty(),
            kind::CLOCKS => gathering.restated_clocks.is_empty(),
            kind::CUTS => true,
            _ => false,
        };
        if only_here {
            let header = self.listed(offset, &[row.kind], &gathering.known)?;
            return gathering.absorb(offset as u64, &self.bytes[offset..], &header).ok();
        }
        match row.kind {
            kind::EVENTS => {
                let cuts = gathering.take_cuts(sequence).map(|(at, _)| at);
                let block = BlockRef::new(offset as u64, row, gathering.known.part());
                gathering.known.blocks.push(BlockRef { cuts, ..block });
            }
            kind::DEFINITIONS..=kind::CUTS => {}
            // Walking says which block it is.
            _ if row.flags & flag::REQUIRED != 0 => return None,
            _ => {}
        }
        gathering.known.block_count += 1;
        Some(())
    }

    /// The header of a block that the footer or the index says is of one of these kinds.
    fn listed(&self, offset: usize, kinds: &[u8], known: &Known) -> Option<BlockHeader> {
        let header = BlockHeader::parse(self.bytes.get(offset..)?).ok()?;
        (kinds.contains(&header.kind) && header.trace_id.get() == known.base().trace_id).then_some(header)
    }
}
