//! Read filters: which events of a trace a verb looks at.
//!
//! A [`Filter`] is what the user asked for; a [`Selection`] is what that means in one trace. Whole blocks are left out by
//! their headers, then rows.

use std::ops::Range;
use std::sync::Arc;

use tracer_format::grammar::{Moment, ProgramPattern, Request, SeqRange, requested};
use tracer_format::{
    ArgKind, BlockRef, Columns, Definitions, Gap, HostId, Known, ProcessId, Site, SiteId, Skipped,
};

use super::moment::{self, HostTimes};
use crate::Result;

/// What the user asked for; empty lists and `None` let everything through.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Probes; an event must fit one of them. How arguments are to be recorded means nothing here.
    pub probes: Vec<Request>,
    /// Process ids.
    pub pids: Vec<u32>,
    /// Programs of processes.
    pub programs: Vec<ProgramPattern>,
    /// Keys, as the log prints them.
    pub keys: Option<SeqRange>,
    /// Events before it are left out.
    pub from: Option<Moment>,
    /// Events at it and after it are left out.
    pub to: Option<Moment>,
}

/// What a [`Filter`] means in one trace.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Whether every event is selected: there is nothing to look at then.
    all: bool,
    /// Sites by id; empty if all.
    sites: Vec<bool>,
    /// Threads by id; empty if all.
    threads: Vec<bool>,
    /// What was not recorded, by id; empty if all.
    skipped: Vec<bool>,
    keys: Option<SeqRange>,
    times: HostTimes,
}

