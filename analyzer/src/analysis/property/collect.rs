//! Gathers the properties of spans while they pass, in bounded memory.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use tracer_format::{ArgKind, Columns, Definitions, Site, SiteId};

use super::own::Openings;
use super::sampled::{BeginValues, SampledSpan, SpanSample};
use super::value::{ARGS, PropertyValue, Texts};
use crate::analysis::tree::Thinning;
use crate::pair::{Class, Found, Point, Side, Sink, Span};
use crate::stage::{Role, Roles, SiteUses, Stage};

/// Spans that are kept of all stages together; and of one, at most and at least.
const MOST_OF_ALL: usize = 1 << 15;
const MOST: usize = 1 << 13;
const LEAST: usize = 1 << 4;
/// No event is at the end of all time.
const NEVER: u64 = u64::MAX;

/// Gathers the properties of some spans of each stage.
#[derive(Debug)]
pub struct Properties<'a> {
    pub(super) definitions: &'a Definitions,
    pub(super) samples: Vec<SpanSample>,
    pub(super) texts: Texts,
    /// For each process, the first of the same program, which stands for it.
    pub(super) programs: Vec<u32>,
    /// For each site, what its events tell.
    sites: SiteUses<SiteUse>,
    /// Whether an end tells anything: then it is asked for right after its events.
    ends_tell: bool,
    /// Of each stage, whether one event tells all of a span: then that is where it ends.
    told: Vec<bool>,
    /// Of each nested stage, what is open.
    openings: Vec<Option<Openings>>,
    /// When each thread fired last at a site that tells something, [`NEVER`] if it did not; and behind them the same of all other
    /// events, which is not asked for.
    fired_ns: Vec<u64>,
    /// For each site, at which times something may be kept of it. Empty if it is to be looked at: the samples became sparser.
    telling: Vec<Asking>,
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

