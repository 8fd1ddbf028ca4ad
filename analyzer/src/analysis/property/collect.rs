//! Gathers the properties of spans while they pass, in bounded memory.

use std::io;
use std::ops::Range;

use tracer_format::{ArgKind, Columns, Definitions, Site};

use super::own::Openings;
use super::sampled::{BeginValues, SampledSpan, SpanSample};
use super::value::{ARGS, PropertyValue, Texts};
use crate::pair::{Class, Point, Side, Sink, Span};
use crate::stage::{ProbeName, Stage};

/// Spans that are kept of all stages together; and of one, at most and at least.
const MOST_OF_ALL: usize = 1 << 17;
const MOST: usize = 1 << 13;
const LEAST: usize = 1 << 9;

/// Gathers the properties of some spans of each stage.
#[derive(Debug)]
pub struct Properties<'a> {
    pub(super) definitions: &'a Definitions,
    pub(super) samples: Vec<SpanSample>,
    pub(super) texts: Texts,
    /// For each site, what its events tell.
    sites: Vec<Vec<SiteUse>>,
    /// Of each nested stage, what is open.
    openings: Vec<Option<Openings>>,
    /// When each thread fired last.
    fired_ns: Vec<Option<u64>>,
    /// What ends tell, of the events of which the spans come next; in the order of time.
    ends: Vec<EndValues>,
}

/// What the events of a site are to a stage, and the arguments that they tell.
#[derive(Debug, Clone)]
struct SiteUse {
    stage: u32,
    side: Side,
    args: Vec<(usize, ArgKind)>,
}

#[derive(Debug)]
struct EndValues {
    stage: u32,
    at: Point,
    args: [PropertyValue; ARGS],
}

impl<'a> Properties<'a> {
    /// Nothing yet of the spans of `stages`.
    #[must_use]
    pub fn new(stages: &[Stage], definitions: &'a Definitions) -> Self {
        let most = (MOST_OF_ALL / stages.len().max(1)).clamp(LEAST, MOST);
        let arity = |stage: &Stage| {
            let begins = definitions.sites.iter().filter(|site| is_of(&stage.begins, site));
            begins.map(|site| site.args.len()).min().unwrap_or_default()
        };
        let arities: Vec<usize> = stages.iter().map(arity).collect();
        let uses = |site: &Site| {
            let of =
                |((number, stage), &arity): ((u32, &Stage), &usize)| site_uses(number, stage, site, arity);
            (0..).zip(stages).zip(&arities).flat_map(of).collect()
        };
        Self {
            definitions,
            samples: stages.iter().map(|_| SpanSample::new(most)).collect(),
            texts: Texts::default(),
            sites: definitions.sites.iter().map(uses).collect(),
            openings: stages.iter().map(|stage| stage.nested.then(Openings::default)).collect(),
            fired_ns: vec![None; definitions.threads.len()],
            ends: Vec::new(),
        }
    }

    /// The arguments of an event, those at the positions that its site tells.
    fn arguments(
        &mut self,
        columns: &Columns,
        row: usize,
        (site, used): (usize, usize),
    ) -> [PropertyValue; ARGS] {
        let mut args = [PropertyValue::Missing; ARGS];
        for &(arg, kind) in &self.sites[site][used].args {
            args[arg] = self.texts.argument(columns, row, (arg, kind));
        }
        args
    }

    fn event(&mut self, columns: &Columns, row: usize, site: usize) {
        let at = Point { time_ns: columns.time_ns[row], thread: columns.thread[row] };
        let fired_ns = self.fired_ns.get_mut(at.thread.index());
        let before_ns = fired_ns.and_then(|fired_ns| fired_ns.replace(at.time_ns));
        for used in 0..self.sites[site].len() {
            let SiteUse { stage, side, .. } = self.sites[site][used];
            if side == Side::End {
                let args = self.arguments(columns, row, (site, used));
                self.ends.push(EndValues { stage, at, args });
            } else if self.samples[stage as usize].wants(at.time_ns) {
                let args = self.arguments(columns, row, (site, used));
                let pause_ns = before_ns.map(|before_ns| at.time_ns.saturating_sub(before_ns));
                let values = BeginValues { cpu: columns.cpu[row], pause_ns, args };
                self.samples[stage as usize].begin(at, values);
            }
        }
    }

    /// What the end of a span of `stage` tells.
    fn end_values(&self, stage: u32, end: Point) -> Option<&EndValues> {
        let from = self.ends.partition_point(|it| it.at.time_ns < end.time_ns);
        let same_time = self.ends[from..].iter().take_while(|it| it.at.time_ns == end.time_ns);
        same_time.into_iter().find(|it| it.stage == stage && it.at.thread == end.thread)
    }
}

fn is_of(probes: &[ProbeName], site: &Site) -> bool {
    probes.iter().any(|probe| probe.provider == site.provider && probe.probe == site.probe)
}

/// What the events of `site` are to a stage: an end is asked only for arguments that no begin has, all of which have the
/// first `arity`.
fn site_uses(number: u32, stage: &Stage, site: &Site, arity: usize) -> Vec<SiteUse> {
    let args = |from: usize| site.args.iter().copied().enumerate().take(ARGS).skip(from).collect::<Vec<_>>();
    let mut uses = Vec::new();
    if is_of(&stage.ends, site) && !args(arity).is_empty() {
        uses.push(SiteUse { stage: number, side: Side::End, args: args(arity) });
    }
    if is_of(&stage.begins, site) {
        uses.push(SiteUse { stage: number, side: Side::Begin, args: args(0) });
    }
    uses
}

impl Sink for Properties<'_> {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        self.ends.clear();
        for row in rows {
            let site = columns.site[row].index();
            if self.sites.get(site).is_some_and(|uses| !uses.is_empty()) {
                self.event(columns, row, site);
            }
        }
        Ok(())
    }

    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        if let Some(openings) = &mut self.openings[stage as usize] {
            openings.begin(begin);
        }
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        let Some(begin) = span.begin else { return Ok(()) };
        let complete = span.class == Class::Complete;
        let len_ns = span.latency_ns().filter(|_| complete).map(i64::unsigned_abs);
        let own_ns = match &mut self.openings[span.stage as usize] {
            Some(openings) => openings.end(begin, len_ns),
            None => len_ns.unwrap_or_default(),
        };
        let sample = &mut self.samples[span.stage as usize];
        sample.count += u64::from(complete);
        if !sample.wants(begin.time_ns) {
            return Ok(());
        }
        let Some(mut values) = sample.take(begin).filter(|_| complete) else { return Ok(()) };
        if let Some(end) = span.end.and_then(|end| self.end_values(span.stage, end)) {
            for (value, &of_end) in values.args.iter_mut().zip(&end.args) {
                *value = if *value == PropertyValue::Missing { of_end } else { *value };
            }
        }
        self.samples[span.stage as usize].add(SampledSpan { key: span.key, begin, own_ns, values });
        Ok(())
    }
}
