//! The analysis of a trace: counts what a pass finds.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use tracer_format::{Columns, Trace};

use super::edge_map::EdgeMap;
use super::latency::Latency;
use super::pass::{Pass, PassEnd};
use super::summary::{
    Analysis, Classes, FIRST_SPANS, FIRST_SPANS_OF_ALL, HandOffReport, ProbeCount, StageReport,
};
use crate::Result;
use crate::pair::{
    Class, FIRST_TOLD, Found, HandOff, HandOffRow, Sink, Span, SpanRow, UsualKeys, difference_ns,
};
use crate::select::Selection;
use crate::select::clock::{anchors, realtime_ns};
use crate::stage::Stage;
use crate::stage::choice::Evidence;

/// Looks at the selected events of `trace` once and hands on to `sink` what it finds.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if `sink` fails. Damage is no error: it is in the outcome.
pub fn analyze(
    trace: &Trace<'_>,
    selection: &Selection,
    stages: &[Stage],
    sink: &mut impl Sink,
) -> Result<Analysis> {
    look((trace, selection), stages, Extent::All, sink)
}

/// How much an analysis has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of them.
    All,
    /// Counts, and no latencies: enough for a diagnosis.
    Counts,
}

/// As [`analyze`], so much of it.
pub(crate) fn look(
    (trace, selection): (&Trace<'_>, &Selection),
    stages: &[Stage],
    extent: Extent,
    sink: &mut impl Sink,
) -> Result<Analysis> {
    let mut tally = Tally::new(trace, stages, extent);
    let passed = Pass { trace, selection, stages }.run_both(&mut tally, sink)?;
    Ok(tally.report(trace, selection, &passed))
}

/// Counts what passes.
pub(super) struct Tally {
    extent: Extent,
    site_events: Vec<u64>,
    time_ns: Option<(u64, u64)>,
    stages: Vec<StageReport>,
    /// Spans of each stage that are kept.
    first_spans: usize,
    hand_offs: EdgeMap<HandOffReport>,
    hand_offs_left_out: u64,
}

impl Tally {
    pub(super) fn new(trace: &Trace<'_>, stages: &[Stage], extent: Extent) -> Self {
        let report = |stage: &Stage| StageReport {
            stage: stage.clone(),
            evidence: Evidence { chosen: false, confirmed: true, few: false },
            ends: stage.ends.iter().map(|end| (end.clone(), 0)).collect(),
            classes: Classes::default(),
            reordered: 0,
            without_key: 0,
            given_up: 0,
            complete_near_loss: 0,
            other_near_loss: 0,
            latency: Latency::one_of(stages.len()),
            inverted: Latency::one_of(stages.len()),
            first_spans: Vec::new(),
        };
        Self {
            extent,
            site_events: vec![0; trace.definitions.sites.len()],
            time_ns: None,
            stages: stages.iter().map(report).collect(),
            first_spans: (FIRST_SPANS_OF_ALL / stages.len().max(1)).min(FIRST_SPANS),
            hand_offs: EdgeMap::default(),
            hand_offs_left_out: 0,
        }
    }

    pub(super) fn report(self, trace: &Trace<'_>, selection: &Selection, passed: &PassEnd) -> Analysis {
        let outcome = passed.outcome(trace, selection, self.site_events.iter().sum());
        let pairer = &passed.pairer;
        let mut probes: Vec<ProbeCount> = Vec::new();
        let mut positions = BTreeMap::new();
        for (site, &events) in trace.definitions.sites.iter().zip(&self.site_events) {
            let at = *positions.entry((&site.provider, &site.probe)).or_insert(probes.len());
            if at == probes.len() {
                let (provider, probe) = (site.provider.clone(), site.probe.clone());
                probes.push(ProbeCount {
                    provider: provider.to_string(),
                    probe: probe.to_string(),
                    events: 0,
                });
            }
            probes[at].events += events;
        }
        let mut stages = self.stages;
        for ((report, &without_key), &given_up) in
            stages.iter_mut().zip(&pairer.without_key).zip(&pairer.given_up)
        {
            (report.without_key, report.given_up) = (without_key, given_up);
        }
        let anchors = anchors(trace);
        let wall = |time_ns| realtime_ns(&anchors, time_ns);
        let realtime_ns =
            self.time_ns.and_then(|(first_ns, last_ns)| Some((wall(first_ns)?, wall(last_ns)?)));
        let hand_offs = self.hand_offs.into_values();
        Analysis {
            outcome,
            time_ns: self.time_ns,
            realtime_ns,
            probes,
            stages,
            refused: Vec::new(),
            hand_offs,
            hand_offs_left_out: self.hand_offs_left_out,
            keys_given_up: pairer.keys_given_up,
            diagnosis: None,
            tree: None,
            groups: None,
            budget: Vec::new(),
        }
    }
}

impl Sink for Tally {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        let times = &columns.time_ns[rows.clone()];
        if let (Some(&first_ns), Some(&last_ns)) = (times.first(), times.last()) {
            self.time_ns = Some((self.time_ns.map_or(first_ns, |(first_ns, _)| first_ns), last_ns));
        }
        for &site in &columns.site[rows] {
            if let Some(count) = self.site_events.get_mut(site.index()) {
                *count += 1;
            }
        }
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.count_span(&SpanRow::new(span), span.key.words());
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        self.count_hand_off(&HandOffRow::new(hand_off));
        Ok(())
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        found.spans().for_each(|(span, key)| self.count_span(span, key));
        if self.extent == Extent::All {
            found.hand_offs().for_each(|hand_off| self.count_hand_off(hand_off));
        }
        found.usual_keys().for_each(|keys| self.count_usual_keys(&keys));
        Ok(())
    }

    fn takes_usual_keys(&self) -> bool {
        const { assert!(FIRST_SPANS <= FIRST_TOLD as usize, "the first spans are told as they come") };
        true
    }
}

