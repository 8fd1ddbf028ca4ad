//! What a walk covers, cut into shares that can be walked at the same time.
//!
//! No block of a share overlaps one of another in time, so the batches of all shares, one share after the other, are
//! those of a walk over the whole. Gaps go to the share whose events they stand among, or before.

use std::ops::Range;

use super::block_ref::BlockRef;
use super::trace::Trace;
use crate::model::Gap;

/// Blocks and gaps to be walked.
#[derive(Debug)]
pub(crate) struct Plan {
    /// By time of the first event.
    pub(crate) blocks: Vec<BlockRef>,
    /// By the end.
    pub(crate) gaps: Vec<Gap>,
    /// At least one; together they cover all.
    pub(crate) shares: Vec<Share>,
}

/// A part of a walk that needs nothing of the others.
#[derive(Debug, Clone)]
pub struct Share {
    /// Time of the last event before it, CLOCK_MONOTONIC ns; 0 if it is the first.
    pub from_ns: u64,
    /// Time of its last event; `None` if it is the last share. What belongs to a time in `from_ns..until_ns` and is no event
    /// stands in this share, too.
    pub until_ns: Option<u64>,
    pub(crate) blocks: Range<usize>,
    pub(crate) gaps: Range<usize>,
}

impl Plan {
    /// The blocks that `wanted` picks, in one share.
    pub(crate) fn whole(trace: &Trace<'_>, wanted: impl Fn(&BlockRef) -> bool) -> Self {
        let blocks: Vec<BlockRef> = trace.blocks.iter().copied().filter(wanted).collect();
        let mut gaps = trace.gaps.clone();
        gaps.sort_by_key(|gap| gap.to_ns);
        let share = Share { from_ns: 0, until_ns: None, blocks: 0..blocks.len(), gaps: 0..gaps.len() };
        Self { blocks, gaps, shares: vec![share] }
    }

    /// The same in shares of so many events or more.
    pub(crate) fn cut(mut self, share_events: u64) -> Self {
        let mut shares = Vec::new();
        let (mut events, mut last_ns) = (0, 0);
        let mut share = Share { from_ns: 0, until_ns: None, blocks: 0..0, gaps: 0..0 };
        for (at, block) in self.blocks.iter().enumerate() {
            if events >= share_events && block.first_ns > last_ns {
                let gaps = &self.gaps[share.gaps.start..];
                share.gaps.end = share.gaps.start + gaps.partition_point(|gap| gap.to_ns < last_ns);
                let next = Share {
                    from_ns: last_ns,
                    until_ns: None,
                    blocks: at..at,
                    gaps: share.gaps.end..share.gaps.end,
                };
                shares.push(Share { until_ns: Some(last_ns), ..share });
                (share, events) = (next, 0);
            }
            share.blocks.end = at + 1;
            events += u64::from(block.events);
            last_ns = last_ns.max(block.last_ns);
        }
        share.gaps.end = self.gaps.len();
        shares.push(share);
        self.shares = shares;
        self
    }
}
