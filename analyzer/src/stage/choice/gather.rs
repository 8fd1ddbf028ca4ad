//! Gathers samples: the first events of each stage that have no loss among them.

mod follow;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use tracer_format::{ArgKind, Batch, Columns, Definitions, ProcessId, Site, Trace};

pub(super) use follow::follow;

use super::sample::{ARGS, Fired, Life};
use crate::select::Selection;
use crate::stage::{Role, Roles, SiteUses, Stage, number_of};

/// Events of all stages together; and of one in its sample, at most: from 1024 on, decisions on recorded programs are those on
/// all events.
const MOST_OF_ALL: usize = 1 << 16;
const MOST: usize = 4096;
/// Events that are looked at for them, at most.
const LOOKED_AT: u64 = 1 << 22;

/// What was gathered.
#[derive(Debug, Clone, Default)]
pub(super) struct Gathered {
    /// Events of each stage.
    pub(super) fired: Vec<Vec<Fired>>,
    /// When each process fired.
    pub(super) lives: Vec<Life>,
    /// Of each stage, whether the trace may have more events than were looked at.
    pub(super) is_cut: Vec<bool>,
}

/// A piece of a recording that is still going on.
#[derive(Debug, Clone)]
pub enum Heard<'a> {
    /// Events, and which rows of them.
    Events(&'a Columns, Vec<Range<usize>>),
    /// Events are missing here.
    Gap,
}

/// Takes the pieces in `heard` until there are enough events of every stage.
pub(super) fn gather_heard<'a>(
    definitions: &Definitions,
    stages: &[&Stage],
    heard: impl Iterator<Item = Heard<'a>>,
) -> Gathered {
    let mut gatherer = Gatherer::new(definitions, stages);
    for piece in heard {
        match piece {
            Heard::Events(columns, rows) => {
                rows.into_iter().flatten().for_each(|row| gatherer.event(columns, row));
            }
            Heard::Gap => gatherer.gap(),
        }
        if gatherer.has_enough() {
            break;
        }
    }
    gatherer.gap();
    gatherer.finish()
}

/// Reads the selected events of `trace` until there are enough of every stage.
pub(super) fn gather(trace: &Trace<'_>, selection: &Selection, stages: &[&Stage]) -> Gathered {
    let mut gatherer = Gatherer::new(&trace.definitions, stages);
    walk(trace, selection, &mut gatherer);
    gatherer.finish()
}

/// What takes events for a sample, one after the other.
trait Gather {
    fn event(&mut self, columns: &Columns, row: usize);

    /// Events are missing here, or nothing more comes.
    fn gap(&mut self);

    fn has_enough(&self) -> bool;
}

/// Hands the selected events of `trace` to `gather` until it has enough.
fn walk(trace: &Trace<'_>, selection: &Selection, gather: &mut impl Gather) {
    // It ends with an error when there is enough; one of reading is met again by the pass over the whole.
    let _ = trace.walk(
        |block| selection.wants(block),
        1,
        |batch| {
            match batch {
                Batch::Events { columns, rows } => selection.rows(trace, columns, rows, |rows| {
                    rows.for_each(|row| gather.event(columns, row));
                    Ok(())
                })?,
                Batch::Gap(gap) if !selection.wants_gap(&gap) => {}
                Batch::Gap(_) | Batch::Damaged(_) => gather.gap(),
            }
            if gather.has_enough() { Err(()) } else { Ok(()) }
        },
    );
    gather.gap();
}

/// Reads events as what a key is chosen from.
struct EventReader<'a> {
    definitions: &'a Definitions,
    /// For each site: the stages that it ends or begins, an end first.
    uses: SiteUses<(usize, bool)>,
    lives: Vec<Life>,
    looked_at: u64,
}

struct Gatherer<'a> {
    source: EventReader<'a>,
    /// Events of each stage since the last loss, and the most that were without loss.
    current: Vec<Vec<Fired>>,
    best: Vec<Vec<Fired>>,
    /// Events of a stage that are enough.
    enough: usize,
}

