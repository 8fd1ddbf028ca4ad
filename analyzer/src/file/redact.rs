//! A trace that can be handed to others: the same events, without what tells where, by whom and on what they were recorded.
//!
//! Each text of each definition and event is left out, stands as a pseudonym, or, if it is a name, stays. Nothing is copied as
//! bytes, so what a later version of the format stores besides is left out too. Ids, times and numbers stay, and with them every figure.

mod cover;
mod name_rule;
mod pseudonym;

use std::io::Write;

use tracer_format::{ArgKind, Batch, Columns, Definition, Definitions, Firing, Gap, SiteId, Trace, Writer};

use crate::select::{Outcome, Selection};
use crate::{Error, Result};

use super::damage::{gap_of, gaps_of};
use cover::Cover;

/// What the tool of a redacted trace is called at the end.
const REDACTED: &str = ", redacted";

/// Whether a trace, or a part of it, was redacted.
pub(super) fn is_redacted(definitions: &Definitions) -> bool {
    definitions.hosts.iter().any(|host| host.tool.ends_with(REDACTED))
}

/// How a trace is redacted.
#[derive(Debug, Clone, Copy)]
pub struct Redaction<'s> {
    /// Key of the hash that makes pseudonyms: with the same one they are the same in several traces.
    pub secret: &'s [u8],
    /// Whether names of programs, providers, probes and stages are replaced too.
    pub names: bool,
    /// Whether integers in arguments are replaced too: keys are among them.
    pub keys: bool,
    /// Name and version of the tool that writes the trace.
    pub tool: &'s str,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Redacted {
    /// Events that were written, and what is missing among them.
    pub outcome: Outcome,
    /// Names that were to stay and were replaced, as they hold the name of a host or a user; in order.
    pub telling: Vec<String>,
}

/// Writes all of `trace` to `writer`, redacted; the caller finishes it.
///
/// # Errors
/// [`Error::Format`] if the writer fails. Damage is no error: it is in the outcome.
pub fn redact<W: Write>(trace: &Trace<'_>, how: &Redaction<'_>, writer: &mut Writer<W>) -> Result<Redacted> {
    let definitions = &trace.definitions;
    let mut copying =
        Copying { definitions, cover: Cover::new(definitions, how), sites: Vec::new(), values: Vec::new() };
    copying.define(writer)?;
    for anchor in &trace.clocks {
        writer.clock(*anchor)?;
    }
    let mut outcome = Outcome::of(trace, &Selection::all());
    gaps_of(trace).into_iter().try_for_each(|gap| writer.gap(gap))?;
    let threads = trace.threads();
    trace.walk(
        |_| true,
        threads,
        |batch| -> Result<()> {
            match batch {
                Batch::Events { columns, mut rows } => {
                    outcome.events += rows.len() as u64;
                    rows.try_for_each(|row| copying.event(columns, row, writer))?;
                }
                Batch::Gap(gap) => {
                    let site = copying.site(gap.site).map_or(Gap::ANY_SITE, |site| site.id);
                    writer.gap(Gap { site, ..gap })?;
                }
                Batch::Damaged(range) => {
                    outcome.damage.push(range);
                    writer.gap(gap_of(&range, trace))?;
                }
            }
            Ok::<(), Error>(())
        },
    )?;
    Ok(Redacted { outcome, telling: copying.cover.telling() })
}

/// A site in the new trace.
#[derive(Debug, Clone, Copy)]
struct NewSite {
    id: SiteId,
    /// Arguments that are replaced, a bit each.
    replaced: u16,
}

/// A trace on its way.
struct Copying<'d> {
    definitions: &'d Definitions,
    cover: Cover,
    /// None for one whose definition is lost.
    sites: Vec<Option<NewSite>>,
    values: Vec<u64>,
}

impl Copying<'_> {
    /// Writes all definitions; but for sites their ids stay.
    fn define<W: Write>(&mut self, writer: &mut Writer<W>) -> Result<()> {
        let Self { definitions, cover, .. } = self;
        for host in &definitions.hosts {
            writer.host(cover.host(host))?;
        }
        for process in &definitions.processes {
            writer.process(cover.process(process))?;
        }
        for thread in &definitions.threads {
            writer.thread(*thread)?;
        }
        for site in &definitions.sites {
            let replaced = cover.replaced(site);
            let new =
                if site.probe.is_empty() { None } else { Some(writer.site(cover.site(site, replaced))?) };
            self.sites.push(new.map(|id| NewSite { id, replaced }));
        }
        for stage in &definitions.stages {
            writer.define(Definition::Stage(cover.stage(stage)))?;
        }
        for exit in &definitions.exits {
            writer.define(Definition::Exit(*exit))?;
        }
        if let Some(cost) = definitions.cost {
            writer.define(Definition::Cost(cost))?;
        }
        for skipped in &definitions.skipped {
            writer.define(Definition::Skipped(cover.skipped(skipped)))?;
        }
        Ok(())
    }

    fn site(&self, old: SiteId) -> Option<NewSite> {
        self.sites.get(old.index()).copied().flatten()
    }

    fn event<W: Write>(&mut self, columns: &Columns, row: usize, writer: &mut Writer<W>) -> Result<()> {
        let event = columns.event(row);
        // A block whose sites are not defined is damage.
        let (Some(old), Some(new)) = (self.definitions.site(event.site), self.site(event.site)) else {
            return Ok(());
        };
        let mut unreadable = columns.row_unreadable(row);
        self.values.clear();
        for (arg, (&bits, kind)) in columns.row_values(row).iter().zip(old.args.iter()).enumerate() {
            let bit = 1 << arg;
            let value = match kind {
                // It may be anything, also what was there.
                _ if unreadable & bit != 0 => None,
                ArgKind::Unknown(_) => None,
                ArgKind::Str => columns.string(bits).map(|string| {
                    let text = self.cover.string(string);
                    if columns.is_cut(bits) { writer.intern_cut(&text) } else { writer.intern(&text) }
                }),
                _ if new.replaced & bit != 0 => Some(self.cover.number(bits)),
                _ => Some(bits),
            };
            unreadable |= if value.is_none() { bit } else { 0 };
            self.values.push(value.unwrap_or_default());
        }
        let (time_ns, thread, cpu) = (event.time_ns, event.thread, event.cpu);
        writer.push(&Firing { time_ns, thread, site: new.id, cpu, unreadable, values: &self.values })?;
        Ok(())
    }
}
