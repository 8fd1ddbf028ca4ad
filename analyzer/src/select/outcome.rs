//! What a walk over a trace met: how many events, and all that is missing.

use tracer_format::log::skipped_text;
use tracer_format::{DamagedRange, Skipped, Trace};

use super::clock::has_several_clocks;
use super::filter::Selection;
use super::skipped;
use crate::report::{counted, lost};

/// What was read and what is missing; exit code 3 if anything is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Events that were selected and used.
    pub events: u64,
    /// Events that the recorder reported dropped, in the selected time.
    pub lost: u64,
    /// Places in time where they were dropped.
    pub gaps: u64,
    /// Bytes of the file that could not be used.
    pub damage: Vec<DamagedRange>,
    /// Whether the file lacks its footer: the recorder died or is still at work.
    pub incomplete: bool,
    /// What was not recorded, of what was selected.
    pub skipped: Vec<Skipped>,
    /// Events of a time that does not fit into a table: it has the last one that does.
    pub late: u64,
    /// Whether the file has parts whose times are of different clocks.
    pub several_clocks: bool,
}

impl Outcome {
    /// What is known when the trace has been opened.
    #[must_use]
    pub fn of(trace: &Trace<'_>, selection: &Selection) -> Self {
        let gaps = || trace.gaps.iter().filter(|gap| selection.wants_gap(gap));
        Self {
            events: 0,
            lost: gaps().fold(0, |sum, gap| sum.saturating_add(gap.count)),
            gaps: gaps().count() as u64,
            damage: trace.damage.clone(),
            incomplete: !trace.complete,
            skipped: selection.skipped(&trace.definitions),
            late: 0,
            several_clocks: has_several_clocks(trace),
        }
    }

    /// Adds what was read of another trace.
    pub(crate) fn add(&mut self, other: &Self) {
        self.events = self.events.saturating_add(other.events);
        self.lost = self.lost.saturating_add(other.lost);
        self.gaps += other.gaps;
        self.damage.extend_from_slice(&other.damage);
        self.incomplete |= other.incomplete;
        self.skipped.extend_from_slice(&other.skipped);
        self.late += other.late;
        self.several_clocks |= other.several_clocks;
    }

    /// Whether something is missing.
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        self.has_holes() || !self.skipped.is_empty() || self.late > 0 || self.several_clocks
    }

    /// Whether events may be missing among those that are there.
    #[must_use]
    pub fn has_holes(&self) -> bool {
        self.lost > 0 || self.gaps > 0 || !self.damage.is_empty() || self.incomplete
    }

    /// Bytes of the file that could not be used.
    #[must_use]
    pub fn damaged_bytes(&self) -> u64 {
        self.damage.iter().map(|range| range.len_bytes).sum()
    }

    /// What is missing, in words; `None` if nothing is. Of what was not recorded, the first, and how much is not listed.
    #[must_use]
    pub fn loss_text(&self) -> Option<String> {
        let mut parts: Vec<String> = self.holes_text().into_iter().collect();
        let shown: Vec<String> = skipped::first(&self.skipped, 1).map(skipped_text).collect();
        if !shown.is_empty() {
            let more = self.skipped.len() - shown.len();
            let more = if more == 0 { String::new() } else { format!("; and {more} more") };
            parts.push(format!("not recorded: {}{more}", shown.join("; ")));
        }
        if self.several_clocks {
            let text = "its parts are of different boots, whose times do not compare: tracer merge puts traces on one clock";
            parts.push(text.to_owned());
        }
        if self.late > 0 {
            let events = counted(self.late, "event");
            parts.push(format!(
                "{events} after 2^63-1 ns, the last time that fits into a table, have that one there"
            ));
        }
        if parts.is_empty() { None } else { Some(parts.join("; ")) }
    }

    /// What is missing among the events, in words; `None` if nothing is.
    #[must_use]
    pub fn holes_text(&self) -> Option<String> {
        let mut parts = Vec::new();
        if self.lost > 0 || self.gaps > 0 {
            parts.push(lost(self.lost, self.gaps));
        }
        if !self.damage.is_empty() {
            let (bytes, places) =
                (counted(self.damaged_bytes(), "byte"), counted(self.damage.len() as u64, "place"));
            parts.push(format!("{bytes} damaged in {places}"));
        }
        if self.incomplete {
            parts.push("the file is incomplete: the recorder died or is still at work".to_owned());
        }
        if parts.is_empty() { None } else { Some(parts.join("; ")) }
    }
}
