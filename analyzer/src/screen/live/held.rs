//! Events that are held in memory: the first ones, by which keys are chosen, and the last ones, of which a trace can be made.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use tracer_format::{ClockAnchor, Columns, Copier, Definitions, Gap, Writer};

use crate::Result;
use crate::select::Selection;

/// Events that a snapshot has, at most: of so many a second that more would take too much memory, it is shorter.
const MOST: usize = 1 << 19;

/// A piece of a recording.
#[derive(Debug, Clone)]
pub(super) enum HeldPiece {
    Events(Arc<Columns>),
    Gap(Gap),
}

impl HeldPiece {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Events(columns) => columns.len(),
            Self::Gap(_) => 0,
        }
    }

    pub(super) fn last_ns(&self) -> u64 {
        match self {
            Self::Events(columns) => columns.time_ns.last().copied().unwrap_or_default(),
            Self::Gap(gap) => gap.to_ns,
        }
    }
}

/// The rows `rows` of `columns` by themselves.
pub(super) fn part(columns: &Columns, rows: Range<usize>) -> Columns {
    if rows == (0..columns.len()) {
        return columns.clone();
    }
    let at = |row: usize| columns.value_start.get(row).copied().unwrap_or_default();
    let (first, last) = (at(rows.start), at(rows.end));
    let row = |row: u32| row as usize;
    let inside = columns.unreadable.iter().filter(|&&(at, _)| rows.contains(&row(at)));
    let moved = |row: u32| row - u32::try_from(rows.start).unwrap_or(row);
    Columns {
        time_ns: columns.time_ns[rows.clone()].to_vec(),
        thread: columns.thread[rows.clone()].to_vec(),
        site: columns.site[rows.clone()].to_vec(),
        cpu: columns.cpu[rows.clone()].to_vec(),
        value_start: columns.value_start[rows.start..=rows.end].iter().map(|start| start - first).collect(),
        values: columns.values[first as usize..last as usize].to_vec(),
        unreadable: inside.map(|&(at, bits)| (moved(at), bits)).collect(),
        string_start: columns.string_start.clone(),
        string_bytes: columns.string_bytes.clone(),
        cut_strings: columns.cut_strings.clone(),
    }
}

/// The events of the last seconds.
#[derive(Debug)]
pub struct Held {
    kept_ns: u64,
    pieces: VecDeque<HeldPiece>,
    events: usize,
}

impl Held {
    pub(super) fn new(kept_ns: u64) -> Self {
        Self { kept_ns, pieces: VecDeque::new(), events: 0 }
    }

    pub(super) fn push(&mut self, piece: HeldPiece) {
        self.events += piece.len();
        let from_ns = piece.last_ns().saturating_sub(self.kept_ns);
        self.pieces.push_back(piece);
        while self.pieces.len() > 1
            && let Some(oldest) = self.pieces.front()
            && (oldest.last_ns() < from_ns || self.events > MOST)
        {
            self.events -= oldest.len();
            self.pieces.pop_front();
        }
    }

    /// What is held, with what its ids mean.
    pub(super) fn snapshot(
        &self,
        definitions: &Definitions,
        clocks: &[ClockAnchor],
        selection: &Selection,
    ) -> Snapshot {
        let last_ns = self.pieces.iter().map(HeldPiece::last_ns).max().unwrap_or_default();
        Snapshot {
            definitions: definitions.clone(),
            clocks: clocks.to_vec(),
            selection: selection.clone(),
            pieces: self.pieces.iter().cloned().collect(),
            from_ns: last_ns.saturating_sub(self.kept_ns),
        }
    }
}

/// The last seconds of a recording, to be written as a trace.
#[derive(Debug)]
pub struct Snapshot {
    definitions: Definitions,
    clocks: Vec<ClockAnchor>,
    selection: Selection,
    pieces: Vec<HeldPiece>,
    from_ns: u64,
}

impl Snapshot {
    /// Writes the events to `writer`, which the caller finishes; gives their number, and the times of the first and the last.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) if the writer fails.
    pub fn write<W: Write>(&self, writer: &mut Writer<W>) -> Result<(u64, (u64, u64))> {
        let mut copier = Copier::default();
        let wanted = |site| self.selection.wants_site(site);
        let mut source = copier.source(&self.definitions, 0, wanted, writer)?;
        for skipped in self.selection.skipped(&self.definitions) {
            copier.skipped(&source, &skipped, writer)?;
        }
        for anchor in &self.clocks {
            copier.clock(&source, anchor, writer)?;
        }
        let (mut events, mut time_ns) = (0, (u64::MAX, 0));
        for piece in &self.pieces {
            match piece {
                HeldPiece::Gap(gap) if gap.to_ns < self.from_ns => {}
                HeldPiece::Gap(gap) => {
                    copier.gap(&source, gap, writer)?;
                }
                HeldPiece::Events(columns) => {
                    let first = columns.time_ns.partition_point(|&time_ns| time_ns < self.from_ns);
                    for row in first..columns.len() {
                        if self.selection.selects(&self.definitions, columns, row)
                            && copier.event(&mut source, columns, row, writer)?
                        {
                            events += 1;
                            let at_ns = columns.time_ns[row];
                            time_ns = (time_ns.0.min(at_ns), at_ns);
                        }
                    }
                }
            }
        }
        copier.finish(&source, writer)?;
        Ok((events, time_ns))
    }
}
