//! An analysis as JSON: stable, described by `format-spec/analyze.schema.json`. All times are ns.

mod document;

use std::collections::HashMap;

use serde_json::{Value, json};

use super::budget;
use super::diagnosis::diagnosed;
use super::groups;
use super::tree;
use crate::analysis::{Analysis, HandOffReport, Latency, ProbeCount, StageReport, Summary};
use crate::pair::{Class, Edge, Side, Span};
use crate::select::clock::rfc3339;
use crate::stage::choice::Refused;
use crate::stage::{KeyValue, ProbeName, Stage};
pub(super) use document::LongDocument;

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
        "probes": null,
        "stages": null,
        "hand_offs": null,
        "hand_offs_left_out": analysis.hand_offs_left_out,
        "keys_given_up": analysis.keys_given_up,
        "tree": tree::members(analysis),
    });
    if let (Some(diagnosis), Value::Object(members)) = (&analysis.diagnosis, &mut document) {
        members.append(&mut diagnosed(diagnosis, &stages));
    }
    if let Some((by, tables)) = &analysis.groups {
        document["groups"] = groups::members(*by, tables, &stages);
    }
    if !analysis.budget.is_empty() {
        document["budget"] = budget::members(&[("", &analysis.budget)]);
    }
    let skipped = &analysis.outcome.skipped;
    if !skipped.is_empty() {
        document["loss"]["skipped"] = Value::Null;
    }
    let stages = &stages;
    let refused = || analysis.refused.iter().map(|refused| refused_stage(refused, analysis));
    LongDocument::of(document)
        .with_list("loss.skipped", || skipped.iter().map(crate::report::skipped::json))
        .with_list("probes", || analysis.probes.iter().map(probe))
        .with_list("stages", || analysis.stages.iter().map(stage).chain(refused()))
        .with_list("hand_offs", || analysis.hand_offs.iter().map(|report| hand_off(report, stages)))
        .text()
}

fn probe(count: &ProbeCount) -> Value {
    json!({ "provider": count.provider, "probe": count.probe, "events": count.events })
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
        "chosen": report.evidence.chosen,
        "confirmed": report.evidence.confirmed,
        "few": report.evidence.few,
        "nested": report.stage.nested,
        "lasting": report.stage.lasting.map(|lasting| lasting.to_string()),
        "ends": ends(&report.ends),
        "complete_share": report.complete_share(),
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

/// A stage without a key has no spans; the members of the others are there, and `refused` says why.
fn refused_stage(refused: &Refused, analysis: &Analysis) -> Value {
    let stage = &refused.stage;
    let ends_of: Vec<(ProbeName, u64)> =
        stage.ends.iter().map(|name| (name.clone(), analysis.events_of(name))).collect();
    json!({
        "name": stage.name,
        "from": stage.begins_text(),
        "to": stage.ends_text(),
        "key": "refused",
        "refused": refused.text(),
        "chosen": true,
        "confirmed": false,
        "few": false,
        "nested": false,
        "lasting": null,
        "ends": ends(&ends_of),
        "complete_share": 0.0,
        "complete": 0,
        "reordered": 0,
        "open": 0,
        "orphan_end": 0,
        "repeated_begin": 0,
        "repeated_end": 0,
        "inverted": 0,
        "without_key": 0,
        "given_up": 0,
        "complete_near_loss": 0,
        "other_near_loss": 0,
        "latency_ns": null,
        "inverted_ns": null,
        "spans": [],
        "spans_left_out": 0,
    })
}

/// Counts by the probe that ends the stage.
fn ends(ends: &[(ProbeName, u64)]) -> Value {
    let mut uses: HashMap<&str, usize> = HashMap::new();
    ends.iter().for_each(|(end, _)| *uses.entry(&end.probe).or_default() += 1);
    let name = |end: &ProbeName| if uses[&end.probe[..]] == 1 { end.probe.clone() } else { end.to_string() };
    ends.iter().map(|(end, count)| (name(end), Value::from(*count))).collect()
}

/// A number; a list of them if the key has several parts.
pub(super) fn key(key: &KeyValue) -> Value {
    match key.words() {
        [one] => Value::from(*one),
        words => Value::from(words),
    }
}

fn span(span: &Span) -> Value {
    json!({
        "key": key(&span.key),
        "class": span.class.name(),
        "reordered": span.reordered,
        "near_loss": span.near_loss,
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
