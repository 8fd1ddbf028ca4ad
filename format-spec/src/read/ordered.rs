//! The events of a trace in time order, batch by batch, with gaps and damage where they belong.
//!
//! Blocks of one recording follow each other in time and are handed on as they are. Where blocks overlap, as in traces
//! of one time joined, their rows are merged; ties go by processor, then by position in the file. Memory stays bounded however many
//! blocks overlap: beyond a few, each keeps only its next rows and is decoded again for more. `share.rs` says which blocks
//! a walk covers.
#![expect(clippy::cast_possible_truncation, reason = "a batch has at most as many rows as a block")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use super::block_ref::BlockRef;
use super::scan::DamagedRange;
use super::share::{Plan, Share};
use super::trace::Trace;
use crate::encode::BlockDecoder;
use crate::error::Damage;
use crate::layout::block::BLOCK_HEADER_BYTES;
use crate::limits::{MAX_BLOCK_EVENTS, MAX_BLOCK_STRING_BYTES};
use crate::model::{ArgKind, Columns, Definitions, Gap};

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

/// Overlapping blocks of which all rows are kept.
const MAX_WHOLE: usize = 3;
/// Rows kept of all others together, about; and of each at least.
const MAX_ROWS: usize = 1 << 15;
const MIN_ROWS: usize = 16;

/// An events block that was decoded and has rows left.
#[derive(Default)]
struct Open {
    /// Rows of the block, from row `from` on.
    columns: Columns,
    from: usize,
    /// Next row, an index into `columns`.
    next: usize,
    /// Index into [`Plan::blocks`].
    block: usize,
    /// Rows of the whole block.
    rows: usize,
}

impl Open {
    /// Rows from the next on that are earlier than `end_ns`.
    fn rows_before(&self, end_ns: Option<u64>) -> Range<usize> {
        let rest = self.columns.time_ns.get(self.next..).unwrap_or_default();
        self.next..self.next + rest.partition_point(|&time_ns| end_ns.is_none_or(|end_ns| time_ns < end_ns))
    }
}

/// An open block by its next row: time, processor, position in the file, and its place among the open ones.
type Head = Reverse<(u64, u16, u64, usize)>;

/// Walks the events of some blocks of a trace in time order; made by [`Trace::batches`].
pub struct Batches<'t, 'a> {
    trace: &'t Trace<'a>,
    decoder: BlockDecoder,
    plan: Arc<Plan>,
    /// Blocks and gaps of the plan that are still to come.
    blocks: Range<usize>,
    gaps: Range<usize>,
    open: Vec<Open>,
    /// Places in `open` that are free; their columns are used again.
    free: Vec<usize>,
    heads: BinaryHeap<Head>,
    /// The open block whose rows were handed on last, not among the heads.
    handed_on: Option<usize>,
    merged: Columns,
    whole: Columns,
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
        let plan = Plan::whole(self, wanted);
        let share = plan.shares[0].clone();
        let mut batches = Batches::new(self, Arc::new(plan));
        batches.begin(&share);
        batches
    }
}

impl<'t, 'a> Batches<'t, 'a> {
    /// A walk of nothing, until [`begin`](Self::begin).
    pub(crate) fn new(trace: &'t Trace<'a>, plan: Arc<Plan>) -> Self {
        Self {
            trace,
            decoder: BlockDecoder::default(),
            plan,
            blocks: 0..0,
            gaps: 0..0,
            open: Vec::new(),
            free: Vec::new(),
            heads: BinaryHeap::new(),
            handed_on: None,
            merged: Columns::default(),
            whole: Columns::default(),
        }
    }

    /// Begins to walk a share of the plan; what was walked before is at its end.
    pub(crate) fn begin(&mut self, share: &Share) {
        (self.blocks, self.gaps) = (share.blocks.clone(), share.gaps.clone());
    }

