//! What the properties of spans are worth a line for.

use std::collections::BTreeSet;

use super::apart::{SetApart, apart};
use super::collect::Properties;
use super::condition::SpanCondition;
use super::dominant::{Dominant, dominant};
use super::sampled::SampledSpan;
use super::value::{ARGS, Property, PropertyValue};
use crate::analysis::diagnosis::{Common, Diagnosis, Finding, FindingKind};
use crate::analysis::{Analysis, StageReport};
use crate::pair::{Edge, Side};
use crate::report::{counted, duration, latency};
use crate::stage::{KeyPart, KeyValue, Scope};

/// Share of the time of the threads that a stage by thread must have.
const LEAST_SHARE: f64 = 0.05;
/// Of stages on the path of buffers, one value has most of the time only if it has not most of the spans too.
const MOST_SPANS: f64 = 0.5;
/// Texts of more values than this are compared by their shape.
const MAX_TEXTS: usize = 64;
/// Letters of a value that a line has.
const LETTERS: usize = 60;
/// Numbers from here on may be addresses.
const ADDRESS: i64 = 1 << 32;

/// What is known of one stage.
struct StageSpans<'a> {
    report: &'a StageReport,
    spans: Vec<SampledSpan>,
    columns: Vec<(Property, Vec<PropertyValue>)>,
    start_ns: u64,
}

