//! What is worth a line, from all that was measured of a path.

use tracer_format::log::escape;

use super::finding::{Finding, FindingKind};
use super::limit::quantile::quantile;
use super::limit::stall::{Stall, period};
use super::path::buffers::Buffers;
use super::path::loss::Losses;
use super::path::route::Route;
use super::series::change::change;
use super::series::modes::modes;
use super::series::spikes::{Every, spikes};
use crate::analysis::Analysis;
use crate::pair::{Class, Edge, Side};
use crate::report::{counted, duration, latency};
use crate::stage::{KeyValue, Stage};

/// Keys that a line names.
const NAMED: usize = 8;
/// Slow buffers of which a line says that a stall explains them too.
const SLOWEST: usize = 10;

/// What findings are made from.
pub(crate) struct Measured<'a> {
    pub(crate) buffers: &'a Buffers,
    /// These and the slowest of all.
    pub(crate) all: &'a Buffers,
    pub(crate) route: &'a Route,
    pub(crate) stages: &'a [Stage],
    pub(crate) stalls: &'a [Stall],
    pub(crate) losses: &'a Losses,
    pub(crate) skipped: &'a [KeyValue],
    /// For each probe of the path but the first, buffers that were overtaken there, and whether there is one way to it.
    pub(crate) overtaken: &'a [(u64, bool)],
    pub(crate) start_ns: u64,
    /// Steps before this one are held up by a bottleneck: their times are its own.
    pub(crate) held_up: usize,
}

