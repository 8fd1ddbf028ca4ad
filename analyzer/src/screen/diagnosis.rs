//! A diagnosis as members of the JSON of an analysis.

use serde_json::{Map, Value, json};

use super::json::{key, latency};
use crate::analysis::diagnosis::{Diagnosis, Fan, Finding, Limit, Resource, ResourceKind, Slow};
use crate::pair::Side;
use crate::stage::{KeyValue, Stage};

/// The members `path`, `verdict`, `findings` and `worst`, and `others` with the same of each other path.
pub(super) fn diagnosed(diagnosis: &Diagnosis, stages: &[Stage]) -> Map<String, Value> {
    let mut members = Map::new();
    if !diagnosis.others.is_empty() {
        let others = diagnosis.others.iter().map(|other| Value::from(diagnosed(other, stages)));
        members.insert("others".to_owned(), others.collect());
    }
    members.insert("path".to_owned(), path(diagnosis, stages));
    members.insert("verdict".to_owned(), verdict(&diagnosis.limit, diagnosis));
    members.insert("findings".to_owned(), diagnosis.findings.iter().map(finding).collect());
    members.insert("worst".to_owned(), diagnosis.slowest.iter().map(|slow| worst(slow, diagnosis)).collect());
    members
}

fn path(diagnosis: &Diagnosis, stages: &[Stage]) -> Value {
    if diagnosis.route.edges.is_empty() {
        return Value::Null;
    }
    let share = |shares: &[f64], at: usize| shares.get(at).map_or(Value::Null, |&share| rounded(share));
    let step = |(at, (step, times)): (usize, (&crate::analysis::diagnosis::PathStep, &_))| {
        json!({
            "name": step.name,
            "kind": if step.stage.is_some() { "work" } else { "wait" },
            "latency_ns": latency(times),
            "median_share": share(&diagnosis.shares.median, at),
            "slowest_share": share(&diagnosis.shares.slowest, at),
            "examples": examples(diagnosis, at),
            "over_time_ns": over_time(diagnosis, at),
        })
    };
    let probes: Vec<String> = diagnosis
        .route
        .edges
        .iter()
        .map(|&edge| {
            let stage = &stages[edge.stage as usize];
            if edge.side == Side::Begin { stage.begins_text() } else { stage.ends_text() }
        })
        .collect();
    let losses = &diagnosis.losses;
    let lost: Map<String, Value> =
        losses.lost.iter().map(|(&at, lost)| (probes[at].clone(), keys(lost))).collect();
    let overtaken: Map<String, Value> = probes
        .iter()
        .skip(1)
        .zip(&diagnosis.overtaken)
        .map(|(probe, &count)| (probe.clone(), count.into()))
        .collect();
    json!({
        "probes": probes,
        "buffers": diagnosis.buffers,
        "follow_share": rounded(diagnosis.following.share()),
        "other_ways": losses.other_ways,
        "steps": diagnosis.route.steps.iter().zip(&diagnosis.steps).enumerate().map(step).collect::<Vec<_>>(),
        "total_ns": latency(&diagnosis.total),
        "examples": examples(diagnosis, diagnosis.steps.len()),
        "over_time_ns": over_time(diagnosis, diagnosis.steps.len()),
        "lost": lost,
        "under_way": keys(&losses.under_way),
        "began_before": keys(&losses.began_before),
        "unknown": keys(&losses.unknown),
        "not_listed": losses.more,
        "overtaken": overtaken,
        "parts": diagnosis.fans.iter().map(|fan| parts(fan, diagnosis)).collect::<Vec<_>>(),
        "in_flight": diagnosis.in_flight.iter().map(|&count| rounded(count)).collect::<Vec<_>>(),
    })
}

