//! Spans told apart by a value: of an argument, a text, a thread; in bounded memory.

mod made;
mod schema;

use std::fmt::Write as _;

use made::trace_of;
use schema::misfits;
use serde_json::Value;
use tracer_analyzer::analysis::analyze;
use tracer_analyzer::analysis::group::{GroupBy, GroupTable, Grouping};
use tracer_analyzer::screen::json;
use tracer_analyzer::select::Selection;
use tracer_analyzer::stage::Stage;
use tracer_format::Trace;

/// Events, each `time pid probe arguments`, as the log has them.
fn log(events: &[(u64, u32, &str, &str)]) -> String {
    let mut log = String::from("\nTrace started. Ctrl-C to stop.\n\n");
    for (time_ns, pid, probe, args) in events {
        writeln!(log, "[{time_ns:>16}] [PID:{pid:>7}] {:<12} {probe:<30} | {args}", "server").unwrap();
    }
    log
}

fn grouped(log: &str, stage: &str, by: &str) -> GroupTable {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let stages: [Stage; 1] = [stage.parse().unwrap()];
    let mut grouping = Grouping::new(&stages, &trace.definitions, &[(0, by.parse::<GroupBy>().unwrap())]);
    analyze(&trace, &Selection::all(), &stages, &mut grouping).unwrap();
    grouping.tables().remove(0)
}

/// Value, spans and time of each group, the largest first.
fn shown(table: &GroupTable) -> Vec<(&str, u64, i128)> {
    let groups = table.groups.iter();
    groups.map(|group| (&group.value[..], group.latency.count(), group.latency.sum_ns())).collect()
}

const QUERY: &str = "query = db:start -> db:done by tid";

#[test]
fn texts_are_told_apart_as_they_are_and_by_their_shape() {
    let log = log(&[
        (10, 1, "db:start", "Seq: - | arg0: \"GET 1\""),
        (15, 2, "db:start", "Seq: - | arg0: \"GET 2\""),
        (30, 1, "db:done", "Seq: -"),
        (45, 2, "db:done", "Seq: -"),
        (50, 1, "db:start", "Seq: - | arg0: \"END\""),
        (55, 1, "db:done", "Seq: -"),
        (60, 1, "db:start", "Seq: - | arg0: \"GET 3\""),
    ]);
    let by_text = grouped(&log, QUERY, "str");
    assert_eq!(shown(&by_text), [("GET 2", 1, 30), ("GET 1", 1, 20), ("END", 1, 5)]);
    let by_shape = grouped(&log, QUERY, "sql");
    assert_eq!(shown(&by_shape), [("GET ?", 2, 50), ("END", 1, 5)]);
    assert_eq!((by_shape.others.count(), by_shape.without.count()), (0, 0));
    assert_eq!(shown(&grouped(&log, QUERY, "pid")), [("2 server", 1, 30), ("1 server", 2, 25)]);
    assert_eq!(shown(&grouped(&log, QUERY, "program")), [("server", 3, 55)]);
}

#[test]
fn nested_spans_have_the_value_of_their_own_begin() {
    let log = log(&[
        (10, 1, "db:start", "Seq: 1 | arg1: 7"),
        (20, 1, "db:start", "Seq: 1 | arg1: 8"),
        (23, 1, "db:done", "Seq: 1"),
        (40, 1, "db:done", "Seq: 1"),
    ]);
    assert_eq!(shown(&grouped(&log, QUERY, "arg1")), [("7", 1, 30), ("8", 1, 3)]);
}

#[test]
fn the_end_has_the_value_where_no_begin_does() {
    let log = log(&[
        (10, 1, "db:start", "Seq: 1"),
        (13, 1, "db:done", "Seq: 1 | arg1: -5"),
        (20, 1, "db:start", "Seq: 1"),
        (30, 1, "db:done", "Seq: 1 | arg1: 9"),
    ]);
    assert_eq!(shown(&grouped(&log, QUERY, "arg1")), [("9", 1, 10), ("-5", 1, 3)]);
    let none = grouped(&log, QUERY, "arg2");
    assert_eq!((none.groups.len(), none.without.count()), (0, 2));
}

#[test]
fn the_json_fits_its_schema() {
    let bytes = trace_of(&log(&[(10, 1, "db:start", "Seq: 1"), (13, 1, "db:done", "Seq: 1")]));
    let trace = Trace::open(&bytes).unwrap();
    let stages: [Stage; 1] = [QUERY.parse().unwrap()];
    let mut grouping = Grouping::new(&stages, &trace.definitions, &[(0, GroupBy::Cpu)]);
    let mut analysis = analyze(&trace, &Selection::all(), &stages, &mut grouping).unwrap();
    analysis.groups = Some((GroupBy::Cpu, grouping.tables()));
    let document: Value = serde_json::from_str(&json(&analysis)).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../../format-spec/analyze.schema.json")).unwrap();
    let wrong = misfits(&document, &schema, &schema, "$");
    assert!(wrong.is_empty(), "{wrong:?}");
    let group = &document["groups"]["stages"][0]["values"][0];
    assert_eq!((&group["value"], &group["spans"], &group["total_ns"]), (&"0".into(), &1.into(), &3.into()));
}

#[test]
fn many_values_are_counted_together() {
    let mut events = Vec::new();
    let texts: Vec<String> = (0..300).map(|value| format!("Seq: {value}")).collect();
    for (at, text) in (0..).zip(&texts) {
        events.push((10 * at, 1, "db:start", &text[..]));
        events.push((10 * at + 3, 1, "db:done", &text[..]));
    }
    let table = grouped(&log(&events), QUERY, "arg0");
    assert_eq!((table.groups.len(), table.others.count(), table.without.count()), (256, 44, 0));
    assert_eq!((table.sum_ns(), table.others.sum_ns()), (900, 132));
}
