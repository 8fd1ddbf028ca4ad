//! Pairs begins and ends by key, in one pass over the events in time order, and never guesses.
//!
//! # What is paired
//! An end belongs to the one begin before it that is still open. Only where a key has an end and, later, one begin, and
//! nothing more, is the pair inverted. Where a begin repeats, all begins of the key are repeated until as many ends were
//! seen: which is whose cannot be told. So, for every stage: begins = complete + inverted + open + repeated begins, and
//! ends = complete + inverted + orphan ends + repeated ends.
//!
//! # Memory
//! The latest [`RECENT_KEYS`] keys are remembered whole: for so long a second end counts as repeated, and an inverted
//! pair waits for an end that would make it an orphan end and a complete span. Older keys are remembered while a begin
//! or an end waits for the other, up to [`WAITING_SLOTS`] entries; beyond that the oldest are given up, counted, and
//! become open or orphan ends.

use std::io;
use std::ops::Range;

use tracer_format::{ArgKind, Columns, Definitions};

use super::cell::{Cell, CellState};
use super::hand_off::hand_offs;
use super::sink::Sink;
use super::slots::Slots;
use super::span::{Class, HandOff, Point, Side, Span};
use crate::stage::number_of;
use crate::stage::{KeyPart, KeyValue, MAX_WORDS, ProbeName, Scope, Stage};

/// Keys that are remembered whole.
pub const RECENT_KEYS: usize = 4096;
/// Entries, a stage and a key each, that may wait for the other end, over all stages.
pub const WAITING_SLOTS: usize = 1 << 20;

/// Pairs the events of all stages.
#[derive(Debug)]
pub struct Pairer {
    groups: Vec<Group>,
    /// What the events of a site mean: positions in `uses`.
    site_uses: Vec<Range<usize>>,
    uses: Vec<Use>,
    threads: Vec<Ids>,
    /// Events of each stage that have no key: it is missing, unreadable, or no integer.
    pub without_key: Vec<u64>,
    /// Begins and ends of each stage that were given up, to bound memory.
    pub given_up: Vec<u64>,
}

/// What an event of a site does to a stage.
#[derive(Debug, Clone)]
struct Use {
    group: usize,
    /// Position of the stage in its group.
    local: usize,
    stage: usize,
    side: Side,
    sources: [Source; MAX_WORDS],
    words: usize,
}

/// Where a part of the key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Number(usize),
    Text(usize),
    Scope(Scope),
    Nowhere,
}

/// The numbers of a thread, its process and that one's parent.
#[derive(Debug, Clone, Copy)]
struct Ids {
    tid: i64,
    pid: i64,
    ppid: i64,
}

/// Stages whose keys mean the same: a key has one slot in all of them.
#[derive(Debug)]
struct Group {
    stages: Vec<u32>,
    recent: Slots<Cell>,
    waiting: Slots<Cell>,
    /// Latest begin of a complete span, for each stage.
    last_begin_ns: Vec<u64>,
}

