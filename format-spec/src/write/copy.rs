//! Copies events from traces into a new one: what `repair`, `merge`, `cut` and the flight recorder do.
//!
//! Ids are given anew; hosts, processes, threads and sites that are the same in several sources become one.

use std::collections::{HashMap, HashSet};
use std::io::Write;

use super::Writer;
use crate::error::Result;
use crate::model::{
    ArgKind, ClockAnchor, Columns, Definition, Definitions, Exit, Firing, Gap, Host, HostId, Process,
    ProcessId, Site, SiteId, Skipped, StageDef, Thread, ThreadId,
};

/// What the new trace has already; one for all sources of a copy.
#[derive(Debug, Default)]
pub struct Copier {
    hosts: HashMap<(String, String), HostId>,
    processes: HashMap<Process, ProcessId>,
    threads: HashMap<Thread, ThreadId>,
    sites: HashMap<Site, SiteId>,
    stages: Vec<StageDef>,
    skipped: HashSet<Skipped>,
}

/// How ids and times of one source become those of the new trace.
#[derive(Debug, Clone)]
pub struct Source<'s> {
    definitions: &'s Definitions,
    hosts: Vec<HostId>,
    /// None for a site that is not wanted.
    sites: Vec<Option<SiteId>>,
    processes: Vec<Option<ProcessId>>,
    threads: Vec<Option<ThreadId>>,
    shift_ns: i64,
    values: Vec<u64>,
}

