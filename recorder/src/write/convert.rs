//! Raw events and losses become firings and gaps of the trace: with threads, values and strings.

use std::io::Write;
use std::ops::RangeInclusive;

use tracer_format::{Firing, Gap, HostId, Result, Site, Writer};

use crate::drain::loss::Loss;
use crate::kernel::raw::Raw;
use crate::site::plan::{Plan, PlannedSite, Values};
use crate::write::threads::Threads;

/// A site in the writing thread, with its counts.
#[derive(Debug, Clone)]
pub struct WrittenSite {
    /// How its values are made.
    pub plan: Plan,
    /// What the trace says of it.
    pub site: Site,
    /// Events written.
    pub recorded: u64,
    /// Events lost.
    pub lost: u64,
}

/// Converts raw events and losses.
#[derive(Debug)]
pub(super) struct Converter {
    /// All sites, by the index that their events carry, which is also their id in the trace.
    pub(super) sites: Vec<WrittenSite>,
    pub(super) threads: Threads,
    losses: Vec<Loss>,
    values: Values,
}

impl Converter {
    pub(super) fn new(threads: Threads) -> Self {
        Self { sites: Vec::new(), threads, losses: Vec::new(), values: Values::default() }
    }

    pub(super) fn add_site(&mut self, PlannedSite { plan, site }: PlannedSite) {
        self.sites.push(WrittenSite { plan, site, recorded: 0, lost: 0 });
    }

    /// Writes an event of a site; false if its program is not recorded.
    ///
    /// # Errors
    /// When the trace cannot be written.
    pub(super) fn event<W: Write>(&mut self, raw: &Raw<'_>, writer: &mut Writer<W>) -> Result<bool> {
        let Some(site) = self.sites.get_mut(raw.site.index()) else { return Ok(false) };
        let Some(thread) = self.threads.id(raw, &site.site.program, writer)? else { return Ok(false) };
        site.recorded += 1;
        site.plan.values(raw, &mut self.values, |text, is_cut| {
            if is_cut { writer.intern_cut(text) } else { writer.intern(text) }
        });
        let Values { values, unreadable, .. } = &self.values;
        writer.push_unsealed(&Firing {
            time_ns: raw.time_ns,
            thread,
            site: raw.site,
            cpu: raw.cpu,
            unreadable: *unreadable,
            values,
        })?;
        Ok(true)
    }

    /// Adds losses. They wait until all events before them are written.
    pub(super) fn add_losses(&mut self, losses: &mut Vec<Loss>) {
        self.losses.append(losses);
    }

    /// The gaps that end by `until_ns` and overlap `span`.
    pub(super) fn gaps(&mut self, until_ns: u64, span: &RangeInclusive<u64>) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        self.losses.retain(|loss| {
            let due = loss.last_ns <= until_ns;
            if due && loss.last_ns >= *span.start() && loss.first_ns <= *span.end() {
                gaps.push(gap(loss));
            }
            !due
        });
        gaps.sort_by_key(|gap| (gap.to_ns, gap.from_ns, gap.cpu, gap.site));
        for gap in &gaps {
            if let Some(site) = self.sites.get_mut(gap.site.index()) {
                site.lost += gap.count;
            }
        }
        gaps
    }
}

fn gap(loss: &Loss) -> Gap {
    Gap {
        host: HostId(0),
        cpu: loss.cpu,
        site: loss.site,
        from_ns: loss.first_ns,
        to_ns: loss.last_ns,
        count: loss.count,
    }
}