impl<'a> EventReader<'a> {
    fn new(definitions: &'a Definitions, stages: &[&Stage]) -> Self {
        let roles = Roles::new(stages.iter().copied());
        let uses = |_: &Site, roles: &[Role]| {
            let of = |role: &Role| {
                let end = role.ends.map(|_| (role.stage, true));
                end.into_iter().chain(role.begins.map(|_| (role.stage, false)))
            };
            roles.iter().flat_map(of).collect()
        };
        let mut programs: HashMap<&str, u32> = HashMap::new();
        let life = |process: &'a Arc<tracer_format::Process>| {
            let next = u32::try_from(programs.len()).unwrap_or(u32::MAX);
            let program = *programs.entry(&process.program).or_insert(next);
            Life { first_ns: u64::MAX, last_ns: 0, program }
        };
        Self {
            definitions,
            uses: SiteUses::new(&definitions.sites, &roles, uses),
            lives: definitions.processes.iter().map(life).collect(),
            looked_at: 0,
        }
    }

    /// Calls `found` with each stage that the event ends or begins, an end first.
    fn read(&mut self, columns: &Columns, row: usize, mut found: impl FnMut(usize, Fired)) {
        self.looked_at += 1;
        let thread = columns.thread[row];
        let process = self.definitions.thread(thread).map_or(ProcessId::NONE, |thread| thread.process);
        if let Some(life) = self.lives.get_mut(process.index()) {
            life.first_ns = life.first_ns.min(columns.time_ns[row]);
            life.last_ns = columns.time_ns[row];
        }
        let uses = self.uses.of(columns.site[row]);
        let Some(site) = self.definitions.site(columns.site[row]).filter(|_| !uses.is_empty()) else {
            return;
        };
        let parent = self.definitions.process(process).map_or(0, |process| process.parent_pid);
        let (arity, args) = arguments(columns, row, &site.args);
        uses.iter().for_each(|&(stage, is_end)| {
            found(stage, Fired { is_end, thread, process, parent, arity, args });
        });
    }
}

impl<'a> Gatherer<'a> {
    fn new(definitions: &'a Definitions, stages: &[&Stage]) -> Self {
        Self {
            source: EventReader::new(definitions, stages),
            current: vec![Vec::new(); stages.len()],
            best: vec![Vec::new(); stages.len()],
            enough: (MOST_OF_ALL / stages.len().max(1)).min(MOST),
        }
    }

    fn finish(mut self) -> Gathered {
        let is_cut = |fired: &Vec<Fired>| self.source.looked_at >= LOOKED_AT || fired.len() >= self.enough;
        let is_cut = self.best.iter().map(is_cut).collect();
        self.best.iter_mut().for_each(Vec::shrink_to_fit);
        Gathered { fired: self.best, lives: self.source.lives, is_cut }
    }
}

impl Gather for Gatherer<'_> {
    fn has_enough(&self) -> bool {
        let enough =
            |(current, best): (&Vec<Fired>, &Vec<Fired>)| current.len().max(best.len()) >= self.enough;
        self.source.looked_at >= LOOKED_AT || self.current.iter().zip(&self.best).all(enough)
    }

    fn event(&mut self, columns: &Columns, row: usize) {
        let (current, enough) = (&mut self.current, self.enough);
        self.source.read(columns, row, |stage, fired| {
            if current[stage].len() < enough {
                current[stage].push(fired);
            }
        });
    }

    /// Events are missing here: what stands before is not paired with what comes.
    fn gap(&mut self) {
        for (current, best) in self.current.iter_mut().zip(&mut self.best) {
            if current.len() > best.len() {
                std::mem::swap(current, best);
            }
            current.clear();
        }
    }
}

/// The arguments that may be part of a key.
fn arguments(columns: &Columns, row: usize, kinds: &[ArgKind]) -> (u8, [Option<i64>; ARGS]) {
    let mut args = [None; ARGS];
    let mut arity = 0;
    let unreadable = columns.row_unreadable(row);
    for (at, (&bits, kind)) in columns.row_values(row).iter().zip(kinds).take(ARGS).enumerate() {
        arity += 1;
        args[at] = match kind {
            _ if unreadable >> at & 1 != 0 => None,
            kind if kind.is_integer() => Some(bits.cast_signed()),
            ArgKind::Str => columns.string(bits).map(number_of),
            _ => None,
        };
    }
    (arity, args)
}