impl Copier {
    /// Begins to copy from a source: defines its hosts, its stages and those sites whose ids `wanted` picks. Times are
    /// shifted by `shift_ns`; processes and threads are defined when their first event comes.
    ///
    /// # Errors
    /// As [`Writer::define`].
    pub fn source<'s, W: Write>(
        &mut self,
        definitions: &'s Definitions,
        shift_ns: i64,
        wanted: impl Fn(SiteId) -> bool,
        writer: &mut Writer<W>,
    ) -> Result<Source<'s>> {
        let mut source = Source {
            definitions,
            hosts: Vec::new(),
            sites: Vec::new(),
            processes: vec![None; definitions.processes.len()],
            threads: vec![None; definitions.threads.len()],
            shift_ns,
            values: Vec::new(),
        };
        for host in &definitions.hosts {
            source.hosts.push(self.host(host, writer)?);
        }
        for (id, site) in (0..).zip(&definitions.sites) {
            // The definition of a site without a name is lost, and with it all of its events.
            let copied = !site.probe.is_empty() && wanted(SiteId(id));
            let shifted = |found_ns: u64| match found_ns {
                0 => 0,
                found_ns => found_ns.saturating_add_signed(shift_ns),
            };
            let site = Site { found_ns: shifted(site.found_ns), ..site.clone() };
            source.sites.push(if copied { Some(self.site(&site, writer)?) } else { None });
        }
        for stage in &definitions.stages {
            if !self.stages.contains(stage) {
                self.stages.push(stage.clone());
                writer.define(Definition::Stage(stage.clone()))?;
            }
        }
        Ok(source)
    }

    /// Copies row `row` of `columns`; an event of a site that was not wanted is left out.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub fn event<W: Write>(
        &mut self,
        source: &mut Source<'_>,
        columns: &Columns,
        row: usize,
        writer: &mut Writer<W>,
    ) -> Result<()> {
        let event = columns.event(row);
        let site = source.sites.get(event.site.index()).copied().flatten();
        let definitions = source.definitions;
        let (Some(old_site), Some(process)) =
            (definitions.site(event.site), definitions.process_of(event.thread))
        else {
            return Ok(());
        };
        let Some(site) = site else { return Ok(()) };
        let thread = match source.threads[event.thread.index()] {
            Some(thread) => thread,
            None => self.thread(source, event.thread, process, writer)?,
        };
        source.values.clear();
        source.values.extend_from_slice(columns.row_values(row));
        let mut unreadable = columns.row_unreadable(row);
        for (arg, (value, kind)) in source.values.iter_mut().zip(&old_site.args).enumerate() {
            match kind {
                ArgKind::Str => {
                    let string = columns.string(*value).unwrap_or_default();
                    let is_cut = columns.is_cut(*value);
                    *value = if is_cut { writer.intern_cut(string) } else { writer.intern(string) };
                }
                // What its values may refer to is not copied.
                ArgKind::Unknown(_) => unreadable |= 1 << arg,
                _ => {}
            }
        }
        writer.push(&Firing {
            time_ns: event.time_ns.saturating_add_signed(source.shift_ns),
            thread,
            site,
            cpu: event.cpu,
            unreadable,
            values: &source.values,
        })
    }

    /// Copies a gap.
    ///
    /// # Errors
    /// As [`Writer::gap`].
    pub fn gap<W: Write>(&mut self, source: &Source<'_>, gap: &Gap, writer: &mut Writer<W>) -> Result<()> {
        let site = match source.sites.get(gap.site.index()) {
            Some(&None) => return Ok(()),
            Some(&Some(site)) => site,
            None => Gap::ANY_SITE,
        };
        writer.gap(Gap {
            host: source.host(gap.host),
            site,
            from_ns: gap.from_ns.saturating_add_signed(source.shift_ns),
            to_ns: gap.to_ns.saturating_add_signed(source.shift_ns),
            ..*gap
        })
    }

    /// Copies a clock anchor. Its CLOCK_MONOTONIC is shifted as the events are, so that wall times stay right.
    ///
    /// # Errors
    /// As [`Writer::clock`].
    pub fn clock<W: Write>(
        &mut self,
        source: &Source<'_>,
        anchor: &ClockAnchor,
        writer: &mut Writer<W>,
    ) -> Result<()> {
        let monotonic_ns = anchor.monotonic_ns.saturating_add_signed(source.shift_ns);
        writer.clock(ClockAnchor { host: source.host(anchor.host), monotonic_ns, ..*anchor })
    }

    /// Copies something that was not recorded, unless another source said the same.
    ///
    /// # Errors
    /// As [`Writer::define`].
    pub fn skipped<W: Write>(
        &mut self,
        source: &Source<'_>,
        skipped: &Skipped,
        writer: &mut Writer<W>,
    ) -> Result<()> {
        let shifted = |time_ns: u64| match time_ns {
            0 => 0,
            time_ns => time_ns.saturating_add_signed(source.shift_ns),
        };
        let skipped = Skipped {
            host: source.host(skipped.host),
            from_ns: shifted(skipped.from_ns),
            until_ns: shifted(skipped.until_ns),
            ..skipped.clone()
        };
        if self.skipped.contains(&skipped) {
            return Ok(());
        }
        writer.define(Definition::Skipped(skipped.clone()))?;
        self.skipped.insert(skipped);
        Ok(())
    }

    /// Copies the ends of processes and the cost, once the events of a source are copied.
    ///
    /// # Errors
    /// As [`Writer::define`].
    pub fn finish<W: Write>(&mut self, source: &Source<'_>, writer: &mut Writer<W>) -> Result<()> {
        for exit in &source.definitions.exits {
            if let Some(&Some(process)) = source.processes.get(exit.process.index()) {
                let time_ns = exit.time_ns.saturating_add_signed(source.shift_ns);
                writer.define(Definition::Exit(Exit { process, time_ns, ..*exit }))?;
            }
        }
        source.definitions.cost.map_or(Ok(()), |cost| writer.define(Definition::Cost(cost)).map(drop))
    }

    fn host<W: Write>(&mut self, host: &Host, writer: &mut Writer<W>) -> Result<HostId> {
        let key = (host.name.clone(), host.boot_id.clone());
        if let Some(&id) = self.hosts.get(&key) {
            return Ok(id);
        }
        let id = writer.host(host.clone())?;
        self.hosts.insert(key, id);
        Ok(id)
    }

    fn site<W: Write>(&mut self, site: &Site, writer: &mut Writer<W>) -> Result<SiteId> {
        if let Some(&id) = self.sites.get(site) {
            return Ok(id);
        }
        let id = writer.site(site.clone())?;
        self.sites.insert(site.clone(), id);
        Ok(id)
    }

    fn thread<W: Write>(
        &mut self,
        source: &mut Source<'_>,
        old: ThreadId,
        process: &Process,
        writer: &mut Writer<W>,
    ) -> Result<ThreadId> {
        let thread = source.definitions.threads[old.index()];
        let process = match source.processes[thread.process.index()] {
            Some(id) => id,
            None => {
                let process = Process { host: source.host(process.host), ..process.clone() };
                let id = match self.processes.get(&process) {
                    Some(&id) => id,
                    None => {
                        let id = writer.process(process.clone())?;
                        self.processes.insert(process, id);
                        id
                    }
                };
                source.processes[thread.process.index()] = Some(id);
                id
            }
        };
        let thread = Thread { process, ..thread };
        let id = match self.threads.get(&thread) {
            Some(&id) => id,
            None => {
                let id = writer.thread(thread)?;
                self.threads.insert(thread, id);
                id
            }
        };
        source.threads[old.index()] = Some(id);
        Ok(id)
    }
}

impl Source<'_> {
    fn host(&self, old: HostId) -> HostId {
        self.hosts.get(old.index()).copied().unwrap_or_default()
    }
}
