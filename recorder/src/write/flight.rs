//! The flight recorder's memory: the last seconds of a recording as a row of small traces, compressed as in a file.
//!
//! A snapshot shares them with the memory, so that taking one costs no time; its events that are recent enough are copied into one
//! trace by another thread. Memory is bounded by time and by bytes.

pub(crate) mod snapshot;

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tracer_format::{Batch, Copier, Result, Trace, Writer};

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flight {
    /// Events younger than this.
    pub last: Duration,
    /// Most bytes of memory.
    pub max_bytes: usize,
}

/// Each of the small traces covers this part of the time that is kept.
const SEGMENTS: u32 = 16;

impl Flight {
    /// How long each of the small traces is.
    #[must_use]
    pub fn segment(&self) -> Duration {
        self.last / SEGMENTS
    }
}

/// The small traces, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    segments: VecDeque<Arc<Segment>>,
    bytes: usize,
}

#[derive(Debug)]
struct Segment {
    bytes: Vec<u8>,
    /// When it ended, CLOCK_MONOTONIC ns.
    end_ns: u64,
}

impl Memory {
    /// Adds a finished trace, and drops the oldest ones that are past the limits.
    pub(crate) fn push(&mut self, bytes: Vec<u8>, now_ns: u64, flight: &Flight) {
        self.bytes += bytes.len();
        self.segments.push_back(Arc::new(Segment { bytes, end_ns: now_ns }));
        let oldest_ns = oldest(now_ns, flight);
        while let Some(first) = self.segments.front()
            && (first.end_ns < oldest_ns || self.bytes > flight.max_bytes)
        {
            self.bytes -= first.bytes.len();
            self.segments.pop_front();
        }
    }

    /// What is young enough at `now_ns`.
    pub(crate) fn snapshot(&self, now_ns: u64, flight: &Flight) -> Snapshot {
        Snapshot { segments: self.segments.iter().cloned().collect(), oldest_ns: oldest(now_ns, flight) }
    }
}

/// What was in the memory at one time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    segments: Vec<Arc<Segment>>,
    /// Older events are not part of it.
    oldest_ns: u64,
}

impl Snapshot {
    /// Copies its events to `writer`.
    ///
    /// # Errors
    /// When the writer fails.
    pub(crate) fn copy<W: Write>(self, writer: &mut Writer<W>) -> Result<()> {
        let oldest_ns = self.oldest_ns;
        let mut copier = Copier::default();
        // Each is given back once it is copied.
        for segment in self.segments {
            let trace = Trace::open(&segment.bytes)?;
            let mut source = copier.source(&trace.definitions, 0, |_| true, writer)?;
            let definitions = &trace.definitions;
            for skipped in
                definitions.skipped.iter().filter(|it| it.until_ns == 0 || it.until_ns >= oldest_ns)
            {
                copier.skipped(&source, skipped, writer)?;
            }
            for anchor in &trace.clocks {
                copier.clock(&source, anchor, writer)?;
            }
            let mut batches = trace.batches_where(|block| block.last_ns >= oldest_ns);
            while let Some(batch) = batches.next() {
                match batch {
                    Batch::Events { columns, rows } => {
                        for row in rows.filter(|&row| columns.time_ns[row] >= oldest_ns) {
                            copier.event(&mut source, columns, row, writer)?;
                        }
                    }
                    Batch::Gap(gap) if gap.to_ns >= oldest_ns => {
                        copier.gap(&source, &gap, writer)?;
                    }
                    Batch::Gap(_) => {}
                    Batch::Damaged(range) => unreachable!("written by this process a moment ago: {range:?}"),
                }
            }
            copier.finish(&source, writer)?;
        }
        Ok(())
    }
}

fn oldest(now_ns: u64, flight: &Flight) -> u64 {
    now_ns.saturating_sub(u64::try_from(flight.last.as_nanos()).unwrap_or(u64::MAX))
}