    /// The next batch; `None` at the end.
    #[expect(
        clippy::should_implement_trait,
        reason = "a batch borrows from the walk, an iterator's items cannot"
    )]
    pub fn next(&mut self) -> Option<Batch<'_>> {
        if let Some(place) = self.handed_on.take() {
            self.push_head(place);
        }
        // Open every block that may hold the earliest event.
        while let Some(block) = self.next_block()
            && self.first_ns().is_none_or(|first_ns| block.first_ns <= first_ns)
        {
            let number = self.blocks.start;
            self.blocks.start += 1;
            if let Err(damage) = self.open_block(number) {
                let len_bytes = BLOCK_HEADER_BYTES as u64 + u64::from(block.stored_bytes);
                let (offset, events) = (block.offset, block.events);
                return Some(Batch::Damaged(DamagedRange { offset, len_bytes, damage, events }));
            }
        }
        let gap = self.plan.gaps[self.gaps.clone()].first().copied();
        let first_ns = self.first_ns();
        if let Some(gap) = gap
            && first_ns.is_none_or(|first_ns| gap.to_ns < first_ns)
        {
            self.gaps.start += 1;
            return Some(Batch::Gap(gap));
        }
        first_ns?;
        let gap_ns = gap.and_then(|gap| gap.to_ns.checked_add(1));
        // The next block's first event may tie with ours, so ours go only to before it.
        let block_ns = self.next_block().map(|block| block.first_ns);
        let end_ns = [gap_ns, block_ns].into_iter().flatten().min();
        if self.heads.len() == 1 {
            let Reverse((_, _, _, place)) = self.heads.pop()?;
            self.handed_on = Some(place);
            let open = &mut self.open[place];
            let rows = open.rows_before(end_ns);
            open.next = rows.end;
            return Some(Batch::Events { columns: &open.columns, rows });
        }
        self.merge(end_ns);
        let rows = 0..self.merged.len();
        Some(Batch::Events { columns: &self.merged, rows })
    }

    /// Takes the columns of the batch of events that was handed on last, `other` in exchange; `None` if more of their
    /// rows are to come.
    pub(crate) fn take_columns(&mut self, other: &mut Columns) -> Option<()> {
        let columns = match self.handed_on {
            None => &mut self.merged,
            Some(place) => {
                let open = &mut self.open[place];
                if open.next < open.columns.len() || open.from + open.columns.len() < open.rows {
                    return None;
                }
                // Nothing of the block is left to be loaded.
                open.rows = 0;
                &mut open.columns
            }
        };
        std::mem::swap(columns, other);
        columns.clear();
        Some(())
    }

    /// The columns of the batch of events that was handed on last.
    pub(crate) fn columns(&self) -> &Columns {
        self.handed_on.map_or(&self.merged, |place| &self.open[place].columns)
    }

    fn next_block(&self) -> Option<BlockRef> {
        self.plan.blocks[self.blocks.clone()].first().copied()
    }

    /// Time of the earliest row of the open blocks.
    fn first_ns(&self) -> Option<u64> {
        self.heads.peek().map(|&Reverse((time_ns, ..))| time_ns)
    }

    fn open_block(&mut self, block: usize) -> Result<(), Damage> {
        let place = self.free.pop().unwrap_or(self.open.len());
        if place == self.open.len() {
            self.open.push(Open::default());
        }
        let columns = std::mem::take(&mut self.open[place].columns);
        self.open[place] = Open { columns, block, ..Open::default() };
        let result = self.load(place);
        self.push_head(place);
        result
    }

    /// Decodes an open block and keeps its rows from `from` on: all if few blocks are open, else some.
    fn load(&mut self, place: usize) -> Result<(), Damage> {
        let open = &mut self.open[place];
        let block = &self.plan.blocks[open.block];
        open.next = 0;
        open.columns.clear();
        if self.heads.len() < MAX_WHOLE {
            self.trace.decode(block, &mut self.decoder, &mut open.columns)?;
            open.rows = open.columns.len();
            open.next = std::mem::take(&mut open.from);
            return Ok(());
        }
        self.trace.decode(block, &mut self.decoder, &mut self.whole)?;
        open.rows = self.whole.len();
        begin(&mut open.columns);
        let most = (MAX_ROWS / self.heads.len()).max(MIN_ROWS);
        for row in open.from..open.rows.min(open.from + most) {
            copy_row(&self.whole, row, &mut open.columns, &self.trace.definitions);
            if is_full(&open.columns) {
                break;
            }
        }
        Ok(())
    }

    /// Puts an open block among the heads again, by its next row; frees its place if it has none.
    fn push_head(&mut self, place: usize) {
        let open = &mut self.open[place];
        if open.next >= open.columns.len() && open.from + open.columns.len() < open.rows {
            open.from += open.columns.len();
            if self.load(place).is_err() {
                // It was decoded before: only if the file changes under us.
                self.open[place].rows = 0;
            }
        }
        let open = &mut self.open[place];
        match (open.columns.time_ns.get(open.next), open.columns.cpu.get(open.next)) {
            (Some(&time_ns), Some(&cpu)) => {
                let offset = self.plan.blocks[open.block].offset;
                self.heads.push(Reverse((time_ns, cpu, offset, place)));
            }
            _ => {
                if self.free.len() >= MAX_WHOLE {
                    open.columns = Columns::default();
                }
                self.free.push(place);
            }
        }
    }

    /// Merges the rows before `end_ns` of all open blocks, as many as one block has; at least one.
    fn merge(&mut self, end_ns: Option<u64>) {
        let mut merged = std::mem::take(&mut self.merged);
        begin(&mut merged);
        while !is_full(&merged)
            && self.heads.len() > 1
            && let Some(&Reverse((time_ns, _, _, place))) = self.heads.peek()
            && end_ns.is_none_or(|end_ns| time_ns < end_ns)
        {
            self.heads.pop();
            let open = &mut self.open[place];
            copy_row(&open.columns, open.next, &mut merged, &self.trace.definitions);
            open.next += 1;
            self.push_head(place);
        }
        self.merged = merged;
    }
}

