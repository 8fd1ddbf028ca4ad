//! Budgets of `tracer analyze` and `tracer diff`: what fails, what cannot be said, and the forms for CI.

use std::fmt::Write as _;

use serde_json::Value;

use crate::tool::{Folder, stderr, stdout};

const LOSS: &str = "[      5000000000] Lost 7 events on CPU 1 since 4000000000\n";
const NO_END: &str = "[      6000000000] [PID:      7] worker       p:beg_idle                     | Seq: 1\n\
                      [   0] Found probe end_idle                            in 'worker'\n";

/// Writes a trace of 100 spans of the stage "work" that take `latency_ns`, and of what `more` says.
fn trace(folder: &Folder, name: &str, latency_ns: u64, more: &str) {
    let mut log = String::new();
    for key in 1..=100 {
        for (time_ns, side) in [(10_000_000 * key, "beg"), (10_000_000 * key + latency_ns, "end")] {
            writeln!(log, "[{time_ns:>16}] [PID:      7] worker       p:{side}_work | Seq: {key}")
                .expect("written");
        }
    }
    folder.write("log", log + more);
    let code = if more.contains("] Lost ") { 3 } else { 0 };
    stdout(&folder.tracer(&["import", "log", "-o", name]), code);
}

#[test]
fn a_condition_that_holds_fails() {
    let folder = Folder::new("budget-broken");
    trace(&folder, "t", 2_000_000, "");
    for condition in ["work.p99 > 1ms", "work.count < 101", "events >= 200", "work.max == 2ms"] {
        let output = folder.tracer(&["analyze", "t", "--fail-if", "loss > 0", "--fail-if", condition]);
        let shown = stdout(&output, 1);
        assert!(shown.contains("BROKEN") && shown.contains("kept"), "{shown}");
        assert_eq!(stderr(&output), format!("tracer: the budget is broken: {condition}\n"));
    }
    for condition in ["work.p99 > 2ms", "work.count < 100", "work.open > 0", "work.p99.9 > 1s", "loss > 0"] {
        let output = folder.tracer(&["analyze", "t", "--fail-if", condition]);
        assert!(stdout(&output, 0).contains("kept"), "{condition}");
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn what_cannot_be_known_never_passes_in_silence() {
    let folder = Folder::new("budget-unknown");
    trace(&folder, "lossy", 2_000_000, LOSS);
    trace(&folder, "open", 2_000_000, NO_END);
    for (file, condition, code, text) in [
        ("lossy", "work.p99 > 5ms", 3, "unknown: 7 events lost"),
        ("lossy", "work.p99 > 1ms", 1, "BROKEN"),
        ("lossy", "loss > 6", 1, "BROKEN"),
        ("lossy", "loss > 7", 3, "kept"),
        ("lossy", "work.count < 100", 3, "kept"),
        ("lossy", "work.count > 100", 3, "unknown: 7 events lost"),
        ("open", "idle.p99 > 5ms", 3, "unknown: "),
        ("open", "idle.count < 1", 1, "BROKEN"),
        ("open", "idle.open >= 1", 1, "BROKEN"),
        ("open", "work -> idle.max > 1ms", 3, "unknown: no such stage or wait was seen"),
    ] {
        let output = folder.tracer(&["analyze", file, "--fail-if", condition]);
        let shown = stdout(&output, code);
        let row = shown.lines().find(|line| line.starts_with(condition)).unwrap_or_default();
        assert!(row.contains(text), "{condition}: {shown}");
        let is_named = stderr(&output).contains(&format!("of the budget cannot be judged: {condition}"));
        assert_eq!(is_named, text.starts_with("unknown"), "{condition}: {}", stderr(&output));
    }
}

#[test]
fn a_misspelled_condition_is_refused_before_the_analysis() {
    let folder = Folder::new("budget-usage");
    trace(&folder, "t", 2_000_000, "");
    folder.write("b.toml", "fail_if = [\n\"wrok.p99 > 1ms\"]\n");
    folder.write("bad.toml", "fail_if = [\n\"work.p98 > 1ms\"]\n");
    for (args, code, text) in [
        (
            &["--fail-if", "wrok.p99 > 1ms"][..],
            2,
            "there is no stage wrok; the nearest is work; expected a stage of",
        ),
        (&["--budget", "b.toml"], 2, "there is no stage wrok; the nearest is work; expected a stage of"),
        (&["--fail-if", "work -> wrok.p99 > 1ms"], 2, "there is no stage wrok; the nearest is work"),
        (&["--fail-if", "work.p98 > 1ms"], 2, "there is no quantity p98; the nearest are p90, p99 and p999"),
        (
            &["--budget", "bad.toml"],
            1,
            "tracer: bad.toml: line 2: found \"\\\"work.p98 > 1ms\\\"]\": condition \"work.p98",
        ),
        (&["--budget", "none.toml"], 1, "tracer: none.toml: "),
        (&["--junit", "out.xml"], 2, "--junit needs a condition: --fail-if or --budget"),
    ] {
        for verb in [&["analyze", "t"][..], &["diff", "t", "t"]] {
            if args[0] == "--junit" && verb[0] == "diff" {
                continue;
            }
            let output = folder.tracer(&[verb, args].concat());
            assert_eq!(stdout(&output, code), "", "{args:?}");
            assert!(stderr(&output).contains(text), "{args:?}: {}", stderr(&output));
        }
    }
}

#[test]
fn ci_servers_read_json_markdown_and_junit() {
    let folder = Folder::new("budget-forms");
    trace(&folder, "a<b", 2_000_000, "");
    folder.write("b.toml", "fail_if = ['work.p99 > 1ms', 'work.count < 1']\n");
    let args = ["analyze", "a<b", "--budget", "b.toml", "--junit", "out.xml", "--format"];
    let shown = stdout(&folder.tracer(&[&args[..], &["json"]].concat()), 1);
    let document: Value = serde_json::from_str(&shown).expect("JSON");
    let of = |at: usize| {
        ["condition", "standing", "found", "limit"].map(|name| document["budget"][at][name].clone())
    };
    assert_eq!(of(0), ["work.p99 > 1ms".into(), "broken".into(), 2_000_000.into(), Value::from(1_000_000)]);
    assert_eq!(of(1), ["work.count < 1".into(), "kept".into(), 100.into(), Value::from(1)]);
    let xml = std::fs::read_to_string(folder.path("out.xml")).expect("JUnit XML");
    assert_eq!(
        xml,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites tests=\"2\" failures=\"1\" errors=\"0\">\n\
         <testsuite name=\"tracer analyze\" tests=\"2\" failures=\"1\" errors=\"0\">\n\
         <testcase classname=\"budget of a&lt;b\" name=\"work.p99 &gt; 1ms\"><failure message=\"found 2.000 ms\"/></testcase>\n\
         <testcase classname=\"budget of a&lt;b\" name=\"work.count &lt; 1\"/>\n\
         </testsuite>\n</testsuites>\n"
    );
    // An existing file is replaced only when that is asked for.
    let again = folder.tracer(&[&args[..], &["markdown"]].concat());
    assert!(stderr(&again).contains("out.xml exists"), "{}", stderr(&again));
    let shown = stdout(&folder.tracer(&[&args[..], &["markdown", "--force"]].concat()), 1);
    assert!(shown.contains("| work.p99 > 1ms | 2.000 ms | BROKEN |"), "{shown}");
}

#[test]
fn diff_holds_each_new_run_to_the_budget() {
    let folder = Folder::new("budget-diff");
    for (more_ns, name) in (0..).zip(["b1", "b2", "b3", "n1", "n2"]) {
        trace(&folder, name, 2_000_000 + more_ns, "");
    }
    trace(&folder, "n3", 2_010_000, "");
    let diff = |condition: &str, more: &[&str]| {
        let args = ["diff", "--base", "b1", "b2", "b3", "--new", "n1", "n2", "n3", "--fail-if", condition];
        folder.tracer(&[&args[..], more].concat())
    };
    let output = diff("work.max > 2005us", &["--junit", "out.xml"]);
    let shown = stdout(&output, 1);
    assert!(shown.contains("BROKEN in 1 of 3 runs, first in n3"), "{shown}");
    assert_eq!(stderr(&output), "tracer: the budget is broken: work.max > 2005us\n");
    let xml = std::fs::read_to_string(folder.path("out.xml")).expect("JUnit XML");
    assert!(
        xml.contains("<testsuite name=\"tracer diff\" tests=\"6\" failures=\"1\" errors=\"0\">"),
        "{xml}"
    );
    assert!(xml.contains("<testcase classname=\"stages\" name=\"work\"/>"), "{xml}");
    stdout(&diff("work.count < 100", &[]), 0);
    let document: Value =
        serde_json::from_str(&stdout(&diff("loss > 0", &["--format", "json"]), 0)).expect("JSON");
    assert_eq!(
        (&document["budget"][2]["run"], &document["budget"][2]["standing"]),
        (&"n3".into(), &"kept".into())
    );
    // Slower, and over the budget: both are said.
    trace(&folder, "slow", 4_000_000, "");
    let output = folder.tracer(&["diff", "b1", "slow", "--fail-if", "work.p50 > 3ms"]);
    stdout(&output, 1);
    let expected = "tracer: the budget is broken: work.p50 > 3ms\ntracer: 1 stage got slower: work\n";
    assert_eq!(stderr(&output), expected);
    // A stage that is gone is no misspelled one.
    folder.write("log", "[1] [PID:7] worker p:other | Seq: 1\n");
    stdout(&folder.tracer(&["import", "log", "-o", "gone"]), 0);
    let output = folder.tracer(&["diff", "b1", "gone", "--fail-if", "work.p50 > 3ms"]);
    assert!(stdout(&output, 3).contains("unknown: no such stage or wait was seen"));
}