/// What is asked for each event of a site. Begins and ends come in no order that a processor could foresee, so there is no branch in it.
#[derive(Debug, Clone, Copy)]
struct Asking {
    /// At which times something may be kept of it: see [`Thinning::mask`]; at none if it tells nothing.
    mask: u64,
    /// Where its threads stand in [`Properties::fired_ns`]: with these bits of their number, and these others.
    kept: usize,
    fixed: usize,
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
        let roles = Roles::new(stages);
        let arity = begin_arity(&roles, stages.len(), &definitions.sites);
        let uses = |site: &Site, roles: &[Role]| {
            roles.iter().flat_map(|role| site_uses(*role, arity[role.stage], site)).collect()
        };
        let sites = SiteUses::new(&definitions.sites, &roles, uses);
        let numbers = (0..definitions.sites.len()).map(SiteId::at);
        let ends_tell = numbers.flat_map(|site| sites.of(site)).any(|used: &SiteUse| used.side == Side::End);
        Self {
            definitions,
            ends_tell,
            samples: stages.iter().map(|_| SpanSample::new(most)).collect(),
            texts: Texts::default(),
            programs: programs(definitions),
            sites,
            told: stages.iter().map(|stage| stage.lasting.is_some()).collect(),
            openings: stages.iter().map(|stage| stage.nested.then(Openings::default)).collect(),
            fired_ns: vec![NEVER; definitions.threads.len() + 1],
            telling: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Nothing more comes: without what waits for the end of its span.
    #[must_use]
    pub fn settled(mut self) -> Self {
        self.samples.iter_mut().for_each(SpanSample::settle);
        self
    }

    /// The arguments of an event, those at the positions that its site tells.
    fn arguments(
        &mut self,
        columns: &Columns,
        row: usize,
        (site, used): (SiteId, usize),
    ) -> [PropertyValue; ARGS] {
        let mut args = [PropertyValue::Missing; ARGS];
        for &(arg, kind) in &self.sites.of(site)[used].args {
            args[arg] = self.texts.argument(columns, row, (arg, kind));
        }
        args
    }

    /// Looks which sites tell anything.
    fn look_at_sites(&mut self) {
        let thinning = |used: &SiteUse| match used.side {
            Side::End => Thinning::default(),
            Side::Begin => self.samples[used.stage as usize].thinning(),
        };
        let telling = |site: usize| {
            let sparsest = self.sites.of(SiteId::at(site)).iter().map(thinning).min();
            let unasked = self.fired_ns.len() - 1;
            match sparsest {
                Some(thinning) => Asking { mask: thinning.mask(), kept: usize::MAX, fixed: 0 },
                None => Asking { mask: Thinning::NEVER, kept: 0, fixed: unasked },
            }
        };
        self.telling.extend((0..self.definitions.sites.len()).map(telling));
    }

    /// Notes when each thread fired last, of the events of sites that tell something.
    fn note_fired(&mut self, columns: &Columns, rows: Range<usize>) {
        let (times, threads) = (&columns.time_ns[rows.clone()], &columns.thread[rows.clone()]);
        let (telling, fired_ns) = (&self.telling[..], &mut self.fired_ns[..]);
        for ((site, thread), &time_ns) in columns.site[rows].iter().zip(threads).zip(times) {
            let Some(&Asking { kept, fixed, .. }) = telling.get(site.index()) else { continue };
            if let Some(fired_ns) = fired_ns.get_mut(thread.index() & kept | fixed) {
                *fired_ns = time_ns;
            }
        }
    }

    #[cold]
    fn event(&mut self, columns: &Columns, row: usize, before_ns: Option<u64>) {
        let at = Point { time_ns: columns.time_ns[row], thread: columns.thread[row] };
        let site = columns.site[row];
        for used in 0..self.sites.of(site).len() {
            let SiteUse { stage, side, .. } = self.sites.of(site)[used];
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

/// For each process, the first of the same program.
fn programs(definitions: &Definitions) -> Vec<u32> {
    let mut first: HashMap<&str, u32> = HashMap::new();
    (0..).zip(&definitions.processes).map(|(id, it)| *first.entry(&it.program).or_insert(id)).collect()
}

/// For each stage, the arguments that all of its begins have.
fn begin_arity(roles: &Roles<'_>, stages: usize, sites: &[Arc<Site>]) -> Vec<usize> {
    let mut arity: Vec<Option<usize>> = vec![None; stages];
    for site in sites {
        for role in roles.of(site).iter().filter(|role| role.begins.is_some()) {
            let least = arity[role.stage].unwrap_or(usize::MAX).min(site.args.len());
            arity[role.stage] = Some(least);
        }
    }
    arity.into_iter().map(Option::unwrap_or_default).collect()
}

/// What the events of `site` are to a stage whose begins have `arity` arguments: an end is asked only for others.
fn site_uses(role: Role, arity: usize, site: &Site) -> Vec<SiteUse> {
    let stage = u32::try_from(role.stage).unwrap_or(u32::MAX);
    let args = |from: usize| site.args.iter().copied().enumerate().take(ARGS).skip(from).collect::<Vec<_>>();
    let mut uses = Vec::new();
    if role.ends.is_some() && !args(arity).is_empty() {
        uses.push(SiteUse { stage, side: Side::End, args: args(arity) });
    }
    if role.begins.is_some() {
        uses.push(SiteUse { stage, side: Side::Begin, args: args(0) });
    }
    uses
}

impl Sink for Properties<'_> {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        self.ends.clear();
        if self.telling.is_empty() {
            self.look_at_sites();
        }
        // Few events are asked for anything: when its thread fired before is looked at when one is.
        let mut noted = rows.start;
        let unasked = self.fired_ns.len() - 1;
        let (sites, times) = (&columns.site[rows.clone()], &columns.time_ns[rows.clone()]);
        for (row, (site, &time_ns)) in (rows.start..).zip(sites.iter().zip(times)) {
            let Some(&Asking { mask, .. }) = self.telling.get(site.index()) else { continue };
            if Thinning::is_chosen(time_ns, mask) {
                self.note_fired(columns, noted..row);
                noted = row;
                let thread = columns.thread[row].index();
                let before_ns = self.fired_ns.get(thread).copied().filter(|_| thread < unasked);
                self.event(columns, row, before_ns.filter(|&before_ns| before_ns != NEVER));
            }
        }
        self.note_fired(columns, noted..rows.end);
        Ok(())
    }

    fn begun(&mut self, stage: u32, begin: Point) -> io::Result<()> {
        if let Some(openings) = &mut self.openings[stage as usize] {
            openings.begin(begin);
        }
        Ok(())
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        if self.openings.iter().any(Option::is_some) {
            return found.hand_on(self);
        }
        for (row, key) in found.spans() {
            let told_at = if self.told[row.stage as usize] { row.end().or(row.begin()) } else { row.begin() };
            let sample = &mut self.samples[row.stage as usize];
            match told_at {
                // Most are not: nothing but their number is asked for.
                Some(told_at) if !sample.wants(told_at.time_ns) => {
                    sample.count += u64::from(row.class == Class::Complete);
                }
                _ => self.span(&row.span(key))?,
            }
        }
        for keys in found.usual_keys() {
            for span in &keys.order.spans {
                for row in 0..keys.len() {
                    let sample = &mut self.samples[span.stage as usize];
                    if sample.wants(keys.moments(row)[span.at[0]].time_ns) {
                        self.span(&keys.span(row, span).span(keys.key(row)))?;
                    } else {
                        sample.count += 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn takes_usual_keys(&self) -> bool {
        !self.ends_tell
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
        let told_at = span.end.filter(|_| self.told[span.stage as usize]).unwrap_or(begin);
        if !sample.wants(told_at.time_ns) {
            return Ok(());
        }
        let Some(mut values) = sample.take(told_at).filter(|_| complete) else { return Ok(()) };
        if self.told[span.stage as usize] {
            // The pause before it ends where it begins.
            values.pause_ns =
                values.pause_ns.zip(len_ns).and_then(|(pause_ns, len_ns)| pause_ns.checked_sub(len_ns));
        }
        if let Some(end) = span.end.and_then(|end| self.end_values(span.stage, end)) {
            for (value, &of_end) in values.args.iter_mut().zip(&end.args) {
                *value = if *value == PropertyValue::Missing { of_end } else { *value };
            }
        }
        let sample = &mut self.samples[span.stage as usize];
        let before = sample.thinning();
        sample.add(SampledSpan { key: span.key, begin, told_ns: told_at.time_ns, own_ns, values });
        if sample.thinning() != before {
            self.telling.clear();
        }
        Ok(())
    }
}