/// A stage that works on parts of the buffers.
fn parts(fan: &Fan, diagnosis: &Diagnosis) -> Value {
    json!({
        "stage": fan.name,
        "key": fan.key,
        "buffers": fan.buffers,
        "usual": fan.usual,
        "usual_buffers": fan.usual_buffers,
        "least": fan.least,
        "most": fan.most,
        "spread_ns": latency(&fan.spread),
        "step": fan.step.map(|step| &diagnosis.route.steps[step].name),
    })
}

/// A key for each percentile; null if no buffer was looked at.
fn examples(diagnosis: &Diagnosis, at: usize) -> Value {
    diagnosis.profile.examples.get(at).copied().flatten().map_or(Value::Null, |examples| {
        json!({
            "p50": key(&examples.p50),
            "p90": key(&examples.p90),
            "p99": key(&examples.p99),
            "max": key(&examples.max),
        })
    })
}

fn over_time(diagnosis: &Diagnosis, at: usize) -> Value {
    let means = diagnosis.profile.over_time.get(at).into_iter().flatten();
    means.map(|mean_ns| mean_ns.map_or(Value::Null, rounded)).collect()
}

fn verdict(limit: &Limit, diagnosis: &Diagnosis) -> Value {
    let mean_s = diagnosis.total.summary().map_or(0.0, |summary| summary.mean as f64 / 1e9);
    let rates = limit.rates.map(|rates| {
        json!({
            "in_per_s": rounded(rates.in_per_s),
            "out_per_s": rounded(rates.out_per_s),
            "in_flight": rounded(rates.in_flight),
            "little": rounded(rates.in_per_s * mean_s),
            "residue": rounded(rates.in_flight - rates.in_per_s * mean_s),
            "growth": rounded(rates.growth),
            "seconds": rounded(rates.seconds),
        })
    });
    let resource = |resource: &Resource| {
        let kind = match resource.kind {
            ResourceKind::Threads => "threads",
            ResourceKind::Lock => "lock",
            ResourceKind::End => "end",
        };
        let names = resource.inside.iter().map(|&(step, _)| &diagnosis.route.steps[step].name);
        json!({
            "kind": kind,
            "program": resource.program,
            "threads": resource.threads,
            "steps": names.collect::<Vec<_>>(),
            "busy": resource.busy.map(rounded),
            "waited": resource.waited.map(rounded),
            "delayed": resource.delayed.map(rounded),
        })
    };
    json!({
        "kind": limit.kind.name(),
        "program": limit.program,
        "by": limit.by,
        "lock": if limit.lock { limit.by.clone() } else { None },
        "text": limit.text,
        "evidence": {
            "resources": limit.resources.iter().map(resource).collect::<Vec<_>>(),
            "rates": rates,
        },
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "kind": finding.kind.name(),
        "at_ns": finding.at_ns,
        "program": finding.program,
        "subject": finding.subject,
        "len_ns": finding.len_ns,
        "every_ns": finding.every_ns,
        "every_count": finding.every_count,
        "keys": keys(&finding.keys),
        "count": finding.count,
        "common": finding.common.as_ref().map(|common| json!({
            "property": common.property,
            "value": common.value,
            "spans": common.spans,
            "spans_with": common.spans_with,
            "others": common.others,
            "others_with": common.others_with,
            "time_share": rounded(common.time_share),
        })),
        "text": finding.text,
    })
}

fn worst(slow: &Slow, diagnosis: &Diagnosis) -> Value {
    let steps: Map<String, Value> = diagnosis
        .route
        .steps
        .iter()
        .zip(&slow.steps_ns)
        .map(|(step, &time_ns)| (step.name.clone(), time_ns.into()))
        .collect();
    json!({
        "key": key(&slow.key),
        "latency_ns": slow.total_ns,
        "entered_ns": slow.entered_ns,
        "steps_ns": steps,
        "reason": slow.reason,
    })
}

fn keys(keys: &[KeyValue]) -> Value {
    keys.iter().map(key).collect()
}

/// A share or a rate with as many digits as it is worth.
fn rounded(value: f64) -> Value {
    Value::from((value * 1e4).round() / 1e4)
}
