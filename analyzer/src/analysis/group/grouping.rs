//! Tells spans apart while they pass.

use std::io;
use std::ops::Range;

use tracer_format::{ArgKind, Columns, Definitions, Site, ThreadId};

use super::by::GroupBy;
use super::table::{GroupTable, MAX_ALL_VALUES};
use super::value::{argument, text};
use super::waiting::{Value, Waiting};
use crate::pair::{Class, Found, Point, Sink, Span};
use crate::stage::{Role, Roles, SiteUses, Stage};

/// Tells the spans of stages apart by values.
#[derive(Debug)]
pub struct Grouping<'a> {
    definitions: &'a Definitions,
    tables: Vec<(GroupBy, GroupTable)>,
    /// For each site, what its events tell.
    sites: SiteUses<Told>,
    /// For each stage, its tables.
    of_stage: Vec<Vec<u32>>,
    waiting: Waiting,
    values: usize,
}

/// That the events of a site have the value for a table.
#[derive(Debug, Clone, Copy)]
struct Told {
    table: u32,
    /// `None` for the processor.
    argument: Option<(usize, ArgKind)>,
}

impl<'a> Grouping<'a> {
    /// Nothing yet; a table for each of `wanted`, a stage by its number and what to tell its spans apart by.
    #[must_use]
    pub fn new(stages: &[Stage], definitions: &'a Definitions, wanted: &[(u32, GroupBy)]) -> Self {
        let mut of_stage = vec![Vec::new(); stages.len()];
        for (table, &(stage, _)) in (0..).zip(wanted) {
            of_stage[stage as usize].push(table);
        }
        let roles = Roles::new(stages);
        // The ends tell only where no begin does.
        let mut begin_tells = vec![false; wanted.len()];
        let all_roles =
            definitions.sites.iter().flat_map(|site| roles.of(site).iter().map(move |role| (site, role)));
        for (site, role) in all_roles {
            for &table in of_stage[role.stage].iter().filter(|_| role.begins.is_some()) {
                begin_tells[table as usize] |= argument(wanted[table as usize].1, site).is_some();
            }
        }
        let told = |site: &Site, roles: &[Role]| {
            let of_role = |role: &Role| {
                let tables = of_stage[role.stage].iter();
                let told = tables.filter_map(|&table| {
                    let by = wanted[table as usize].1;
                    tells(by, *role, site, begin_tells[table as usize])
                        .map(|argument| Told { table, argument })
                });
                told.collect::<Vec<_>>()
            };
            let mut told: Vec<Told> = roles.iter().flat_map(of_role).collect();
            told.sort_by_key(|told| told.table);
            told
        };
        let sites = SiteUses::new(&definitions.sites, &roles, told);
        let table = |&(stage, by)| (by, GroupTable::new(stage));
        Self {
            definitions,
            tables: wanted.iter().map(table).collect(),
            sites,
            of_stage,
            waiting: Waiting::default(),
            values: 0,
        }
    }

    /// The tables, when nothing more comes, in the order in which they were asked for.
    #[must_use]
    pub fn tables(self) -> Vec<GroupTable> {
        self.tables.into_iter().map(|(_, table)| table.finish()).collect()
    }

    /// The number of `value` in a table; `None` if there is no room.
    fn number(&mut self, table: u32, value: &str) -> Value {
        let groups = &mut self.tables[table as usize].1;
        let known = groups.groups.len();
        let number = groups.number(value, self.values < MAX_ALL_VALUES);
        self.values += groups.groups.len() - known;
        number
    }

    /// What stands for the thread of a span's begin; `None` if it stands at an event.
    fn of_thread(&self, by: GroupBy, thread: ThreadId) -> Option<String> {
        let thread = self.definitions.thread(thread)?;
        let process = self.definitions.process(thread.process)?;
        match by {
            GroupBy::Pid => Some(format!("{} {}", process.pid, process.program)),
            GroupBy::Tid => Some(format!("{} {}", thread.tid, process.program)),
            GroupBy::Program => Some(process.program.to_string()),
            GroupBy::Cpu | GroupBy::Arg(_) | GroupBy::Str | GroupBy::Sql => None,
        }
    }
}

/// Whether the events of `site`, which has this role in a stage, have the value for a table of it, and where.
fn tells(by: GroupBy, role: Role, site: &Site, begin_tells: bool) -> Option<Option<(usize, ArgKind)>> {
    if by == GroupBy::Cpu {
        return role.begins.map(|_| None);
    }
    let position = if begin_tells { role.begins } else { role.ends };
    let argument = argument(by, site).filter(|_| position.is_some())?;
    Some(Some((argument, site.args[argument])))
}

impl Sink for Grouping<'_> {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        if self.tables.is_empty() {
            return Ok(());
        }
        for row in rows {
            for at in 0..self.sites.of(columns.site[row]).len() {
                let Told { table, argument } = self.sites.of(columns.site[row])[at];
                let value = match argument {
                    None => Some(columns.cpu[row].to_string()),
                    Some((arg, kind)) => {
                        text(columns, row, arg, kind, self.tables[table as usize].0 == GroupBy::Sql)
                    }
                };
                let Some(value) = value else { continue };
                let number = self.number(table, &value);
                let at = Point { time_ns: columns.time_ns[row], thread: columns.thread[row] };
                self.waiting.add(table, at, number);
            }
        }
        Ok(())
    }

    fn takes_usual_keys(&self) -> bool {
        self.tables.is_empty()
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        if self.tables.is_empty() { Ok(()) } else { found.hand_on(self) }
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        for at in 0..self.of_stage[span.stage as usize].len() {
            let table = self.of_stage[span.stage as usize][at];
            let by = self.tables[table as usize].0;
            let of_thread = span.begin.and_then(|begin| self.of_thread(by, begin.thread));
            let value = match of_thread {
                Some(value) => Some(self.number(table, &value)),
                None => {
                    let mut taken = [span.begin, span.end].map(|at| self.waiting.take(table, at?));
                    taken[0].take().or(taken[1])
                }
            };
            let (Class::Complete, Some(latency_ns)) = (span.class, span.latency_ns()) else { continue };
            let groups = &mut self.tables[table as usize].1;
            match value {
                Some(Some(number)) => groups.groups[number].latency.add(latency_ns),
                Some(None) => groups.others.add(latency_ns),
                None => groups.without.add(latency_ns),
            }
        }
        Ok(())
    }
}
