//! Reports of an analysis: what they look like (`tests/golden`), and that the JSON fits its schema.

mod made;
mod pipeline;
mod schema;

use made::{DOCUMENTED_LOG, golden, log_of, trace_of};
use pipeline::Pipeline;
use schema::misfits;
use serde_json::Value;
use tracer_analyzer::analysis::budget::answers;
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::analysis::{Analysis, FIRST_SPANS, Growth, analyze};
use tracer_analyzer::report::{markdown, text, text_within};
use tracer_analyzer::screen::json;
use tracer_analyzer::screen::{Detail, report};
use tracer_analyzer::select::Selection;
use tracer_analyzer::stage::{Draft, Stage, choose};
use tracer_format::Trace;

const SCHEMA: &str = include_str!("../../format-spec/analyze.schema.json");

fn analyzed(log: &str, given: &[&str]) -> Analysis {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let given: Vec<Draft> = given.iter().map(|stage| stage.parse().unwrap()).collect();
    let drafts = choose(&given, &trace.definitions).unwrap();
    let stages: Vec<Stage> = drafts.into_iter().map(|draft| draft.stage).collect();
    analyze(&trace, &Selection::all(), &stages, &mut ()).unwrap()
}

/// The same with all that the tool says of it.
fn diagnosed(log: &str, given: &[&str]) -> Analysis {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let stages: Vec<Stage> = analyzed(log, given).stages.into_iter().map(|report| report.stage).collect();
    let watch = Watch::new(&stages, &trace.definitions, Selection::all().time_range(&trace));
    let mut sinks = (watch, Growth::new(&stages));
    let mut analysis = analyze(&trace, &Selection::all(), &stages, &mut sinks).unwrap();
    analysis.tree = Some(sinks.1.tree());
    analysis.diagnosis = Some(diagnose(sinks.0, &analysis, 5));
    analysis
}

/// A pipeline whose processor stands still once.
fn stalled_log() -> String {
    let stall = Some(("processor", 1_500_000_000, 100_000_000));
    Pipeline { seed: 3, buffers: 600, stall, ..Pipeline::default() }.log()
}

/// A pipeline with every irregularity and a loss.
fn irregular_log() -> String {
    let events = "
        100:beg_total:1 150:beg_work:1 1150:end_work:1 1200:end_total:1
        2000:beg_total:2 2010:beg_work:2 2020:beg_work:2 2500:end_work:2 2600:end_total:2
        3000:beg_total:3 3100:end_work:4 3200:end_total:5 3300:beg_total:5 3400:end_total:3
        4000:beg_total:6 4100:beg_total:7 4500:end_total:7 4600:end_total:6 4700:end_total:6
        5000:beg_total:8 5100:beg_work:8 5500:end_work:8 6000:end_total:8 7000:beg_total:9
        7100:beg_total:? 7200:never_start:1";
    log_of(events)
        + "[            5300] Lost 7 events on CPU 1 since 5200\n[   0] Found probe never_done in 'a'\n"
}

#[test]
fn reports_of_the_documented_log_are_these() {
    let analysis = analyzed(DOCUMENTED_LOG, &[]);
    golden("documented.txt", &text(&report(&analysis, Detail::Usual)));
    golden("documented.md", &markdown(&report(&analysis, Detail::Usual)));
    golden("documented.json", &json(&analysis));
}

#[test]
fn reports_with_loss_and_every_class_are_these() {
    let analysis = analyzed(&irregular_log(), &[]);
    golden("irregular.txt", &text(&report(&analysis, Detail::Usual)));
    golden("irregular.md", &markdown(&report(&analysis, Detail::Usual)));
    golden("irregular.json", &json(&analysis));
}

#[test]
fn a_trace_without_stages_says_how_to_name_one() {
    let analysis = analyzed(&log_of("1:a:1 2:b:1"), &[]);
    let shown = text(&report(&analysis, Detail::Usual));
    assert!(shown.contains("No stage was seen. Give one with --stage"), "{shown}");
    assert!(shown.contains("probe  events") && shown.contains("p:a         1"), "{shown}");
}

#[test]
fn a_name_cannot_drive_the_terminal() {
    let log = log_of("1:beg_a:1 2:end_a:1").replace("_a", "_a\\x1b[2J");
    let analysis = analyzed(&log, &[]);
    for shown in [
        text(&report(&analysis, Detail::Usual)),
        markdown(&report(&analysis, Detail::Usual)),
        json(&analysis),
    ] {
        assert!(shown.contains("[2J") && !shown.contains('\x1b'), "{shown}");
    }
}

#[test]
fn the_first_spans_are_listed() {
    let events = |keys: usize| {
        (0..keys).map(|key| format!("{key}:beg_a:{key} {key}:end_a:{key} ")).collect::<String>()
    };
    for (keys, left_out) in [(FIRST_SPANS, 0), (FIRST_SPANS + 3, 3)] {
        let document: Value = serde_json::from_str(&json(&analyzed(&log_of(&events(keys)), &[]))).unwrap();
        let stage = &document["stages"][0];
        assert_eq!(
            (stage["spans"].as_array().unwrap().len(), &stage["spans_left_out"]),
            (100, &Value::from(left_out))
        );
    }
}

#[test]
fn the_json_fits_its_schema() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let cases = [
        (DOCUMENTED_LOG.to_owned(), vec![]),
        (irregular_log(), vec![]),
        (irregular_log(), vec!["x = p:beg_total -> p:end_total by seq,pid"]),
        (log_of("1:a:1"), vec![]),
        (String::new(), vec![]),
    ];
    let conditions =
        ["total.p99 > 1ns", "total.count < 1", "none.p99 > 1ms", "loss > 0"].map(|it| it.parse().unwrap());
    for (log, stages) in cases {
        let mut analysis = analyzed(&log, &stages);
        analysis.budget = answers(&conditions, &analysis);
        let document: Value = serde_json::from_str(&json(&analysis)).unwrap();
        let wrong = misfits(&document, &schema, &schema, "$");
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    for (log, given) in
        [(stalled_log(), vec![]), (irregular_log(), vec!["x = p:beg_work -> p:end_work by tid"])]
    {
        let document: Value = serde_json::from_str(&json(&diagnosed(&log, &given))).unwrap();
        let wrong = misfits(&document, &schema, &schema, "$");
        assert!(wrong.is_empty(), "{wrong:?}");
    }
    // The check finds what does not fit.
    let document: Value = serde_json::json!({ "version": 2, "events": "many", "more": 1 });
    let wrong = misfits(&document, &schema, &schema, "$");
    assert!(wrong.len() >= 4, "{wrong:?}");
}

#[test]
fn the_screen_of_a_stalled_pipeline_is_this_one() {
    let analysis = diagnosed(&stalled_log(), &[]);
    golden("stalled.txt", &text_within(&report(&analysis, Detail::Usual), 80));
    golden("stalled-wide.txt", &text_within(&report(&analysis, Detail::Usual), 120));
    golden("stalled.md", &markdown(&report(&analysis, Detail::Usual)));
}

#[test]
fn no_number_is_cut_however_narrow_the_screen() {
    let analysis = diagnosed(&stalled_log(), &[]);
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let wide = words(&text(&report(&analysis, Detail::All)));
    assert_eq!(words(&text_within(&report(&analysis, Detail::All), 20)), wide);
    let narrow = text_within(&report(&analysis, Detail::Usual), 60);
    assert!(words(&narrow).iter().all(|word| wide.contains(word)), "{narrow}");
}