impl Tally {
    #[inline]
    fn count_span(&mut self, span: &SpanRow, key: &[i64]) {
        let report = &mut self.stages[span.stage as usize];
        report.classes.add(span.class);
        if report.first_spans.len() < self.first_spans {
            report.first_spans.push(span.span(key));
        }
        if self.extent == Extent::Counts {
            return;
        }
        report.reordered += u64::from(span.is_reordered());
        let near_loss = u64::from(span.is_near_loss());
        if span.class == Class::Complete {
            let [begin, end] = span.both();
            report.latency.add(difference_ns(begin.time_ns, end.time_ns));
            report.ends[usize::from(span.ended_by)].1 += 1;
            report.complete_near_loss += near_loss;
            return;
        }
        report.other_near_loss += near_loss;
        if span.class == Class::Inverted
            && let Some(latency_ns) = span.latency_ns()
        {
            report.inverted.add(latency_ns);
        }
    }

    #[inline]
    fn count_hand_off(&mut self, hand_off: &HandOffRow) {
        let (from, to) = (hand_off.from, hand_off.to);
        let stages = self.stages.len();
        let new = || HandOffReport { from, to, near_loss: 0, latency: Latency::one_of(stages) };
        let Some(report) = self.hand_offs.get_or_insert_few(from, to, new) else {
            self.hand_offs_left_out += 1;
            return;
        };
        report.latency.add(hand_off.latency_ns());
        report.near_loss += u64::from(hand_off.near_loss);
    }

    /// The same for all that these keys did.
    fn count_usual_keys(&mut self, keys: &UsualKeys<'_>) {
        let count = keys.len() as u64;
        for span in &keys.order.spans {
            let report = &mut self.stages[span.stage as usize];
            report.classes.add_many(Class::Complete, count);
            if self.extent == Extent::All {
                report.reordered += keys.reordered(span);
                report.ends[usize::from(span.ended_by)].1 += count;
                report.latency.extend(keys.differences_ns(span.at));
            }
        }
        let stages = self.stages.len();
        for hand_off in keys.order.hand_offs.iter().filter(|_| self.extent == Extent::All) {
            let (from, to) = (hand_off.from, hand_off.to);
            let new = || HandOffReport { from, to, near_loss: 0, latency: Latency::one_of(stages) };
            match self.hand_offs.get_or_insert_few(from, to, new) {
                Some(report) => report.latency.extend(keys.differences_ns(hand_off.at)),
                None => self.hand_offs_left_out += count,
            }
        }
    }
}
