//! What has been seen of a recording so far.

use std::ops::Range;
use std::sync::Arc;

use tracer_format::{Columns, DamagedRange, Gap, Known};

use super::figures::Figures;
use super::held::{Held, HeldPiece, Snapshot, part};
use super::seconds::Seconds;
use crate::Result;
use crate::pair::Pairer;
use crate::select::clock::has_several_clocks;
use crate::select::{Filter, Outcome, Selection, skipped};
use crate::stage::choice::{Chosen, Heard, choose_keys_heard};
use crate::stage::{self, Draft, Stage};

/// Events that are kept from the begin on, to pair them anew when they tell another stage or key.
const BEGINNING: usize = 1 << 19;
/// Events by which keys are chosen first; then whenever there are twice as many.
const FIRST_CHOICE: usize = 64;

/// What is looked at.
#[derive(Debug, Clone)]
pub struct Given {
    /// Which events.
    pub filter: Filter,
    /// Stages; without any, those of the recording, else those that the probes' names tell.
    pub stages: Vec<Draft>,
    /// Seconds that recent figures are of.
    pub seconds: u64,
    /// How much is kept for a snapshot, ns.
    pub held_ns: u64,
}

/// What has been seen of a recording so far.
#[derive(Debug)]
pub struct Watching {
    pub(super) given: Given,
    selection: Selection,
    /// How much of what is defined was looked at.
    known: [usize; 5],
    drafts: Vec<Draft>,
    pub(super) chosen: Chosen,
    pub(super) pairer: Pairer,
    pub(super) figures: Figures,
    beginning: Beginning,
    held: Held,
    /// Gaps up to whose end events may still follow, by their end.
    gaps: Vec<Gap>,
    /// Events, and what is missing.
    pub(super) outcome: Outcome,
    pub(super) events: Seconds<u64>,
    /// Times of the first and the last event.
    pub(super) time_ns: Option<(u64, u64)>,
    /// How often pairing began anew, because other stages came when the first events were no longer kept.
    pub(super) began_anew: u64,
    pub(super) has_ended: bool,
}

/// The first events, as long as there are not too many: since the begin, or since other stages came.
#[derive(Debug, Default)]
struct Beginning {
    pieces: Vec<HeldPiece>,
    events: usize,
    /// Keys are chosen when there are so many.
    choose_at: usize,
    /// They are no longer kept.
    is_over: bool,
    /// Events before them were counted, and are not kept.
    is_late: bool,
    /// Something was put between them that had not been paired with them.
    is_changed: bool,
}

impl Watching {
    /// Nothing has been seen.
    #[must_use]
    pub fn new(given: Given) -> Self {
        Self {
            selection: Selection::all(),
            known: [0; 5],
            drafts: Vec::new(),
            chosen: Chosen::default(),
            pairer: Pairer::new(&[]),
            figures: Figures::new(&[], given.seconds),
            beginning: Beginning::default(),
            held: Held::new(given.held_ns),
            gaps: Vec::new(),
            outcome: Outcome::default(),
            events: Seconds::new(given.seconds),
            time_ns: None,
            began_anew: 0,
            has_ended: false,
            given,
        }
    }

    /// Takes the rows `rows`, which are not earlier than those before; `trace` tells what their ids mean.
    ///
    /// # Errors
    /// As [`stage::choose`] and [`Selection::new`].
    pub fn events(&mut self, trace: &Known, columns: &Columns, rows: Range<usize>) -> Result<()> {
        self.learn(trace)?;
        let mut rows = rows;
        while let Some(gap) = self.gaps.first().copied() {
            let until =
                rows.start + columns.time_ns[rows.clone()].partition_point(|&at_ns| at_ns <= gap.to_ns);
            if until == rows.end {
                break;
            }
            self.gaps.remove(0);
            self.run(trace, columns, rows.start..until)?;
            self.passed(trace, gap)?;
            rows.start = until;
        }
        self.run(trace, columns, rows)
    }

    /// Takes rows between which nothing is missing.
    fn run(&mut self, trace: &Known, columns: &Columns, rows: Range<usize>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let columns = Arc::new(part(columns, rows));
        self.count(trace, &columns)?;
        let piece = HeldPiece::Events(columns);
        self.held.push(piece.clone());
        if self.keep(piece.clone()) && self.choose(trace)? {
            return Ok(());
        }
        self.pair(trace, &piece)
    }

