//! Copies events from traces into a new one: what `repair`, `merge`, `cut` and the flight recorder do.
//!
//! Ids are given anew; hosts, processes, threads and sites that are the same in several sources become one.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::Arc;

use super::repeats::Repeats;
use super::{Shift, Writer};
use crate::error::Result;
use crate::model::{
    ArgKind, ClockAnchor, Columns, Definition, Definitions, Exit, Firing, Gap, Host, HostId, Process,
    ProcessId, Site, SiteId, Skipped, StageDef, Thread, ThreadId,
};

/// What the new trace has already; one for all sources of a copy.
#[derive(Debug, Default)]
pub struct Copier {
    hosts: HashMap<(Arc<str>, Arc<str>), HostId>,
    processes: HashMap<Arc<Process>, ProcessId>,
    threads: HashMap<Thread, ThreadId>,
    sites: HashMap<Arc<Site>, SiteId>,
    stages: HashSet<StageDef>,
    skipped: HashSet<Skipped>,
    sources: usize,
    /// What sources have in common, if that is looked for.
    repeats: Option<Repeats>,
    /// No other source has an event before it, from now on.
    others_ns: u64,
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
    shift: Shift,
    values: Vec<u64>,
    /// Its number among the sources.
    number: usize,
}

impl Copier {
    /// A copier that takes events and gaps once which several sources have in common. Events must come in the order of their
    /// times.
    #[must_use]
    pub fn each_once() -> Self {
        Self { repeats: Some(Repeats::default()), ..Self::default() }
    }

    /// Tells that what is copied next has no other source before `time_ns` on the clock of the new trace: an event that no other one
    /// can have need not be looked for.
    pub fn others_from(&mut self, time_ns: u64) {
        self.others_ns = time_ns;
    }

    /// Events that may be in several sources, and were copied from each: too many of one time to be compared.
    #[must_use]
    pub fn not_compared(&self) -> u64 {
        self.repeats.as_ref().map_or(0, |repeats| repeats.not_compared)
    }