impl Measured<'_> {
    /// All findings, by kind.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut found: Vec<Finding> = self.stalls();
        found.extend(self.lost());
        found.extend(self.skipped());
        found.extend(self.duplicated());
        found.extend(self.overtaken());
        for step in (self.held_up..self.route.steps.len()).filter(|&step| self.route.is_work(step)) {
            found.extend(self.shapes(step));
        }
        found
    }

    fn stalls(&self) -> Vec<Finding> {
        let worth: Vec<&Stall> = self.stalls.iter().filter(|stall| stall.is_headline).collect();
        let slow = self.all.slowest(SLOWEST);
        let finding = |stall: &&Stall| {
            let held = slow.iter().take_while(|row| stall.rows.contains(row)).count();
            let too = if held > 1 { format!(", the {held} slowest too") } else { String::new() };
            let at_ns = stall.silence.from_ns;
            let (len, at) = (duration(stall.silence.len_ns), duration(at_ns.saturating_sub(self.start_ns)));
            let waited = counted(stall.held.len() as u64, "buffer");
            let did = if stall.of_source { "came late" } else { "waited" };
            let text = format!("{} stood still {len} at {at}; {waited} {did}{too}", stall.name());
            Finding {
                at_ns: Some(at_ns),
                program: Some(stall.program.clone()).filter(|program| !program.is_empty()),
                len_ns: i64::try_from(stall.silence.len_ns).ok(),
                ..Finding::new(FindingKind::Stall, &stall.held, text)
            }
        };
        let mut found: Vec<Finding> = worth.iter().map(finding).collect();
        if let Some(period) = period(self.stalls).filter(|period| !self.are_spikes(&period.program)) {
            let (period_ns, len_ns) = (whole(period.period_ns), whole(period.len_ns));
            let text = format!(
                "{} stands still every {}: {} times, {} long",
                escape(&period.program),
                latency(period_ns),
                period.count,
                latency(len_ns)
            );
            let (program, len_ns) = (Some(period.program), Some(len_ns));
            let count = period.count as u64;
            let periodic = Finding::new(FindingKind::PeriodicStall, &[], text);
            found.insert(0, Finding { program, len_ns, count, every_ns: Some(period_ns), ..periodic });
        }
        found
    }

    /// Whether the stalls of `program` are spikes of one stage: they all lie within that one, and it has spikes.
    fn are_spikes(&self, program: &str) -> bool {
        /// Share of the stalls that lie within the stage.
        const SHARE: f64 = 0.8;
        let stalls: Vec<&Stall> = self.stalls.iter().filter(|stall| stall.program == program).collect();
        let is_within = |stall: &&Stall, step: usize| {
            let covers = |&row: &usize| {
                let hits = self.all.hits(row);
                hits[step].time_ns <= stall.silence.from_ns && stall.silence.to_ns() <= hits[step + 1].time_ns
            };
            stall.rows.iter().any(covers)
        };
        let mut steps = (0..self.route.steps.len()).filter(|&step| self.route.is_work(step));
        steps.any(|step| {
            let within = stalls.iter().filter(|stall| is_within(stall, step)).count();
            let (values, times) = self.series(step);
            within as f64 >= SHARE * stalls.len() as f64 && spikes(&values, &times).is_some()
        })
    }

    /// How long a step took for each buffer, and when it began, ns.
    fn series(&self, step: usize) -> (Vec<f64>, Vec<u64>) {
        let rows = 0..self.buffers.len();
        let values = rows.clone().map(|row| self.buffers.step_ns(row, step) as f64).collect();
        (values, rows.map(|row| self.buffers.hits(row)[step].time_ns).collect())
    }

    /// The probe at a position of the path.
    fn probe(&self, at: usize) -> String {
        self.route.edges.get(at).map_or_else(String::new, |&edge| probe(edge, self.stages))
    }

    fn lost(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (&at, keys) in &self.losses.lost {
            let after = self.probe(at);
            let (buffers, list) = (counted(keys.len() as u64, "buffer"), listed(keys));
            let text = format!("{buffers} lost after {after}: {list}");
            found.push(Finding { subject: Some(after), ..Finding::new(FindingKind::Lost, keys, text) });
        }
        for (missing, keys) in &self.losses.missed {
            let probes: Vec<String> = missing.iter().map(|&at| self.probe(at)).collect();
            let (buffers, probes) = (counted(keys.len() as u64, "buffer"), probes.join(", "));
            let text = format!("{buffers} without {probes}: {}", listed(keys));
            found.push(Finding { subject: Some(probes), ..Finding::new(FindingKind::Missed, keys, text) });
        }
        found
    }

    fn skipped(&self) -> Option<Finding> {
        if self.skipped.is_empty() {
            return None;
        }
        let numbers = counted(self.skipped.len() as u64, "number");
        let text = format!("the source left out {numbers}: {}", listed(self.skipped));
        Some(Finding {
            subject: Some(self.probe(0)),
            ..Finding::new(FindingKind::Skipped, self.skipped, text)
        })
    }

    fn duplicated(&self) -> Vec<Finding> {
        let finding = |(&edge, keys): (&Edge, &Vec<KeyValue>)| {
            let name = probe(edge, self.stages);
            let text = format!("{name} fires more than once for {}", listed(keys));
            Finding { subject: Some(name), ..Finding::new(FindingKind::Duplicated, keys, text) }
        };
        self.losses.repeated.iter().map(finding).collect()
    }

    fn overtaken(&self) -> Vec<Finding> {
        let mut before = 0;
        let mut found = Vec::new();
        for (step, &(count, one_way)) in self.overtaken.iter().enumerate() {
            // What is overtaken once arrives late everywhere after. A thread that works on several buffers at a time may
            // end them in any order.
            if one_way && count > before && !self.route.is_work(step) {
                let at = self.probe(step + 1);
                let buffers = counted(count, "buffer");
                let text = format!("{buffers} overtaken on the way to {at}, where one thread takes them");
                let finding = Finding::new(FindingKind::Overtaken, &[], text);
                found.push(Finding { subject: Some(at), count, ..finding });
            }
            before = count.max(before);
        }
        found
    }

    /// Spikes, modes and changes of a step.
    fn shapes(&self, step: usize) -> Vec<Finding> {
        let buffers = self.buffers;
        let (values, times) = self.series(step);
        let name = &self.route.steps[step].name;
        let mut found = Vec::new();
        if let Some(spikes) = spikes(&values, &times) {
            let (every, every_ns) = match spikes.every {
                Every::Count(count) => (format!("{count} buffers"), None),
                Every::Time(period_ns) => (latency(whole(period_ns)), Some(whole(period_ns))),
            };
            let len_ns = whole(spikes.median_ns);
            let text = format!("{name} takes {} every {every}, {} times", latency(len_ns), spikes.count);
            let keys = [*buffers.key(spikes.first)];
            let every_count = match spikes.every {
                Every::Count(count) => Some(count as u64),
                Every::Time(_) => None,
            };
            let finding = Finding::new(FindingKind::Period, &keys, text);
            let (at_ns, count) = (Some(times[spikes.first]), spikes.count as u64);
            found.push(Finding { at_ns, count, len_ns: Some(len_ns), every_ns, every_count, ..finding });
        } else if let Some(modes) = modes(&values) {
            let text = format!(
                "{name} takes about {} or, {:.0} % of the time, {}",
                latency(whole(modes.low_ns)),
                100.0 * modes.high_share,
                latency(whole(modes.high_ns)),
            );
            let finding = Finding::new(FindingKind::Modes, &[], text);
            found.push(Finding { len_ns: Some(whole(modes.high_ns - modes.low_ns)), ..finding });
        }
        if let Some(change) = change(&values) {
            let (at_ns, key) = (times[change.at], *buffers.key(change.at));
            let text = format!(
                "{name} goes from {} to {} at buffer {key}, at {}",
                latency(whole(change.before_ns)),
                latency(whole(change.after_ns)),
                duration(at_ns.saturating_sub(self.start_ns)),
            );
            let finding = Finding::new(FindingKind::Change, &[key], text);
            let len_ns = Some(whole(change.after_ns - change.before_ns));
            found.push(Finding { at_ns: Some(at_ns), len_ns, ..finding });
        }
        for finding in &mut found {
            finding.subject = Some(name.clone());
        }
        found
    }
}