    /// Takes a place where events are missing; events up to its end may still follow.
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub fn gap(&mut self, trace: &Known, gap: &Gap) -> Result<()> {
        self.learn(trace)?;
        if !self.selection.wants_gap(gap) {
            return Ok(());
        }
        self.outcome.lost = self.outcome.lost.saturating_add(gap.count);
        self.outcome.gaps += 1;
        self.pairer.expect(gap.from_ns, gap.to_ns);
        // Recorders tell of a gap with the events around it; other writers may do so later.
        if self.time_ns.is_some_and(|(_, last_ns)| gap.to_ns < last_ns) && self.beginning.insert(gap) {
            self.held.push(HeldPiece::Gap(*gap));
            return Ok(());
        }
        let position = self.gaps.partition_point(|other| other.to_ns <= gap.to_ns);
        self.gaps.insert(position, *gap);
        Ok(())
    }

    /// All events up to the end of a gap have come.
    fn passed(&mut self, trace: &Known, gap: Gap) -> Result<()> {
        let piece = HeldPiece::Gap(gap);
        self.held.push(piece.clone());
        self.keep(piece.clone());
        self.pair(trace, &piece)
    }

    /// Takes bytes that could not be used.
    pub fn damaged(&mut self, range: DamagedRange) {
        self.outcome.damage.push(range);
        let last_ns = self.time_ns.map_or(0, |(_, last_ns)| last_ns);
        self.pairer.lost(last_ns, last_ns);
    }

    /// Nothing more comes; `complete` is whether the trace has its end.
    ///
    /// # Errors
    /// As [`events`](Self::events).
    pub fn finish(&mut self, trace: &Known, complete: bool) -> Result<()> {
        self.learn(trace)?;
        self.outcome.incomplete = !complete;
        self.outcome.several_clocks = has_several_clocks(trace);
        std::mem::take(&mut self.gaps).into_iter().try_for_each(|gap| self.passed(trace, gap))?;
        if !self.beginning.is_over {
            self.choose(trace)?;
        }
        self.pairer.finish(&mut self.figures)?;
        self.has_ended = true;
        Ok(())
    }

    /// Events, and what is missing so far.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// How the stages' keys were chosen.
    #[must_use]
    pub fn chosen(&self) -> &Chosen {
        &self.chosen
    }

    /// The last seconds, to be written as a trace.
    #[must_use]
    pub fn snapshot(&self, trace: &Known) -> Snapshot {
        self.held.snapshot(&trace.definitions, &trace.clocks, &self.selection)
    }

    /// Takes what was defined since the last time.
    fn learn(&mut self, trace: &Known) -> Result<()> {
        let all = &trace.definitions;
        let skipped = usize::try_from(skipped::number(&all.skipped)).unwrap_or(usize::MAX);
        let known = [all.sites.len(), all.stages.len(), all.processes.len(), all.threads.len(), skipped];
        if self.known == known {
            return Ok(());
        }
        self.selection = Selection::new(&self.given.filter, trace)?;
        self.outcome.skipped = self.selection.skipped(all);
        if self.known[..2] != known[..2] {
            let drafts = stage::choose(&self.given.stages, all)?;
            if drafts != self.drafts {
                self.drafts = drafts;
                self.beginning.tell_again();
            }
        }
        self.known = known;
        self.pairer.define(all);
        Ok(())
    }

    fn count(&mut self, trace: &Known, columns: &Columns) -> Result<()> {
        let (events, time_ns, outcome) = (&mut self.events, &mut self.time_ns, &mut self.outcome);
        self.selection.rows(trace, columns, 0..columns.len(), |rows| {
            outcome.events += rows.len() as u64;
            let times = &columns.time_ns[rows];
            if let (Some(&first_ns), Some(&last_ns)) = (times.first(), times.last()) {
                *time_ns = Some((time_ns.map_or(first_ns, |(first_ns, _)| first_ns), last_ns));
            }
            for &at_ns in times {
                if let Some(count) = events.at(at_ns) {
                    *count += 1;
                }
            }
            Ok(())
        })
    }

    /// Keeps a piece of the beginning; whether keys are to be chosen.
    fn keep(&mut self, piece: HeldPiece) -> bool {
        let beginning = &mut self.beginning;
        if beginning.is_over {
            return false;
        }
        beginning.events += piece.len();
        beginning.pieces.push(piece);
        let is_due = beginning.events >= beginning.choose_at;
        while beginning.choose_at <= beginning.events {
            beginning.choose_at = (2 * beginning.choose_at).max(FIRST_CHOICE);
        }
        is_due
    }