impl Selection {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self {
            all: true,
            sites: Vec::new(),
            threads: Vec::new(),
            skipped: Vec::new(),
            keys: None,
            times: HostTimes::always(),
        }
    }

    /// What `filter` means in `trace`.
    ///
    /// # Errors
    /// [`crate::Error::Missing`] for wall time in a trace without clock anchors.
    pub fn new(filter: &Filter, trace: &Known) -> Result<Self> {
        let definitions = &trace.definitions;
        let mut selection = Self { keys: filter.keys, ..Self::all() };
        if !filter.probes.is_empty() {
            let wanted = |site: &Arc<Site>| requested(&filter.probes, &site.provider, &site.probe).is_some();
            selection.sites = definitions.sites.iter().map(wanted).collect();
        }
        if !filter.pids.is_empty() || !filter.programs.is_empty() {
            let processes: Vec<bool> = definitions
                .processes
                .iter()
                .map(|process| {
                    (filter.pids.is_empty() || filter.pids.contains(&process.pid))
                        && (filter.programs.is_empty()
                            || filter.programs.iter().any(|pattern| pattern.matches(&process.program)))
                })
                .collect();
            let fits = |process: ProcessId| processes.get(process.index()).copied().unwrap_or_default();
            selection.threads = definitions.threads.iter().map(|thread| fits(thread.process)).collect();
        }
        selection.times = moment::times(filter.from, filter.to, trace)?;
        selection.skipped =
            definitions.skipped.iter().map(|skipped| selection.concerns(filter, skipped)).collect();
        selection.all = selection.sites.is_empty()
            && selection.threads.is_empty()
            && selection.keys.is_none()
            && filter.from.is_none()
            && filter.to.is_none();
        Ok(selection)
    }

    /// The selected times and threads, whatever the probe and the key.
    #[must_use]
    pub fn of_every_probe(&self) -> Self {
        let all = self.threads.is_empty() && self.times == HostTimes::always();
        Self { all, sites: Vec::new(), keys: None, ..self.clone() }
    }

    /// The same threads, probes and keys from one time to another, and no others.
    #[must_use]
    pub fn between(&self, from_ns: u64, to_ns: u64) -> Self {
        Self { all: false, times: HostTimes::between(from_ns, to_ns), ..self.clone() }
    }

    /// The selected part of the time from the first to the last event of `trace`, ns.
    #[must_use]
    pub fn time_range(&self, trace: &Known) -> (u64, u64) {
        let (first_ns, last_ns) = trace.time_range().unwrap_or_default();
        let whole = self.times.whole();
        let time = |time_ns: u128| u64::try_from(time_ns).unwrap_or(u64::MAX);
        let first_ns = first_ns.max(time(whole.start));
        (first_ns, last_ns.min(time(whole.end)).max(first_ns))
    }

    /// Whether the block may have selected events.
    #[must_use]
    pub fn wants(&self, block: &BlockRef) -> bool {
        let keyed = |keys: SeqRange| keys.overlaps(block.key_min..=block.key_max);
        self.times.touch(block.first_ns, block.last_ns) && self.keys.is_none_or(keyed)
    }

    /// Whether events of the site may be selected.
    #[must_use]
    pub fn wants_site(&self, site: SiteId) -> bool {
        self.sites.is_empty() || self.sites.get(site.index()).copied().unwrap_or_default()
    }

    /// Whether the gap overlaps the selected time.
    #[must_use]
    pub fn wants_gap(&self, gap: &Gap) -> bool {
        self.times.touch(gap.from_ns, gap.to_ns)
    }

    /// Whether something that was not recorded would be selected; what is not known of it may be anything.
    fn concerns(&self, filter: &Filter, skipped: &Skipped) -> bool {
        let (provider, probe) = (&skipped.provider, &skipped.probe);
        let program = if skipped.program.is_empty() {
            skipped.path.rsplit('/').next().unwrap_or_default()
        } else {
            &skipped.program
        };
        let is_of_probe = requested(&filter.probes, provider, probe).is_some();
        let is_of_program = filter.programs.iter().any(|pattern| pattern.matches(program));
        (filter.probes.is_empty() || probe.is_empty() || is_of_probe)
            && (filter.pids.is_empty() || skipped.pid == 0 || filter.pids.contains(&skipped.pid))
            && (filter.programs.is_empty() || program.is_empty() || is_of_program)
            && self
                .times
                .touch(skipped.from_ns, if skipped.until_ns == 0 { u64::MAX } else { skipped.until_ns })
    }

    /// What was not recorded of what is selected.
    #[must_use]
    pub fn skipped(&self, definitions: &Definitions) -> Vec<Skipped> {
        let wanted = |id: usize| self.skipped.is_empty() || self.skipped.get(id).copied().unwrap_or_default();
        let all = definitions.skipped.iter().enumerate();
        // One without a reason is a definition that is lost.
        all.filter(|(id, skipped)| wanted(*id) && !skipped.reason.is_empty())
            .map(|(_, skipped)| skipped.clone())
            .collect()
    }

    /// Calls `found` with every run of selected rows among `rows`, in order.
    ///
    /// # Errors
    /// The first error of `found`.
    pub fn rows<E>(
        &self,
        trace: &Known,
        columns: &Columns,
        rows: Range<usize>,
        mut found: impl FnMut(Range<usize>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        if self.all {
            return found(rows);
        }
        let mut run = rows.start..rows.start;
        for row in rows {
            if self.selects(&trace.definitions, columns, row) {
                run.end = row + 1;
                continue;
            }
            if !run.is_empty() {
                found(run)?;
            }
            run = row + 1..row + 1;
        }
        if run.is_empty() { Ok(()) } else { found(run) }
    }

    /// Whether a row is selected.
    pub(crate) fn selects(&self, definitions: &Definitions, columns: &Columns, row: usize) -> bool {
        let time_ns = columns.time_ns[row];
        let listed =
            |list: &[bool], id: u32| list.is_empty() || list.get(id as usize).copied().unwrap_or_default();
        let process =
            || definitions.process_of(columns.thread[row]).map_or(HostId::NONE, |process| process.host);
        let host = if self.times.is_of_every_host() { HostId::NONE } else { process() };
        self.times.contain(host, time_ns)
            && listed(&self.sites, columns.site[row].0)
            && listed(&self.threads, columns.thread[row].0)
            && self.keys.is_none_or(|keys| {
                let key = columns.key(row, definitions);
                let site = definitions.site(columns.site[row]);
                let kind = site.and_then(|site| site.args.get(site.key_index()?));
                let unsigned = matches!(kind, Some(ArgKind::Unsigned(_)));
                key.is_some_and(|bits| keys.contains(bits, unsigned))
            })
    }
}