impl Properties<'_> {
    /// Adds to the findings of `analysis`, whose tree and diagnosis are there: one value that has most of a stage's time, and what
    /// sets slow spans apart, of the stages that matter. Those take part of the threads' time, or are on the path and not held up
    /// by what comes behind them.
    pub fn add_findings(mut self, analysis: &mut Analysis) {
        let found = self.found(analysis);
        if let Some(diagnosis) = &mut analysis.diagnosis {
            diagnosis.findings.extend(found);
        }
    }

    fn found(&mut self, analysis: &Analysis) -> Vec<Finding> {
        let start_ns = analysis.time_ns.map_or(0, |(first_ns, _)| first_ns);
        let mut found = Vec::new();
        for (stage, report) in analysis.stages.iter().enumerate() {
            if !matters(stage, analysis) {
                continue;
            }
            let mut spans = std::mem::take(&mut self.samples[stage].spans);
            spans.sort_by_key(|span| (span.begin.time_ns, span.begin.thread));
            let columns = self.columns(&spans, report);
            let told = StageSpans { report, spans, columns, start_ns };
            found.extend(self.one_value(&told));
            found.extend(self.set_apart(&told));
        }
        found
    }

    /// The values of each property of `spans`, but of those that are part of their key, or tell how long they took.
    fn columns(
        &mut self,
        spans: &[SampledSpan],
        report: &StageReport,
    ) -> Vec<(Property, Vec<PropertyValue>)> {
        let mut properties = vec![Property::Program, Property::Pid, Property::Tid];
        properties.extend((0..ARGS).filter_map(|arg| u8::try_from(arg).ok()).map(Property::Arg));
        properties.extend([Property::Cpu, Property::Pause]);
        properties.retain(|property| !is_key(*property, report));
        let column = |property| {
            let mut values: Vec<PropertyValue> =
                spans.iter().map(|span| self.value(property, span)).collect();
            let texts = values.iter().filter(|value| matches!(value, PropertyValue::Text(_)));
            if texts.collect::<BTreeSet<_>>().len() > MAX_TEXTS {
                values.iter_mut().for_each(|value| *value = self.texts.shape_of(*value));
            }
            (property, values)
        };
        properties.into_iter().map(column).collect()
    }

    fn value(&self, property: Property, span: &SampledSpan) -> PropertyValue {
        let number =
            |number: u64| i64::try_from(number).map_or(PropertyValue::Missing, PropertyValue::Number);
        let process = self.definitions.thread(span.begin.thread).map(|thread| thread.process);
        match property {
            Property::Program => {
                let first = process.and_then(|process| self.programs.get(process.index()));
                first.map_or(PropertyValue::Missing, |&first| number(first.into()))
            }
            Property::Pid => process.map_or(PropertyValue::Missing, |process| number(process.0.into())),
            Property::Tid => number(span.begin.thread.0.into()),
            Property::Arg(arg) => span.values.args[usize::from(arg)],
            Property::Cpu => number(span.values.cpu.into()),
            Property::Pause => span.values.pause_ns.map_or(PropertyValue::Missing, number),
        }
    }

    /// The condition as it is stored: programs and threads by their names and numbers.
    fn text(&self, property: Property, condition: SpanCondition) -> String {
        let SpanCondition::Is(PropertyValue::Number(number)) = condition else {
            return condition.text(&self.texts);
        };
        let id = u32::try_from(number).unwrap_or(u32::MAX);
        let process = |id| self.definitions.process(tracer_format::ProcessId(id));
        match property {
            Property::Program => process(id).map_or_else(String::new, |process| process.program.to_string()),
            Property::Pid => process(id).map_or_else(String::new, |process| process.pid.to_string()),
            Property::Tid => {
                let thread = self.definitions.thread(tracer_format::ThreadId(id));
                thread.map_or_else(String::new, |thread| thread.tid.to_string())
            }
            _ => condition.text(&self.texts),
        }
    }

    /// The same as it stands in a sentence: `on processor 1`, `with arg1 = 3`.
    fn phrase(&self, property: Property, condition: SpanCondition) -> String {
        let text = clipped(&self.text(property, condition));
        let of = |process: tracer_format::ProcessId| {
            let process = self.definitions.process(process);
            process.map_or_else(String::new, |process| format!(" of {}", process.program))
        };
        let id = match condition {
            SpanCondition::Is(PropertyValue::Number(number)) => u32::try_from(number).unwrap_or(u32::MAX),
            _ => u32::MAX,
        };
        match (property, condition) {
            (Property::Program, _) => format!("in program {text}"),
            (Property::Pid, _) => format!("in process {text}{}", of(tracer_format::ProcessId(id))),
            (Property::Tid, _) => {
                let thread = self.definitions.thread(tracer_format::ThreadId(id));
                format!("in thread {text}{}", thread.map_or_else(String::new, |thread| of(thread.process)))
            }
            (Property::Cpu, _) => format!("on CPU {text}"),
            (Property::Pause, SpanCondition::AtLeast(least)) => {
                format!("after the thread fired nothing for {}", latency(least))
            }
            (_, SpanCondition::Is(_)) => format!("with {property} = {text}"),
            _ => format!("with {property} {text}"),
        }
    }

    fn one_value(&self, told: &StageSpans<'_>) -> Option<Finding> {
        let StageSpans { report, spans, columns, .. } = told;
        let Dominant { property, value, time_share, spans: with, values } =
            dominant(spans, columns, self.definitions)?;
        let span_share = with as f64 / spans.len() as f64;
        if report.stage.key.scope != Scope::Tid && span_share > MOST_SPANS {
            return None;
        }
        let condition = SpanCondition::Is(value);
        let name = &report.stage.name;
        let of = if values == 1 { String::new() } else { format!(", of {values} values") };
        let text = format!(
            "{} of the time of {name} has {property} = {}, {} of its spans{of}{}{}",
            percent(time_share),
            clipped(&self.text(property, condition)),
            percent(span_share),
            self.looked_at(told),
            self.name_hint(property, value, report),
        );
        let common = Common {
            property: property.to_string(),
            value: self.text(property, condition),
            spans: spans.len() as u64,
            spans_with: with,
            others: 0,
            others_with: 0,
            time_share,
        };
        let finding = Finding::new(FindingKind::OneValue, &[], text);
        Some(Finding { subject: Some(name.clone()), count: with, common: Some(common), ..finding })
    }

    fn set_apart(&self, told: &StageSpans<'_>) -> Option<Finding> {
        let StageSpans { report, spans, columns, start_ns } = told;
        let SetApart { property, condition, contrast, same, slow } = apart(spans, columns)?;
        let name = &report.stage.name;
        let same: Vec<String> =
            same.iter().map(|&(property, condition)| self.phrase(property, condition)).collect();
        let same = if same.is_empty() { String::new() } else { format!(" (the same: {})", same.join(", ")) };
        let slowest = slow.first().map(|&row| spans[row]);
        let at = slowest.map_or_else(String::new, |slowest| {
            let at_ns = slowest.begin.time_ns.saturating_sub(*start_ns);
            format!("; the slowest, {}, at {}", latency(slowest.own_ns.cast_signed()), duration(at_ns))
        });
        let text = format!(
            "{name}: {} of the {} slowest are {}, {} of the others{same}{at}{}",
            contrast.slow_with,
            contrast.slow,
            self.phrase(property, condition),
            percent(contrast.others_share()),
            self.looked_at(told),
        );
        let all_ns: f64 = spans.iter().map(|span| span.own_ns as f64).sum();
        let column = columns.iter().find(|(other, _)| *other == property)?;
        let with = column.1.iter().zip(spans).filter(|(value, _)| condition.is_met(**value));
        let with_ns: f64 = with.map(|(_, span)| span.own_ns as f64).sum();
        let common = Common {
            property: property.to_string(),
            value: self.text(property, condition),
            spans: contrast.slow,
            spans_with: contrast.slow_with,
            others: contrast.others,
            others_with: contrast.others_with,
            time_share: if all_ns > 0.0 { with_ns / all_ns } else { 0.0 },
        };
        let keys: Vec<KeyValue> = match report.stage.key.scope {
            Scope::Tid => Vec::new(),
            _ => slow.iter().map(|&row| spans[row].key).collect(),
        };
        let finding = Finding::new(FindingKind::SetApart, &keys, text);
        Some(Finding {
            at_ns: slowest.map(|slowest| slowest.begin.time_ns),
            subject: Some(name.clone()),
            count: contrast.slow_with,
            common: Some(common),
            ..finding
        })
    }

    /// How many of the spans were looked at, if not all.
    fn looked_at(&self, told: &StageSpans<'_>) -> String {
        let (some, all) = (told.spans.len() as u64, told.report.latency.count());
        if some == all { String::new() } else { format!("; {some} of {} looked at", counted(all, "span")) }
    }

    /// How to record the text that an address may stand for.
    fn name_hint(&self, property: Property, value: PropertyValue, report: &StageReport) -> String {
        let (Property::Arg(arg), PropertyValue::Number(ADDRESS..)) = (property, value) else {
            return String::new();
        };
        let begin = &report.stage.begins[0];
        format!("; if it is a text, record it: -e '{begin}(arg{arg}:str)'")
    }
}