/// Makes columns ready for rows to be copied to them.
pub(crate) fn begin(columns: &mut Columns) {
    columns.clear();
    columns.value_start.push(0);
    columns.string_start.push(0);
}

/// Whether rows go to the next batch: strings that rows share are copied for each of them.
fn is_full(columns: &Columns) -> bool {
    columns.len() >= MAX_BLOCK_EVENTS || columns.string_bytes.len() >= MAX_BLOCK_STRING_BYTES
}

/// Appends a row of `from` to `to`; strings move along.
pub(crate) fn copy_row(from: &Columns, row: usize, to: &mut Columns, definitions: &Definitions) {
    let unreadable = from.row_unreadable(row);
    if unreadable != 0 {
        to.unreadable.push((to.len() as u32, unreadable));
    }
    to.time_ns.push(from.time_ns[row]);
    to.thread.push(from.thread[row]);
    to.site.push(from.site[row]);
    to.cpu.push(from.cpu[row]);
    let kinds = definitions.site(from.site[row]).map_or(&[][..], |site| &site.args);
    for (&value, kind) in from.row_values(row).iter().zip(kinds) {
        to.values.push(match (kind, from.string(value)) {
            (ArgKind::Str, Some(string)) => {
                to.string_bytes.extend_from_slice(string);
                to.string_start.push(to.string_bytes.len() as u32);
                let index = to.string_start.len() as u32 - 2;
                if from.is_cut(value) {
                    to.cut_strings.push(index);
                }
                index.into()
            }
            // No string of the block: unreadable, here as there.
            (ArgKind::Str, None) => u64::MAX,
            _ => value,
        });
    }
    to.value_start.push(to.values.len() as u32);
}