impl Pairer {
    /// A pairer of `stages` for events whose ids mean what `definitions` say.
    #[must_use]
    pub fn new(stages: &[Stage], definitions: &Definitions) -> Self {
        let members = groups(stages);
        let waiting = WAITING_SLOTS / stages.len().max(1);
        let group = |members: &Vec<usize>| Group {
            stages: members.iter().map(|&stage| u32::try_from(stage).unwrap_or(u32::MAX)).collect(),
            recent: Slots::new(stages[members[0]].key.words(), members.len(), RECENT_KEYS),
            waiting: Slots::new(stages[members[0]].key.words(), members.len(), waiting),
            last_begin_ns: vec![0; members.len()],
        };
        let mut pairer = Self {
            groups: members.iter().map(group).collect(),
            site_uses: Vec::new(),
            uses: Vec::new(),
            threads: Vec::new(),
            without_key: vec![0; stages.len()],
            given_up: vec![0; stages.len()],
        };
        for site in &definitions.sites {
            let start = pairer.uses.len();
            // An event that ends one stage and begins another ends first.
            for side in [Side::End, Side::Begin] {
                for (group, members) in members.iter().enumerate() {
                    for (local, &stage) in members.iter().enumerate() {
                        let Stage { begins, ends, key, .. } = &stages[stage];
                        let probes = if side == Side::End { ends } else { begins };
                        let is =
                            |probe: &ProbeName| probe.provider == site.provider && probe.probe == site.probe;
                        if probes.iter().any(is) {
                            let mut sources = [Source::Nowhere; MAX_WORDS];
                            let scope = (key.scope != Scope::Trace).then_some(Source::Scope(key.scope));
                            let parts = key.parts.iter().map(|&part| source(part, side, site));
                            for (to, from) in sources.iter_mut().zip(parts.chain(scope)) {
                                *to = from;
                            }
                            pairer.uses.push(Use { group, local, stage, side, sources, words: key.words() });
                        }
                    }
                }
            }
            pairer.site_uses.push(start..pairer.uses.len());
        }
        let ids = |thread: &tracer_format::Thread| {
            let process = definitions.processes.get(thread.process as usize);
            let (pid, ppid) = process.map_or((0, 0), |process| (process.pid, process.parent_pid));
            Ids { tid: thread.tid.into(), pid: pid.into(), ppid: ppid.into() }
        };
        pairer.threads = definitions.threads.iter().map(ids).collect();
        pairer
    }

    /// Takes the rows `rows`, which are not earlier than those before.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn events(&mut self, columns: &Columns, rows: Range<usize>, sink: &mut impl Sink) -> io::Result<()> {
        for row in rows {
            let uses = self.site_uses.get(columns.site[row] as usize).cloned().unwrap_or_default();
            for used in &self.uses[uses] {
                let mut words = [0; MAX_WORDS];
                let len = used.words.min(MAX_WORDS);
                let found = used.sources[..len].iter().zip(&mut words).all(|(source, word)| {
                    let value = value(*source, columns, row, &self.threads);
                    *word = value.unwrap_or_default();
                    value.is_some()
                });
                if !found {
                    self.without_key[used.stage] += 1;
                    continue;
                }
                let point = Point { time_ns: columns.time_ns[row], thread: columns.thread[row] };
                let mut out = Out { given_up: &mut self.given_up, sink };
                let event = Event { key: &words[..len], local: used.local, side: used.side, point };
                self.groups[used.group].event(event, &mut out)?;
            }
        }
        Ok(())
    }

    /// Nothing more comes: hands on what is open, orphan or inverted.
    ///
    /// # Errors
    /// Those of `sink`.
    pub fn finish(&mut self, sink: &mut impl Sink) -> io::Result<()> {
        let mut out = Out { given_up: &mut self.given_up, sink };
        self.groups.iter_mut().try_for_each(|group| group.finish(&mut out))
    }
}

/// Stages with the same parts of a key, and with a provider in common, belong together.
fn groups(stages: &[Stage]) -> Vec<Vec<usize>> {
    let related = |a: &Stage, b: &Stage| {
        let providers = |stage: &Stage| -> Vec<String> {
            stage.begins.iter().chain(&stage.ends).map(|probe| probe.provider.clone()).collect()
        };
        a.key == b.key && providers(a).iter().any(|provider| providers(b).contains(provider))
    };
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (position, stage) in stages.iter().enumerate() {
        let (mut joined, others): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.iter().any(|&other| related(&stages[other], stage)));
        joined.push(vec![position]);
        groups = others;
        let mut group: Vec<usize> = joined.into_iter().flatten().collect();
        group.sort_unstable();
        groups.push(group);
    }
    groups
}