    /// Begins to copy from a source: defines its hosts, its stages and those sites whose ids `wanted` picks. Times are
    /// shifted by `shift`; processes and threads are defined when their first event comes.
    ///
    /// # Errors
    /// As [`Writer::define`].
    pub fn source<'s, W: Write>(
        &mut self,
        definitions: &'s Definitions,
        shift: impl Into<Shift>,
        wanted: impl Fn(SiteId) -> bool,
        writer: &mut Writer<W>,
    ) -> Result<Source<'s>> {
        let mut source = Source {
            definitions,
            hosts: Vec::new(),
            sites: Vec::new(),
            processes: vec![None; definitions.processes.len()],
            threads: vec![None; definitions.threads.len()],
            shift: shift.into(),
            values: Vec::new(),
            number: self.sources,
        };
        self.sources += 1;
        for host in &definitions.hosts {
            source.hosts.push(self.host(host, writer)?);
        }
        for (id, site) in (0..).zip(&definitions.sites) {
            // The definition of a site without a name is lost, and with it all of its events.
            let copied = !site.probe.is_empty() && wanted(SiteId(id));
            // Both traces have the same one, unless it changes.
            let mut site = site.clone();
            let found_ns = Some(site.found_ns).filter(|found_ns| *found_ns > 0);
            let shifted_ns = found_ns.map_or(0, |found_ns| source.shift.apply(found_ns));
            if shifted_ns != site.found_ns {
                Arc::make_mut(&mut site).found_ns = shifted_ns;
            }
            source.sites.push(if copied { Some(self.site(&site, writer)?) } else { None });
        }
        for stage in &definitions.stages {
            if self.stages.insert(stage.clone()) {
                writer.define(Definition::Stage(stage.clone()))?;
            }
        }
        Ok(source)
    }

    /// Copies row `row` of `columns`; false if it is left out: its site was not wanted, or another source had the same event.
    ///
    /// # Errors
    /// As [`Writer::push`].
    pub fn event<W: Write>(
        &mut self,
        source: &mut Source<'_>,
        columns: &Columns,
        row: usize,
        writer: &mut Writer<W>,
    ) -> Result<bool> {
        let event = columns.event(row);
        let site = source.sites.get(event.site.index()).copied().flatten();
        let definitions = source.definitions;
        let Some(old_site) = definitions.site(event.site) else { return Ok(false) };
        if definitions.process_of(event.thread).is_none() {
            return Ok(false);
        }
        let Some(site) = site else { return Ok(false) };
        let thread = match source.threads[event.thread.index()] {
            Some(thread) => thread,
            None => self.thread(source, event.thread, writer)?,
        };
        source.values.clear();
        source.values.extend_from_slice(columns.row_values(row));
        let mut unreadable = columns.row_unreadable(row);
        for (arg, (value, kind)) in source.values.iter_mut().zip(old_site.args.iter()).enumerate() {
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
        let time_ns = source.shift.apply(event.time_ns);
        if let Some(repeats) = &mut self.repeats
            && (time_ns >= self.others_ns || repeats.has_seen(time_ns))
        {
            let fired = u64::from(thread.0) | u64::from(site.0) << 32;
            let how = u64::from(event.cpu) | u64::from(unreadable) << 16;
            let mut identity = repeats.identity().and(fired).and(how);
            for (&value, kind) in columns.row_values(row).iter().zip(old_site.args.iter()) {
                identity = match (kind, columns.string(value)) {
                    (ArgKind::Str, Some(text)) => identity.and(columns.is_cut(value).into()).and_bytes(text),
                    (ArgKind::Str, None) => identity.and(u64::MAX),
                    _ => identity.and(value),
                };
            }
            if repeats.event(source.number, time_ns, identity) {
                return Ok(false);
            }
        }
        writer.push(&Firing { time_ns, thread, site, cpu: event.cpu, unreadable, values: &source.values })?;
        Ok(true)
    }

    /// Copies a gap; false if it is left out: its site was not wanted, or another source had the same gap.
    ///
    /// # Errors
    /// As [`Writer::gap`].
    pub fn gap<W: Write>(&mut self, source: &Source<'_>, gap: &Gap, writer: &mut Writer<W>) -> Result<bool> {
        let site = match source.sites.get(gap.site.index()) {
            Some(&None) => return Ok(false),
            Some(&Some(site)) => site,
            None => Gap::ANY_SITE,
        };
        let from_ns = source.shift.apply(gap.from_ns);
        // Where the clock was set back meanwhile, it lasts as long as it did.
        let lasted_ns = gap.to_ns.saturating_sub(gap.from_ns);
        let to_ns = source.shift.apply(gap.to_ns).max(from_ns.saturating_add(lasted_ns));
        let gap = Gap { host: source.host(gap.host), site, from_ns, to_ns, ..*gap };
        if self.repeats.as_mut().is_some_and(|repeats| repeats.gap(source.number, gap)) {
            return Ok(false);
        }
        writer.gap(gap)?;
        Ok(true)
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
        let monotonic_ns = source.shift.apply(anchor.monotonic_ns);
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
            time_ns => source.shift.apply(time_ns),
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
                let time_ns = source.shift.apply(exit.time_ns);
                writer.define(Definition::Exit(Exit { process, time_ns, ..*exit }))?;
            }
        }
        source.definitions.cost.map_or(Ok(()), |cost| writer.define(Definition::Cost(cost)).map(drop))
    }

    fn host<W: Write>(&mut self, host: &Arc<Host>, writer: &mut Writer<W>) -> Result<HostId> {
        let key = (host.name.clone(), host.boot_id.clone());
        if let Some(&id) = self.hosts.get(&key) {
            return Ok(id);
        }
        let id = writer.host(host.clone())?;
        self.hosts.insert(key, id);
        Ok(id)
    }

    fn site<W: Write>(&mut self, site: &Arc<Site>, writer: &mut Writer<W>) -> Result<SiteId> {
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
        writer: &mut Writer<W>,
    ) -> Result<ThreadId> {
        let thread = source.definitions.threads[old.index()];
        let process = match source.processes[thread.process.index()] {
            Some(id) => id,
            None => {
                let mut process = source.definitions.processes[thread.process.index()].clone();
                let host = source.host(process.host);
                if host != process.host {
                    Arc::make_mut(&mut process).host = host;
                }
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
