//! The events of a trace in time order, batch by batch, with gaps and damage where they belong.
//!
//! Blocks of one recording follow each other in time and are handed on as they are. Where blocks overlap, as in a merged
//! trace, their rows are merged; ties go by processor, then by position in the file.
#![expect(clippy::cast_possible_truncation, reason = "a batch has at most as many rows as a block")]

use std::ops::Range;

use crate::decode::BlockDecoder;
use crate::scan::DamagedRange;
use crate::trace::{BlockRef, Trace};
use crate::{Columns, Gap};

/// A step of the walk.
#[derive(Debug)]
pub enum Batch<'b> {
    /// Rows of `columns` that come next.
    Events {
        /// The columns; rows outside of the range are not part of the batch.
        columns: &'b Columns,
        /// Rows of the batch.
        rows: Range<usize>,
    },
    /// Events are missing here: all that come after are later than [`Gap::to_ns`].
    Gap(Gap),
    /// A block could not be used.
    Damaged(DamagedRange),
}

/// An events block that was decoded and has rows left.
#[derive(Default)]
struct Open {
    columns: Columns,
    next: usize,
    block: usize,
}

impl Open {
    fn time_ns(&self) -> u64 {
        self.columns.time_ns.get(self.next).copied().unwrap_or(u64::MAX)
    }

    fn is_done(&self) -> bool {
        self.next >= self.columns.len()
    }

    /// Rows from the next on that are earlier than `end_ns`.
    fn rows_before(&self, end_ns: Option<u64>) -> Range<usize> {
        let rest = self.columns.time_ns.get(self.next..).unwrap_or_default();
        self.next..self.next + rest.partition_point(|&time_ns| end_ns.is_none_or(|end_ns| time_ns < end_ns))
    }
}

/// Walks the events of some blocks of a trace in time order; made by [`Trace::batches`].
pub struct Batches<'t, 'a> {
    trace: &'t Trace<'a>,
    decoder: BlockDecoder,
    blocks: Vec<BlockRef>,
    next_block: usize,
    gaps: Vec<Gap>,
    next_gap: usize,
    open: Vec<Open>,
    spare: Vec<Columns>,
    merged: Columns,
}

impl<'a> Trace<'a> {
    /// Walks all events in time order.
    #[must_use]
    pub fn batches(&self) -> Batches<'_, 'a> {
        self.batches_where(|_| true)
    }

    /// Walks the events of the blocks that `wanted` picks, in time order.
    #[must_use]
    pub fn batches_where(&self, wanted: impl Fn(&BlockRef) -> bool) -> Batches<'_, 'a> {
        let mut gaps = self.gaps.clone();
        gaps.sort_by_key(|gap| gap.to_ns);
        Batches {
            trace: self,
            decoder: BlockDecoder::default(),
            blocks: self.blocks.iter().copied().filter(wanted).collect(),
            next_block: 0,
            gaps,
            next_gap: 0,
            open: Vec::new(),
            spare: Vec::new(),
            merged: Columns::default(),
        }
    }
}

impl Batches<'_, '_> {
    /// The next batch; `None` at the end.
    #[expect(
        clippy::should_implement_trait,
        reason = "a batch borrows from the walk, an iterator's items cannot"
    )]
    pub fn next(&mut self) -> Option<Batch<'_>> {
        self.close_done();
        // Open every block that may hold the earliest event.
        while let Some(block) = self.blocks.get(self.next_block).copied()
            && self.open.iter().all(|open| block.first_ns <= open.time_ns())
        {
            self.next_block += 1;
            let mut columns = self.spare.pop().unwrap_or_default();
            if let Err(damage) = self.trace.decode(&block, &mut self.decoder, &mut columns) {
                self.spare.push(columns);
                let len_bytes = crate::block::BLOCK_HEADER_BYTES as u64 + u64::from(block.stored_bytes);
                return Some(Batch::Damaged(DamagedRange { offset: block.offset, len_bytes, damage }));
            }
            if !columns.is_empty() {
                self.open.push(Open { columns, next: 0, block: self.next_block });
            }
        }
        let gap = self.gaps.get(self.next_gap).copied();
        let Some(first_ns) = self.open.iter().map(Open::time_ns).min() else {
            self.next_gap += 1;
            return gap.map(Batch::Gap);
        };
        if let Some(gap) = gap
            && gap.to_ns < first_ns
        {
            self.next_gap += 1;
            return Some(Batch::Gap(gap));
        }
        let gap_ns = gap.and_then(|gap| gap.to_ns.checked_add(1));
        // The next block's first event may tie with ours, so ours go only to before it.
        let block_ns = self.blocks.get(self.next_block).map(|block| block.first_ns);
        let end_ns = [gap_ns, block_ns].into_iter().flatten().min();
        if self.open.len() == 1 {
            let open = &mut self.open[0];
            let rows = open.rows_before(end_ns);
            open.next = rows.end;
            return Some(Batch::Events { columns: &open.columns, rows });
        }
        self.merge(end_ns);
        let rows = 0..self.merged.len();
        Some(Batch::Events { columns: &self.merged, rows })
    }

    fn close_done(&mut self) {
        let mut at = 0;
        while at < self.open.len() {
            if self.open[at].is_done() {
                self.spare.push(self.open.swap_remove(at).columns);
            } else {
                at += 1;
            }
        }
    }

    /// Merges the rows before `end_ns`, as many as one block has, of all open blocks.
    fn merge(&mut self, end_ns: Option<u64>) {
        let merged = &mut self.merged;
        merged.clear();
        merged.value_start.push(0);
        merged.string_start.push(0);
        while merged.len() < crate::limits::MAX_BLOCK_EVENTS {
            let key = |open: &Open| (open.time_ns(), open.columns.cpu.get(open.next).copied(), open.block);
            let next = self.open.iter_mut().filter(|open| !open.is_done()).min_by_key(|open| key(open));
            match next {
                Some(open) if end_ns.is_none_or(|end_ns| open.time_ns() < end_ns) => {
                    copy_row(open, merged, self.trace);
                    open.next += 1;
                }
                _ => break,
            }
        }
    }
}

/// Appends the next row of `open` to `merged`; strings move along.
fn copy_row(open: &Open, merged: &mut Columns, trace: &Trace<'_>) {
    let (from, row) = (&open.columns, open.next);
    let unreadable = from.row_unreadable(row);
    if unreadable != 0 {
        merged.unreadable.push((merged.len() as u32, unreadable));
    }
    merged.time_ns.push(from.time_ns[row]);
    merged.thread.push(from.thread[row]);
    merged.site.push(from.site[row]);
    merged.cpu.push(from.cpu[row]);
    let kinds = trace.definitions.sites.get(from.site[row] as usize).map_or(&[][..], |site| &site.args);
    for (&value, kind) in from.row_values(row).iter().zip(kinds) {
        let value = if *kind == crate::ArgKind::Str {
            merged.string_bytes.extend_from_slice(from.string(value).unwrap_or_default());
            merged.string_start.push(merged.string_bytes.len() as u32);
            merged.string_start.len() as u64 - 2
        } else {
            value
        };
        merged.values.push(value);
    }
    merged.value_start.push(merged.values.len() as u32);
}