fn source(part: KeyPart, side: Side, site: &tracer_format::Site) -> Source {
    let arg = match part {
        KeyPart::Seq => site.key_arg,
        KeyPart::Arg(arg) => arg,
        KeyPart::Crossed { begin, .. } if side == Side::Begin => begin,
        KeyPart::Crossed { end, .. } => end,
        KeyPart::Str => {
            let first = site.args.iter().position(|&kind| kind == ArgKind::Str);
            return first.map_or(Source::Nowhere, Source::Text);
        }
    };
    match (part, site.args.get(usize::from(arg))) {
        (_, Some(ArgKind::Signed(_) | ArgKind::Unsigned(_))) => Source::Number(arg.into()),
        (KeyPart::Arg(_) | KeyPart::Crossed { .. }, Some(ArgKind::Str)) => Source::Text(arg.into()),
        _ => Source::Nowhere,
    }
}

fn value(source: Source, columns: &Columns, row: usize, threads: &[Ids]) -> Option<i64> {
    match source {
        Source::Number(arg) | Source::Text(arg) => {
            if !columns.unreadable.is_empty() && columns.row_unreadable(row) >> arg & 1 != 0 {
                return None;
            }
            let &bits = columns.row_values(row).get(arg)?;
            if source == Source::Number(arg) {
                Some(bits.cast_signed())
            } else {
                columns.string(bits).map(number_of)
            }
        }
        Source::Scope(scope) => threads.get(columns.thread[row] as usize).map(|ids| match scope {
            Scope::Tid => ids.tid,
            Scope::Pid => ids.pid,
            Scope::Ppid | Scope::Trace => ids.ppid,
        }),
        Source::Nowhere => None,
    }
}

/// Where results go.
struct Out<'a, S> {
    given_up: &'a mut [u64],
    sink: &'a mut S,
}

impl Group {
    fn event(&mut self, event: Event<'_>, out: &mut Out<'_, impl Sink>) -> io::Result<()> {
        let slot = if let Some(position) = self.recent.find(event.key) {
            self.recent.slot_mut(position)
        } else if let Some(position) = self.waiting.find(event.key) {
            self.waiting.slot_mut(position)
        } else {
            if self.recent.is_full() {
                self.retire(out)?;
            }
            let position = self.recent.insert(event.key);
            self.recent.slot_mut(position)
        };
        step(&self.stages, &mut self.last_begin_ns, slot, event, out.sink)
    }