/// Whether a stage takes part of the threads' time, or is on the path and not held up by what comes behind it.
fn matters(stage: usize, analysis: &Analysis) -> bool {
    let report = &analysis.stages[stage];
    if !report.is_usable() {
        return false;
    }
    if report.stage.key.scope == Scope::Tid {
        let thread_ns = analysis.tree.as_ref().map_or(0, |tree| tree.thread_ns);
        return report.latency.sum_ns() as f64 >= LEAST_SHARE * thread_ns as f64;
    }
    let is_step = |diagnosis: &Diagnosis| {
        let edge = |side| Edge { stage: u32::try_from(stage).unwrap_or(u32::MAX), side };
        let position = |side| diagnosis.route.edges.iter().position(|other| *other == edge(side));
        let (Some(begin), Some(end)) = (position(Side::Begin), position(Side::End)) else { return false };
        // What spans several steps is slow for the reasons of these.
        end == begin + 1 && begin >= diagnosis.limit.held_up && diagnosis.following.is_path()
    };
    analysis.diagnosis.as_ref().is_some_and(|it| is_step(it) || it.others.iter().any(is_step))
}

fn is_key(property: Property, report: &StageReport) -> bool {
    let Property::Arg(arg) = property else { return false };
    if report.stage.lasting.is_some_and(|lasting| lasting.arg == arg) {
        return true;
    }
    report.stage.key.parts.iter().any(|part| match *part {
        KeyPart::Seq => arg == 0,
        KeyPart::Arg(other) | KeyPart::Crossed { begin: other, .. } => arg == other,
        KeyPart::Str => false,
    })
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        99.5..100.0 => "over 99 %".to_owned(),
        0.0..0.5 if share > 0.0 => "below 1 %".to_owned(),
        _ => format!("{percent:.0} %"),
    }
}

fn clipped(text: &str) -> String {
    let mut letters = text.chars();
    let mut short: String = letters.by_ref().take(LETTERS).collect();
    if letters.next().is_some() {
        short.push_str("...");
    }
    short
}
