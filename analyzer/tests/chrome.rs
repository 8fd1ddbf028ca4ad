//! Chrome JSON: what it looks like, and that it draws exactly what the analysis counts.

mod made;

use std::collections::BTreeMap;

use made::{DOCUMENTED_LOG, golden, pipeline_log, trace_of};
use serde_json::Value;
use tracer_analyzer::analysis::{Analysis, analyze};
use tracer_analyzer::pair::Class;
use tracer_analyzer::picture::Probes;
use tracer_analyzer::picture::chrome::export;
use tracer_analyzer::select::Selection;
use tracer_analyzer::stage::{Stage, choose};
use tracer_format::Trace;

fn exported(log: &str) -> (Analysis, String) {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let drafts = choose(&[], &trace.definitions).unwrap();
    let stages: Vec<Stage> = drafts.into_iter().map(|draft| draft.stage).collect();
    let mut out = Vec::new();
    let analysis = analyze(&trace, &Selection::all(), &stages, &mut ()).unwrap();
    assert_eq!(
        export(&trace, &Selection::all(), &stages, Probes::Drawn, &mut out).unwrap(),
        analysis.outcome
    );
    (analysis, String::from_utf8(out).unwrap())
}

/// Events by kind and category.
fn counts(document: &Value) -> BTreeMap<(String, String), u64> {
    let mut counts = BTreeMap::new();
    for event in document["traceEvents"].as_array().unwrap() {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        *counts.entry((text("ph"), text("cat"))).or_default() += 1;
    }
    counts
}

#[test]
fn the_documented_log_is_drawn_so() {
    golden("documented.chrome.json", &exported(DOCUMENTED_LOG).1);
}

#[test]
fn a_pipeline_with_loss_is_drawn_so() {
    golden("pipeline.chrome.json", &exported(&pipeline_log()).1);
}

#[test]
fn without_probes_all_but_the_events_is_drawn() {
    let bytes = trace_of(&pipeline_log());
    let trace = Trace::open(&bytes).unwrap();
    let stages: Vec<Stage> =
        choose(&[], &trace.definitions).unwrap().into_iter().map(|draft| draft.stage).collect();
    let drawn = |probes| {
        let mut out = Vec::new();
        let outcome = export(&trace, &Selection::all(), &stages, probes, &mut out).unwrap();
        (outcome, String::from_utf8(out).unwrap())
    };
    let ((outcome, all), (same, others)) = (drawn(Probes::Drawn), drawn(Probes::LeftOut));
    let is_event = |line: &&str| line.contains("\"cat\":\"probe\"");
    assert_eq!((outcome, all.lines().filter(is_event).count()), (same, 28));
    serde_json::from_str::<Value>(&others).unwrap();
    let expected: Vec<&str> = all.lines().filter(|line| !is_event(line)).collect();
    assert_eq!(others.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn slices_and_arrows_are_as_many_as_the_analysis_counts() {
    for log in [DOCUMENTED_LOG.to_owned(), pipeline_log(), String::new()] {
        let (analysis, json) = exported(&log);
        let document: Value = serde_json::from_str(&json).unwrap();
        let counts = counts(&document);
        let of =
            |kind: &str, category: &str| counts.get(&(kind.into(), category.into())).copied().unwrap_or(0);
        let complete: u64 = analysis.stages.iter().map(|report| report.classes.of(Class::Complete)).sum();
        let hand_offs: u64 = analysis.hand_offs.iter().map(|report| report.latency.count()).sum();
        assert_eq!(of("B", "stage") + of("b", "stage"), complete);
        assert_eq!((of("E", "stage"), of("e", "stage")), (of("B", "stage"), of("b", "stage")));
        assert_eq!((of("s", "hand-off"), of("f", "hand-off")), (hand_offs, hand_offs));
        assert_eq!(of("i", "probe"), analysis.outcome.events);
        assert_eq!((of("b", "loss"), of("e", "loss")), (analysis.outcome.gaps, analysis.outcome.gaps));
    }
}

#[test]
fn arrows_go_forward_between_slices_that_hold_them() {
    let document: Value = serde_json::from_str(&exported(&pipeline_log()).1).unwrap();
    let events = document["traceEvents"].as_array().unwrap();
    let time = |event: &Value| event["ts"].as_f64().unwrap();
    let flows = |kind: &str| {
        let of_kind = events.iter().filter(|event| event["ph"] == kind);
        of_kind.map(|event| (event["id"].as_str().unwrap(), event)).collect::<BTreeMap<_, _>>()
    };
    let (starts, finishes) = (flows("s"), flows("f"));
    assert_eq!(starts.len(), finishes.len(), "one id an arrow");
    for (id, start) in &starts {
        assert!(time(start) <= time(finishes[id]), "{id}");
        for end in [start, &finishes[id]] {
            let mut depth = 0;
            let mut held = false;
            for event in events.iter().filter(|event| event["tid"] == end["tid"]) {
                match event["ph"].as_str().unwrap() {
                    "B" if time(event) <= time(end) => depth += 1,
                    "E" if time(event) < time(end) => depth -= 1,
                    "E" if time(event) == time(end) && depth > 0 => held = true,
                    _ => {}
                }
            }
            assert!(depth > 0 || held, "{end}");
        }
    }
}