    /// The oldest recent key is about to be forgotten: what waits goes on waiting, the rest is decided.
    fn retire(&mut self, out: &mut Out<'_, impl Sink>) -> io::Result<()> {
        let position = self.recent.oldest();
        let (key, slot) = (self.recent.key(position), self.recent.slot(position));
        for (cell, &stage) in slot.iter().zip(&self.stages) {
            if cell.state == CellState::Swapped {
                out.sink.span(&span(stage, Class::Inverted, key, Some(cell.begin()), Some(cell.end())))?;
            }
        }
        if !slot.iter().any(Cell::waits) {
            return Ok(());
        }
        if self.waiting.is_full() {
            let oldest = self.waiting.oldest();
            let (key, slot) = (self.waiting.key(oldest), self.waiting.slot(oldest));
            for (cell, &stage) in slot.iter().zip(&self.stages) {
                out.given_up[stage as usize] += u64::from(cell.waits());
                last_word(cell, stage, key, out.sink)?;
            }
        }
        let moved = self.waiting.insert(key);
        self.waiting.slot_mut(moved).copy_from_slice(slot);
        for cell in self.waiting.slot_mut(moved) {
            if cell.state == CellState::Swapped {
                cell.state = CellState::Closed;
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Out<'_, impl Sink>) -> io::Result<()> {
        for slots in [&self.waiting, &self.recent] {
            for position in (slots.oldest()..slots.len()).chain(0..slots.oldest()) {
                for (cell, &stage) in slots.slot(position).iter().zip(&self.stages) {
                    last_word(cell, stage, slots.key(position), out.sink)?;
                }
            }
        }
        Ok(())
    }
}

/// What becomes of a cell when nothing more comes.
fn last_word(cell: &Cell, stage: u32, key: &[i64], sink: &mut impl Sink) -> io::Result<()> {
    match cell.state {
        CellState::Begun => sink.span(&span(stage, Class::Open, key, Some(cell.begin()), None)),
        CellState::Ended => sink.span(&span(stage, Class::OrphanEnd, key, None, Some(cell.end()))),
        CellState::Swapped => {
            sink.span(&span(stage, Class::Inverted, key, Some(cell.begin()), Some(cell.end())))
        }
        CellState::Unseen | CellState::Complete | CellState::Closed | CellState::Tangled => Ok(()),
    }
}

fn span(stage: u32, class: Class, key: &[i64], begin: Option<Point>, end: Option<Point>) -> Span {
    Span { stage, class, reordered: false, key: KeyValue::new(key), begin, end }
}

/// An event on its way into a slot.
#[derive(Clone, Copy)]
struct Event<'a> {
    key: &'a [i64],
    local: usize,
    side: Side,
    point: Point,
}

/// Takes an event into the slot of its key.
fn step(
    stages: &[u32],
    last_begin_ns: &mut [u64],
    slot: &mut [Cell],
    event: Event<'_>,
    sink: &mut impl Sink,
) -> io::Result<()> {
    let Event { key, local, side, point } = event;
    let stage = stages[local];
    let cell = &mut slot[local];
    if side == Side::Begin {
        return begin(cell, stage, key, point, sink);
    }
    match cell.state {
        CellState::Begun | CellState::Swapped => {
            if cell.state == CellState::Swapped {
                sink.span(&span(stage, Class::OrphanEnd, key, None, Some(cell.end())))?;
            }
            cell.set_end(point);
            cell.state = CellState::Complete;
            cell.laps = (cell.laps + 1).min(2);
            let latest = &mut last_begin_ns[local];
            let reordered = cell.begin_ns() < *latest;
            *latest = cell.begin_ns().max(*latest);
            let complete = span(stage, Class::Complete, key, Some(cell.begin()), Some(point));
            sink.span(&Span { reordered, ..complete })?;
            hand_offs(stages, slot, local, |hand_off| {
                sink.hand_off(&HandOff { key: KeyValue::new(key), ..hand_off })
            })
        }
        CellState::Unseen => {
            cell.set_end(point);
            cell.state = CellState::Ended;
            Ok(())
        }
        CellState::Ended => {
            cell.state = CellState::Closed;
            sink.span(&span(stage, Class::OrphanEnd, key, None, Some(cell.end())))?;
            sink.span(&span(stage, Class::RepeatedEnd, key, None, Some(point)))
        }
        CellState::Complete | CellState::Closed => {
            sink.span(&span(stage, Class::RepeatedEnd, key, None, Some(point)))
        }
        CellState::Tangled => {
            cell.depth -= 1;
            if cell.depth == 0 {
                cell.state = CellState::Closed;
            }
            sink.span(&span(stage, Class::RepeatedEnd, key, None, Some(point)))
        }
    }
}

fn begin(cell: &mut Cell, stage: u32, key: &[i64], point: Point, sink: &mut impl Sink) -> io::Result<()> {
    match cell.state {
        CellState::Unseen | CellState::Complete | CellState::Closed => {
            cell.set_begin(point);
            cell.state = CellState::Begun;
            Ok(())
        }
        CellState::Ended => {
            cell.set_begin(point);
            cell.state = CellState::Swapped;
            Ok(())
        }
        CellState::Swapped => {
            let inverted = span(stage, Class::Inverted, key, Some(cell.begin()), Some(cell.end()));
            cell.set_begin(point);
            cell.state = CellState::Begun;
            sink.span(&inverted)
        }
        CellState::Begun => {
            (cell.state, cell.depth) = (CellState::Tangled, 2);
            sink.span(&span(stage, Class::RepeatedBegin, key, Some(cell.begin()), None))?;
            sink.span(&span(stage, Class::RepeatedBegin, key, Some(point), None))
        }
        CellState::Tangled => {
            cell.depth = cell.depth.saturating_add(1);
            sink.span(&span(stage, Class::RepeatedBegin, key, Some(point), None))
        }
    }
}
