//! An analysis as JSON: stable, described by `format-spec/analyze.schema.json`. All times are ns.

use serde_json::{Value, json};

use crate::analysis::{Analysis, HandOffReport, Latency, StageReport, Summary};
use crate::pair::{Class, Edge, Side, Span};
use crate::select::clock::rfc3339;
use crate::stage::Stage;

/// Version of the form; it grows when a member changes its meaning or goes away, not when one is added.
pub const VERSION: u32 = 1;

/// Renders `analysis`, with a line end.
#[must_use]
pub fn json(analysis: &Analysis) -> String {
    let stages: Vec<Stage> = analysis.stages.iter().map(|report| report.stage.clone()).collect();
    let mut document = json!({
        "version": VERSION,
        "events": analysis.outcome.events,
        "time": time(analysis),
        "loss": {
            "lost": analysis.outcome.lost,
            "gaps": analysis.outcome.gaps,
            "damaged_bytes": analysis.outcome.damaged_bytes(),
            "damaged_places": analysis.outcome.damage.len(),
            "complete_file": !analysis.outcome.incomplete,
        },
        "probes": analysis.probes.iter().map(|count| json!({
            "provider": count.provider,
            "probe": count.probe,
            "events": count.events,
        })).collect::<Vec<_>>(),
        "stages": analysis.stages.iter().map(stage).collect::<Vec<_>>(),
        "hand_offs": analysis.hand_offs.iter().map(|report| hand_off(report, &stages)).collect::<Vec<_>>(),
    });
    if !analysis.outcome.skipped.is_empty() {
        let skipped = analysis.outcome.skipped.iter().map(crate::report::skipped::json);
        document["loss"]["skipped"] = skipped.collect();
    }
    let mut text = serde_json::to_string_pretty(&document).expect("the document has string keys only");
    text.push('\n');
    text
}

fn time(analysis: &Analysis) -> Value {
    let Some((first_ns, last_ns)) = analysis.time_ns else { return Value::Null };
    json!({
        "first_ns": first_ns,
        "last_ns": last_ns,
        "first": analysis.realtime_ns.map(|(first_ns, _)| rfc3339(first_ns)),
        "last": analysis.realtime_ns.map(|(_, last_ns)| rfc3339(last_ns)),
    })
}

fn stage(report: &StageReport) -> Value {
    let of = |class| report.classes.of(class);
    json!({
        "name": report.stage.name,
        "from": report.stage.begins_text(),
        "to": report.stage.ends_text(),
        "key": report.stage.key.to_string(),
        "complete": of(Class::Complete),
        "reordered": report.reordered,
        "open": of(Class::Open),
        "orphan_end": of(Class::OrphanEnd),
        "repeated_begin": of(Class::RepeatedBegin),
        "repeated_end": of(Class::RepeatedEnd),
        "inverted": of(Class::Inverted),
        "without_key": report.without_key,
        "given_up": report.given_up,
        "complete_near_loss": report.complete_near_loss,
        "other_near_loss": report.other_near_loss,
        "latency_ns": latency(&report.latency),
        "inverted_ns": latency(&report.inverted),
        "spans": report.first_spans.iter().map(span).collect::<Vec<_>>(),
        "spans_left_out": report.classes.total() - report.first_spans.len() as u64,
    })
}

fn span(span: &Span) -> Value {
    let key = match span.key.words() {
        [one] => Value::from(*one),
        parts => Value::from(parts),
    };
    json!({
        "key": key,
        "class": span.class.name(),
        "reordered": span.reordered,
        "begin_ns": span.begin.map(|point| point.time_ns),
        "end_ns": span.end.map(|point| point.time_ns),
        "latency_ns": span.latency_ns(),
    })
}

fn hand_off(report: &HandOffReport, stages: &[Stage]) -> Value {
    let edge = |edge: Edge| {
        json!({
            "stage": stages[edge.stage as usize].name,
            "side": if edge.side == Side::Begin { "begin" } else { "end" },
        })
    };
    json!({
        "name": report.name(stages),
        "from": edge(report.from),
        "to": edge(report.to),
        "count": report.latency.count(),
        "near_loss": report.near_loss,
        "latency_ns": latency(&report.latency),
    })
}

/// The members of a summary; null without values.
pub(super) fn latency(latency: &Latency) -> Value {
    let Some(Summary { min, mean, p50, p90, p99, p999, max }) = latency.summary() else { return Value::Null };
    json!({ "min": min, "mean": mean, "p50": p50, "p90": p90, "p99": p99, "p999": p999, "max": max })
}
