//! Keys that `tracer` chooses: in reports, in files, and refused.

use std::fmt::Write as _;

use crate::tool::{Folder, stderr, stdout};

/// A trace of these events, each `pid probe argument`, a microsecond apart.
fn trace(folder: &Folder, name: &str, events: &[(u32, &str, i64)]) -> String {
    let mut log = String::from("\nTrace started. Ctrl-C to stop.\n\n");
    for (at, (pid, probe, seq)) in (1_u64..).zip(events) {
        writeln!(log, "[{:>16}] [PID:{pid:>7}] {:<12} {probe:<30} | Seq: {seq}", at * 1000, "server")
            .expect("written");
    }
    folder.write("log", log);
    stdout(&folder.tracer(&["import", "log", "-f", "-o", name]), 0);
    name.to_owned()
}

fn report(folder: &Folder, args: &[&str], code: i32) -> serde_json::Value {
    let output = folder.tracer(&[&["analyze", "--format", "json"], args].concat());
    serde_json::from_str(&stdout(&output, code)).expect("JSON")
}

/// Two processes whose queries overlap and whose arguments are the same pointer.
fn forked() -> Vec<(u32, &'static str, i64)> {
    let both = |probe| [(7, probe, 4096), (8, probe, 4096)];
    (0..20).flat_map(|_| [both("db:query__start"), both("db:query__done")]).flatten().collect()
}

#[test]
fn a_key_is_chosen_shown_and_kept() {
    let folder = Folder::new("keys-chosen");
    let trace = trace(&folder, "t.trace", &forked());
    let document = report(&folder, &["--stages-out", "s.toml", &trace], 0);
    let stage = &document["stages"][0];
    assert_eq!(
        (&stage["key"], &stage["complete"], &stage["chosen"]),
        (&"tid".into(), &40.into(), &true.into())
    );
    let text = stdout(&folder.tracer(&["analyze", &trace]), 0);
    assert!(text.contains("paired by tid flat: query\n"), "{text}");
    let kept = std::fs::read_to_string(folder.path("s.toml")).expect("written");
    assert_eq!(kept, "[stages]\n\"query\" = \"db:query__start -> db:query__done by tid flat\"\n");
    let again = report(&folder, &["--stages", "s.toml", &trace], 0);
    assert_eq!((&again["stages"][0]["key"], &again["stages"][0]["chosen"]), (&"tid".into(), &false.into()));
    // Tables and pictures pair by the same key.
    stdout(&folder.tracer(&["export", &trace, "--table", "spans", "-o", "s.csv"]), 0);
    let spans = std::fs::read_to_string(folder.path("s.csv")).expect("written");
    assert_eq!(spans.lines().filter(|line| line.contains("complete")).count(), 40, "{spans}");
}

#[test]
fn a_stage_without_a_key_is_refused_and_said() {
    let folder = Folder::new("keys-refused");
    let mut events = forked();
    events.extend((0..90).map(|at| (7, "db:call__entry", at)));
    events.extend((0..9).map(|at| (7, "db:call__return", 1000 + at)));
    let trace = trace(&folder, "t.trace", &events);
    let document = report(&folder, &[&trace], 3);
    let stages: Vec<_> = document["stages"].as_array().expect("a list").iter().map(|it| &it["key"]).collect();
    assert_eq!(stages, ["tid", "refused"]);
    let output = folder.tracer(&["analyze", &trace]);
    let text = stdout(&output, 3);
    assert!(text.contains("call: 90 begins and 9 ends: they do not come in pairs\n"), "{text}");
    assert_eq!(stderr(&output), "tracer: t.trace: 1 stage left out, as no key fits: call\n");
    // A key that is given is used all the same, and said to be wrong.
    let given = "call = db:call__entry -> db:call__return by seq";
    let text = stdout(&folder.tracer(&["analyze", "--stage", given, &trace]), 0);
    assert!(text.contains("call: only 0 of 90 begins and 9 ends belong together by seq\n"), "{text}");
}
