//! `tracer diff` as a process: what goes where, and the exit codes that CI relies on.

use std::fmt::Write as _;

use crate::tool::{Folder, stderr, stdout};

/// Writes a trace with a span of `latency_ns` and a bit for each of 100 keys.
fn trace(folder: &Folder, name: &str, stage: &str, latency_ns: u64, more: &str) {
    let mut log = String::new();
    for key in 0..100 {
        let begin_ns = 10_000_000 * (key + 1);
        let end_ns = begin_ns + latency_ns + key;
        for (time_ns, side) in [(begin_ns, "beg"), (end_ns, "end")] {
            let probe = format!("p:{side}_{stage}");
            writeln!(log, "[{time_ns:>16}] [PID:      7] worker       {probe:<30} | Seq: {key}")
                .expect("written");
        }
    }
    folder.write("log", log + more);
    let code = if more.contains("] Lost ") { 3 } else { 0 };
    stdout(&folder.tracer(&["import", "log", "-o", name]), code);
}

#[test]
fn a_slower_stage_fails_and_is_named() {
    let folder = Folder::new("diff-slower");
    trace(&folder, "base", "work", 100_000, "");
    trace(&folder, "new", "work", 150_000, "");
    let output = folder.tracer(&["diff", "base", "new"]);
    let shown = stdout(&output, 1);
    assert!(shown.starts_with("1 stage slower, of 1\n"), "{shown}");
    assert!(shown.contains("slower (p50"), "{shown}");
    assert_eq!(stderr(&output), "tracer: 1 stage got slower: work\n");
    // The other way round, and where so much is allowed.
    for args in [&["diff", "new", "base"][..], &["diff", "--threshold", "60%", "base", "new"]] {
        let output = folder.tracer(args);
        stdout(&output, 0);
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn what_cannot_be_compared_is_exit_code_3() {
    let folder = Folder::new("diff-uncertain");
    trace(&folder, "base", "work", 100_000, "");
    trace(&folder, "other", "play", 100_000, "");
    folder.write("log", "");
    stdout(&folder.tracer(&["import", "log", "-o", "none"]), 0);
    trace(&folder, "again", "work", 100_001, "");
    std::fs::copy(folder.path("base"), folder.path("copy")).expect("copied");
    trace(&folder, "lossy", "work", 100_000, "[      5000000000] Lost 7 events on CPU 1 since 4000000000\n");
    for (args, expected) in [
        (
            &["base", "other"][..],
            "tracer: 1 stage gone: work\ntracer: nothing was compared: no stage has a complete span on both sides\n",
        ),
        // Of probes that the base does not have yet nothing was said, with the exit code 3.
        (&["none", "base"], "tracer: nothing was compared: no stage has a complete span on both sides\n"),
        // A folder and a pattern were taken for the name of a file, with exit code 1.
        (&["none*.trace", "base"], "tracer: BASE: no file matches none*.trace: nothing was compared\n"),
        (&["base", "base"], "tracer: base is on both sides: it was compared with itself\n"),
        (&["base", "./base"], "tracer: ./base is the same trace as base: it was compared with itself\n"),
        (&["base", "copy"], "tracer: copy is the same trace as base: it was compared with itself\n"),
        (
            &["--base", "base", "again", "--new", "copy", "again"],
            "tracer: again and 1 more are on both sides: they were compared with themselves\n",
        ),
        (&["base", "lossy"], "tracer: lossy: 7 events lost while recording, in 1 gap\n"),
        (&["--min-spans", "101", "base", "again"], "tracer: 1 stage with too few spans to judge: work\n"),
        (&["--by", "p50,p99", "base", "again"], "tracer: 1 stage with too few spans to judge: work\n"),
    ] {
        let output = folder.tracer(&[&["diff"], args].concat());
        stdout(&output, 3);
        assert_eq!(stderr(&output), expected, "{args:?}");
    }
    // The job summary said only that nothing got slower.
    let summary = stdout(&folder.tracer(&["diff", "--format", "markdown", "base", "copy"]), 3);
    assert!(summary.contains("copy is the same trace as base: it was compared with itself"), "{summary}");
    let document: serde_json::Value =
        serde_json::from_str(&stdout(&folder.tracer(&["diff", "--format", "json", "base", "copy"]), 3))
            .expect("JSON");
    assert_eq!(
        (&document["uncertain"], &document["with_itself"]),
        (&true.into(), &"copy is the same trace as base: it was compared with itself".into())
    );
    // It said "none of 1 stage got slower".
    assert!(summary.starts_with("the one stage did not get slower, as far as can be seen"), "{summary}");
    // A slower stage is one even where something was lost.
    trace(&folder, "slow", "work", 200_000, "[      5000000000] Lost 7 events on CPU 1 since 4000000000\n");
    let output = folder.tracer(&["diff", "base", "slow"]);
    stdout(&output, 1);
    assert!(stderr(&output).ends_with("tracer: 1 stage got slower: work\n"), "{}", stderr(&output));
}

#[test]
fn several_runs_a_side_are_named_by_patterns() {
    let folder = Folder::new("diff-runs");
    for (name, latency_ns) in [("a1", 100_000), ("a2", 101_000), ("a3", 99_000)] {
        trace(&folder, &format!("{name}.trace"), "work", latency_ns, "");
        trace(&folder, &format!("b{name}.trace"), "work", latency_ns * 3 / 2, "");
    }
    let shown = stdout(&folder.tracer(&["diff", "--base", "a*.trace", "--new", "ba?.trace"]), 1);
    assert!(shown.contains("base: 3 runs, 600 events"), "{shown}");
    assert!(!shown.contains("fewer than 3 runs"), "{shown}");
    assert_eq!(stdout(&folder.tracer(&["diff", "a*.trace", "ba?.trace"]), 1), shown);
    let listed = ["diff", "--base", "a1.trace", "a2.trace", "--new", "a3.trace", "--format", "json"];
    let document: serde_json::Value =
        serde_json::from_str(&stdout(&folder.tracer(&listed), 0)).expect("JSON");
    assert_eq!((&document["base"]["runs"], &document["new"]["runs"]), (&2.into(), &1.into()));
    // The same run is none more, whatever its file is called.
    std::fs::copy(folder.path("a1.trace"), folder.path("c1.trace")).expect("copied");
    let output = folder.tracer(&["diff", "--base", "a1.trace", "c1.trace", "--new", "a3.trace"]);
    assert!(stdout(&output, 0).contains("base: 1 run, 200 events"));
    assert_eq!(stderr(&output), "tracer: c1.trace is the same trace as a1.trace: taken once\n");
    // Nothing to compare is no success.
    let output = folder.tracer(&["diff", "--base", "a*.trace", "--new", "none*.trace"]);
    assert_eq!(stdout(&output, 3), "");
    assert_eq!(stderr(&output), "tracer: --new: no file matches none*.trace: nothing was compared\n");
    let output = folder.tracer(&["diff", "--base", ".", "--new", "a3.trace"]);
    assert_eq!(stdout(&output, 2), "");
    assert_eq!(stderr(&output), "tracer: --base: . is a directory; give the traces in it: './*.trace'\n");
    let output = folder.tracer(&["diff", "a1.trace", "."]);
    assert_eq!(stdout(&output, 2), "");
    assert_eq!(stderr(&output), "tracer: NEW: . is a directory; give the traces in it: './*.trace'\n");
    // What a pattern without quotes gives.
    let output = folder.tracer(&["diff", "a1.trace", "a2.trace", "ba1.trace", "ba2.trace"]);
    assert_eq!(stdout(&output, 2), "");
    assert_eq!(stderr(&output), "tracer: several files a side are given as --base FILES --new FILES\n");
    // It asked for BASE and NEW as well.
    let output = folder.tracer(&["diff", "--base", "a*.trace"]);
    assert_eq!(stdout(&output, 2), "");
    assert!(stderr(&output).contains("  --new <FILES>...\n") && !stderr(&output).contains("<NEW>"));
    folder.write("log", "");
    stdout(&folder.tracer(&["import", "log", "-o", "empty.trace"]), 0);
    let output = folder.tracer(&["diff", "empty.trace", "empty.trace"]);
    stdout(&output, 3);
    assert!(stderr(&output).contains("nothing was compared"), "{}", stderr(&output));
}

#[test]
fn filters_stages_and_formats_are_those_of_analyze() {
    let folder = Folder::new("diff-options");
    trace(&folder, "base", "work", 100_000, "");
    trace(&folder, "new", "work", 100_001, "");
    let shown = stdout(&folder.tracer(&["diff", "--format", "json", "--seq", "0..49", "base", "new"]), 0);
    let document: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(document["stages"][0]["new"]["complete"], 50);
    let stage = "mine = p:beg_work -> p:end_work";
    let shown = stdout(&folder.tracer(&["diff", "--format", "markdown", "--stage", stage, "base", "new"]), 0);
    assert!(shown.contains("| mine | base | 100 |"), "{shown}");
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let folder = Folder::new("diff-usage");
    for args in [
        &["-", "-"][..],
        &["a", "b", "--threshold", "ten"],
        &["a", "b", "--threshold=-1%"],
        &["a"],
        &["--base", "a"],
        &["a", "b", "--new", "c"],
    ] {
        let output = folder.tracer(&[&["diff"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
    }
}