/// Stages that end before they begin.
pub(crate) fn inverted(analysis: &Analysis) -> Vec<Finding> {
    let finding = |report: &crate::analysis::StageReport| {
        let count = report.classes.of(Class::Inverted);
        if count == 0 {
            return None;
        }
        let spans = report.first_spans.iter().filter(|span| span.class == Class::Inverted);
        let keys: Vec<KeyValue> = spans.map(|span| span.key).collect();
        let all = count + report.classes.of(Class::Complete);
        let name = &report.stage.name;
        let text = format!(
            "{name}: {count} of {all} end before they begin; one host has one clock: the order of the probes or their \
             numbers are wrong"
        );
        let finding = Finding::new(FindingKind::Inverted, &keys, text);
        Some(Finding { subject: Some(name.clone()), count, ..finding })
    };
    analysis.stages.iter().filter_map(finding).collect()
}

/// The end-to-end time beyond which nothing of a buffer is expected any more, ns.
pub(crate) fn horizon_ns(buffers: &Buffers) -> u64 {
    let totals: Vec<f64> = (0..buffers.len()).map(|row| buffers.total_ns(row) as f64).collect();
    whole(2.0 * quantile(&totals, 0.999)).max(0).cast_unsigned()
}

/// The name of the probe at an end of a stage.
fn probe(edge: Edge, stages: &[Stage]) -> String {
    let Some(stage) = stages.get(edge.stage as usize) else { return String::new() };
    let probes = if edge.side == Side::Begin { &stage.begins } else { &stage.ends };
    probes.iter().map(|probe| probe.probe.clone()).collect::<Vec<_>>().join("|")
}

fn listed(keys: &[KeyValue]) -> String {
    let named: Vec<String> = keys.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if keys.len() > NAMED { ", ..." } else { "" };
    format!("{}{more}", named.join(", "))
}

#[expect(clippy::cast_possible_truncation, reason = "times in ns are far below the limit")]
fn whole(time_ns: f64) -> i64 {
    time_ns as i64
}