    /// Chooses the keys by what is kept. If that tells other stages or keys, all of that is paired anew: whether it was.
    fn choose(&mut self, trace: &Known) -> Result<bool> {
        let is_late = self.beginning.is_late;
        let known = |draft: &Draft| self.chosen.stages.iter().find(|stage| is_of(stage, draft)).cloned();
        // What has figures already keeps its key.
        let drafts: Vec<Draft> = self
            .drafts
            .iter()
            .map(|draft| known(draft).filter(|_| is_late).map_or_else(|| draft.clone(), Draft::given))
            .collect();
        let every = self.selection.of_every_probe();
        let heard = self.beginning.pieces.iter().map(|piece| match piece {
            HeldPiece::Events(columns) => {
                let mut runs = Vec::new();
                let add = |rows| {
                    runs.push(rows);
                    Ok::<(), ()>(())
                };
                let _ = every.rows(trace, columns, 0..columns.len(), add);
                Heard::Events(columns, runs)
            }
            HeldPiece::Gap(_) => Heard::Gap,
        });
        let chosen = choose_keys_heard(&trace.definitions, &drafts, heard);
        let is_changed = std::mem::take(&mut self.beginning.is_changed);
        let is_other = is_changed || chosen.stages != self.chosen.stages;
        let old = std::mem::replace(&mut self.chosen, chosen).stages;
        if is_other {
            self.begin_anew(&old, trace)?;
        }
        if self.beginning.events >= BEGINNING {
            self.beginning.end();
        }
        Ok(is_other && !is_late)
    }

    /// Pairs what is kept by the stages that are known now; what was counted before stays.
    fn begin_anew(&mut self, old: &[Stage], trace: &Known) -> Result<()> {
        let stages = &self.chosen.stages;
        self.pairer = Pairer::new(stages);
        self.pairer.define(&trace.definitions);
        let gap_of = |piece: &HeldPiece| if let HeldPiece::Gap(gap) = piece { Some(*gap) } else { None };
        let passed = self.beginning.pieces.iter().filter_map(gap_of);
        passed.chain(self.gaps.iter().copied()).for_each(|gap| self.pairer.expect(gap.from_ns, gap.to_ns));
        let figures = Figures::new(stages, self.given.seconds);
        let before = std::mem::replace(&mut self.figures, figures);
        if self.beginning.is_late {
            let place = |stage: u32| {
                let old = old.get(stage as usize)?;
                stages.iter().position(|new| new == old).and_then(|at| u32::try_from(at).ok())
            };
            self.figures = before.moved(stages, place);
            self.began_anew += 1;
            return Ok(());
        }
        let pieces = std::mem::take(&mut self.beginning.pieces);
        pieces.iter().try_for_each(|piece| self.pair(trace, piece))?;
        self.beginning.pieces = pieces;
        Ok(())
    }

    fn pair(&mut self, trace: &Known, piece: &HeldPiece) -> Result<()> {
        let (pairer, figures) = (&mut self.pairer, &mut self.figures);
        match piece {
            HeldPiece::Events(columns) => {
                self.selection
                    .rows(trace, columns, 0..columns.len(), |rows| pairer.events(columns, rows, figures))?;
            }
            HeldPiece::Gap(gap) => pairer.lost(gap.from_ns, gap.to_ns),
        }
        Ok(())
    }
}

/// Whether `stage` is what `draft` became.
fn is_of(stage: &Stage, draft: &Draft) -> bool {
    let Stage { name, begins, ends, .. } = &draft.stage;
    (&stage.name, &stage.begins, &stage.ends) == (name, begins, ends)
}

impl Beginning {
    /// There are other stages: their keys are to be told.
    fn tell_again(&mut self) {
        self.choose_at = 0;
        if self.is_over {
            *self = Self { is_late: true, ..Self::default() };
        }
    }

    /// Puts a gap where it belongs; `false` if that is not kept.
    fn insert(&mut self, gap: &Gap) -> bool {
        if self.is_over || self.is_late {
            return false;
        }
        let is_later = |piece: &HeldPiece| piece.last_ns() > gap.to_ns;
        let mut at = self.pieces.iter().position(is_later).unwrap_or(self.pieces.len());
        if let Some(HeldPiece::Events(columns)) = self.pieces.get(at) {
            let columns = Arc::clone(columns);
            let row = columns.time_ns.partition_point(|&time_ns| time_ns <= gap.to_ns);
            let parts =
                [0..row, row..columns.len()].map(|rows| HeldPiece::Events(Arc::new(part(&columns, rows))));
            self.pieces.splice(at..=at, parts);
            at += 1;
        }
        self.pieces.insert(at, HeldPiece::Gap(*gap));
        self.is_changed = true;
        true
    }

    fn end(&mut self) {
        *self = Self { is_over: true, is_late: self.is_late, ..Self::default() };
    }
}
