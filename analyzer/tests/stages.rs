//! Stages and hand-offs of traces small enough to be computed by hand.

mod made;

use std::io;

use made::{DOCUMENTED_LOG, log_of, trace_of};
use tracer_analyzer::analysis::Summary;
use tracer_analyzer::analysis::{Analysis, analyze};
use tracer_analyzer::pair::{Class, HandOff, Sink, Span};
use tracer_analyzer::select::Selection;
use tracer_analyzer::stage::{Draft, Stage, choose};
use tracer_format::Trace;

/// Writes down what it is handed: `a 1 complete 5`, `a -> b 1 -2`.
#[derive(Default)]
struct Notes {
    names: Vec<Stage>,
    lines: Vec<String>,
}

impl Sink for Notes {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        let name = &self.names[span.stage as usize].name;
        let latency = span.latency_ns().map(|latency_ns| format!(" {latency_ns}")).unwrap_or_default();
        let reordered = if span.reordered { " reordered" } else { "" };
        self.lines.push(format!("{name} {} {}{latency}{reordered}", span.key, span.class.name()));
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        let name = tracer_analyzer::analysis::hand_off_name(hand_off.from, hand_off.to, &self.names);
        self.lines.push(format!("{name} {} {}", hand_off.key, hand_off.latency_ns()));
        Ok(())
    }
}

/// What is found in `log`, with the stages `given` or else those that the names tell.
fn analyzed(log: &str, given: &[&str]) -> (Analysis, Vec<String>) {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let given: Vec<Draft> = given.iter().map(|stage| stage.parse().unwrap()).collect();
    let drafts = choose(&given, &trace.definitions).unwrap();
    let names: Vec<Stage> = drafts.into_iter().map(|draft| draft.stage).collect();
    let mut notes = Notes { names: names.clone(), lines: Vec::new() };
    let analysis = analyze(&trace, &Selection::all(), &names, &mut notes).unwrap();
    balances(&analysis);
    (analysis, notes.lines)
}

/// Every begin and every end belongs to exactly one span.
fn balances(analysis: &Analysis) {
    for report in &analysis.stages {
        let events = |probe: &tracer_analyzer::stage::ProbeName| {
            let count = analysis.probes.iter().find(|count| count.probe == probe.probe);
            count.map_or(0, |count| count.events)
        };
        let of = |class| report.classes.of(class);
        let both = of(Class::Complete) + of(Class::Inverted);
        let events_in_spans = 2 * both
            + of(Class::Open)
            + of(Class::RepeatedBegin)
            + of(Class::OrphanEnd)
            + of(Class::RepeatedEnd);
        // The event of which a stage of one probe is made is both of its ends.
        let left_out = report.without_key * (1 + u64::from(report.stage.lasting.is_some()));
        let expected = events(&report.stage.begins[0]) + events(&report.stage.ends[0]) - left_out;
        assert_eq!(events_in_spans, expected, "{}", report.stage);
    }
}

fn spans(events: &str) -> Vec<String> {
    analyzed(&log_of(events), &[]).1
}

#[test]
fn the_documented_log_gives_the_documented_figures() {
    let (analysis, lines) = analyzed(DOCUMENTED_LOG, &[]);
    let of = |name: &str| {
        lines.iter().filter(|line| line.starts_with(name)).map(String::as_str).collect::<Vec<_>>()
    };
    let awe = [
        "awe 1 complete 15073166",
        "awe 2 complete 15105156",
        "awe 3 complete 15097452",
        "awe 4 complete 15099917",
    ];
    let between = [
        "awe -> writing 1 10096728",
        "awe -> writing 2 10096878",
        "awe -> writing 3 10100585",
        "awe -> writing 4 10097599",
    ];
    assert_eq!(of("awe "), [0, 1, 2, 3].map(|key| [awe[key], between[key]]).as_flattened());
    assert_eq!(
        of("writing "),
        [
            "writing 1 complete 50303239",
            "writing 2 complete 50167614",
            "writing 3 complete 50920132",
            "writing 4 complete 50196378",
            "writing 0 orphan_end",
        ]
    );
    let global = of("global ");
    assert_eq!(global[0], "global 8 complete 32341");
    assert_eq!(
        (global.len(), global[1], global[10]),
        (11, "global 1 inverted -36138", "global 11 inverted -501")
    );
    let names: Vec<&str> = analysis.stages.iter().map(|report| &report.stage.name[..]).collect();
    assert_eq!(names, ["global", "awe", "writing"]);
    let global = &analysis.stages[0];
    assert_eq!((global.classes.of(Class::Complete), global.classes.of(Class::Inverted)), (1, 10));
    let summary = analysis.stages[1].latency.summary().unwrap();
    let expected = Summary {
        min: 15_073_166,
        mean: 15_093_923,
        p50: 15_097_452,
        p90: 15_105_156,
        p99: 15_105_156,
        p999: 15_105_156,
        max: 15_105_156,
    };
    assert_eq!(summary, expected);
    assert_eq!(analysis.outcome.events, 39);
    assert!(!analysis.outcome.is_lossy());
}

#[test]
fn every_class_is_told_apart() {
    assert_eq!(spans("1:beg_a:1 6:end_a:1"), ["a 1 complete 5"]);
    assert_eq!(spans("1:beg_a:1 1:end_a:1"), ["a 1 complete 0"]);
    assert_eq!(spans("1:beg_a:1 2:beg_a:2 5:end_a:2"), ["a 2 complete 3", "a 1 open"]);
    assert_eq!(spans("1:end_a:1 2:beg_a:2 5:end_a:2"), ["a 2 complete 3", "a 1 orphan_end"]);
    assert_eq!(spans("1:end_a:1 4:beg_a:1"), ["a 1 inverted -3"]);
    let repeated = ["a 1 repeated_begin", "a 1 repeated_begin", "a 1 repeated_end", "a 1 repeated_end"];
    assert_eq!(spans("1:beg_a:1 2:beg_a:1 3:end_a:1 4:end_a:1"), repeated);
    let then_sound = [&repeated[..], &["a 1 complete 2"]].concat();
    assert_eq!(spans("1:beg_a:1 2:beg_a:1 3:end_a:1 4:end_a:1 5:beg_a:1 7:end_a:1"), then_sound);
    assert_eq!(spans("1:beg_a:1 3:end_a:1 4:end_a:1"), ["a 1 complete 2", "a 1 repeated_end"]);
    assert_eq!(
        spans("1:beg_a:0 2:end_a:1 3:end_a:1 4:end_a:0"),
        ["a 1 orphan_end", "a 1 repeated_end", "a 0 complete 3"]
    );
}

#[test]
fn keys_that_are_used_again_are_paired_lap_by_lap() {
    let laps = "1:beg_a:7 3:end_a:7 4:beg_a:7 7:end_a:7";
    assert_eq!(spans(laps), ["a 7 complete 2", "a 7 complete 3"]);
    let began_before_the_trace = "1:end_a:7 4:beg_a:7 6:end_a:7 7:beg_a:7 9:end_a:7";
    assert_eq!(spans(began_before_the_trace), ["a 7 orphan_end", "a 7 complete 2", "a 7 complete 2"]);
    let which_is_whose = ["a 7 orphan_end", "a 7 repeated_begin", "a 7 repeated_begin", "a 7 repeated_end"];
    assert_eq!(spans("1:end_a:7 4:beg_a:7 6:beg_a:7 7:end_a:7"), which_is_whose);
}

#[test]
fn an_overtaken_span_is_complete_and_reordered() {
    let lines = spans("1:beg_a:1 2:beg_a:2 3:beg_a:3 4:end_a:2 5:end_a:1 6:end_a:3");
    assert_eq!(lines, ["a 2 complete 2", "a 1 complete 4 reordered", "a 3 complete 3"]);
    let (analysis, _) = analyzed(&log_of("1:beg_a:1 2:beg_a:2 4:end_a:2 5:end_a:1"), &[]);
    assert_eq!((analysis.stages[0].classes.of(Class::Complete), analysis.stages[0].reordered), (2, 1));
}

#[test]
fn a_stage_may_begin_in_one_process_and_end_in_another() {
    let log = log_of("1:beg_a:1@10 2:beg_a:1@20 5:end_a:1@20 9:end_a:1@10");
    let (_, by_pid) = analyzed(&log, &["x = p:beg_a -> p:end_a by seq,pid"]);
    assert_eq!(by_pid, ["x 1,20 complete 3", "x 1,10 complete 8 reordered"]);
    let log = log_of("1:beg_a:1@10 5:end_a:1@20");
    assert_eq!(analyzed(&log, &["x = p:beg_a -> p:end_a"]).1, ["x 1 complete 4"]);
    assert_eq!(analyzed(&log, &["x = p:beg_a -> p:end_a by tid"]).1, ["x 20 orphan_end", "x 10 open"]);
}

#[test]
fn one_event_may_tell_how_long_a_stage_took() {
    let line =
        |time: u64, pid: u32, args: &str| format!("[{time:>16}] [PID:{pid:>7}] a            p:done {args}\n");
    let log = [
        line(5000, 10, "| Seq: 1 | arg1: 2"),
        line(6000, 20, "| Seq: 2 | arg1: 6"),
        line(7000, 10, "| Seq: 3 | arg1: -1"),
        line(8000, 10, "| Seq: 4 | arg1: 9"),
    ];
    let (analysis, lines) = analyzed(&log.concat(), &["x = p:done lasting arg1 us by seq"]);
    // One would have begun before time did, one has lasted less than nothing.
    assert_eq!(
        (lines, analysis.stages[0].without_key),
        (vec!["x 1 complete 2000".into(), "x 2 complete 6000".into()], 2)
    );
    let (_, by_thread) = analyzed(&log.concat(), &["x = p:done lasting arg1"]);
    assert_eq!(by_thread, ["x 10 complete 2", "x 20 complete 6", "x 10 complete 9"]);
}

#[test]
fn one_probe_may_end_a_stage_and_begin_the_next() {
    let log = log_of("1:tick:1 4:tick:1 9:tick:1");
    let (_, lines) = analyzed(&log, &["period = p:tick -> p:tick by seq"]);
    assert_eq!(lines, ["period 1 orphan_end", "period 1 complete 3", "period 1 complete 5", "period 1 open"]);
    let log = log_of("1:x:1 4:y:1 9:z:1");
    let (_, lines) = analyzed(&log, &["a = p:x -> p:y", "b = p:y -> p:z"]);
    assert_eq!(lines, ["a 1 complete 3", "b 1 complete 5", "a -> b 1 0"]);
}

#[test]
fn events_without_an_integer_key_are_counted() {
    let log = log_of("1:beg_a:- 2:beg_a:? 3:beg_a:5");
    let (analysis, lines) = analyzed(&log, &["a = p:beg_a -> p:end_a"]);
    assert_eq!((lines, analysis.stages[0].without_key), (vec!["a 5 open".to_owned()], 2));
}

#[test]
fn hand_offs_follow_a_key_through_its_stages() {
    // Around both, `t` begins and ends in other processes.
    let nested = "0:beg_t:1 2:beg_a:1 5:end_a:1 9:beg_b:1 10:end_b:1 16:end_t:1";
    assert_eq!(
        spans(nested),
        [
            "a 1 complete 3",
            "b 1 complete 1",
            "a -> b 1 4",
            "t 1 complete 16",
            "t begin -> a 1 2",
            "b -> t end 1 6",
        ]
    );
    // Keys do not mix.
    let two = "0:beg_a:1 1:beg_a:2 2:end_a:1 3:end_a:2 5:beg_b:2 6:beg_b:1 7:end_b:1 8:end_b:2";
    let hand_offs: Vec<String> = spans(two).into_iter().filter(|line| line.contains("->")).collect();
    assert_eq!(hand_offs, ["a -> b 1 4", "a -> b 2 2"]);
}

#[test]
fn hand_offs_are_signed() {
    // `b` begins before `a` has ended.
    assert_eq!(
        spans("0:beg_a:1 4:beg_b:1 5:end_a:1 9:end_b:1"),
        ["a 1 complete 5", "b 1 complete 5", "a -> b 1 -1"]
    );
    // `t` is around `a` and `b`, and ends a little before `b` does.
    assert_eq!(
        spans("0:beg_t:1 2:beg_a:1 5:end_a:1 9:beg_b:1 15:end_t:1 16:end_b:1"),
        [
            "a 1 complete 3",
            "t 1 complete 15",
            "t begin -> a 1 2",
            "b 1 complete 7",
            "a -> b 1 4",
            "b -> t end 1 -1",
        ]
    );
}

#[test]
fn a_stage_inside_of_the_next_is_not_the_next() {
    let lines = spans("0:beg_a:1 4:end_a:1 6:beg_b:1 7:beg_c:1 8:end_c:1 9:end_b:1 11:beg_d:1 12:end_d:1");
    let hand_offs: Vec<&String> = lines.iter().filter(|line| line.contains("->")).collect();
    assert_eq!(hand_offs, ["a -> b 1 2", "b begin -> c 1 1", "c -> b end 1 1", "b -> d 1 2"]);
}

#[test]
fn stages_of_different_providers_do_not_hand_on() {
    let log = log_of("0:beg_a:1 4:end_a:1") + &log_of("5:beg_b:1 6:end_b:1").replace(" p:", " q:");
    assert_eq!(analyzed(&log, &[]).1, ["a 1 complete 4", "b 1 complete 1"]);
    let given = ["a = p:beg_a -> p:end_a", "b = q:beg_b -> q:end_b", "all = p:beg_a -> q:end_b"];
    let lines = analyzed(&log, &given).1;
    assert!(lines.contains(&"a -> b 1 1".to_owned()), "a stage over both providers joins them: {lines:?}");
}

#[test]
fn loss_marks_the_figures_it_may_touch() {
    let events = "1:beg_a:1 5:end_a:1 10:beg_a:2 20:end_a:2 30:beg_a:3 40:end_a:3 41:end_a:4 50:beg_a:5";
    let lost = "[              15] Lost 7 events on CPU 0 since 12\n";
    let (analysis, _) = analyzed(&(log_of(events) + lost), &[]);
    let report = &analysis.stages[0];
    assert_eq!((report.classes.of(Class::Complete), report.complete_near_loss), (3, 1));
    assert_eq!(
        report.other_near_loss, 1,
        "the orphan end's begin may be lost; the open one began after the loss"
    );
    assert_eq!((analysis.outcome.lost, analysis.outcome.gaps), (7, 1));
    assert_eq!(analysis.outcome.loss_text().unwrap(), "7 events lost while recording, in 1 gap");
}

/// What a key did is remembered while it waits among more keys than are remembered whole: from stage to stage, inside of a stage, and with
/// several begins that wait for as many ends.
#[test]
fn a_key_goes_on_where_it_was() {
    use tracer_analyzer::pair::RECENT_KEYS;
    let events = [
        "1:end_a:9 1:beg_all:7 2:beg_a:7",
        "5:end_a:7",
        "6:beg_b:7",
        "8:end_b:7 8:end_a:9 8:beg_a:5",
        "9:end_all:7 9:beg_a:5",
        "10:end_a:5 10:end_a:5",
    ];
    let mut words: Vec<String> = Vec::new();
    for (at, events) in events.iter().enumerate() {
        words.extend(events.split(' ').map(str::to_owned));
        // Then so many others at the time of the last.
        let (time, _) = events[events.rfind(' ').map_or(0, |at| at + 1)..].split_once(':').unwrap();
        let key = |key: usize| 100 + at * 2 * RECENT_KEYS + key;
        let other = |key: usize| ["beg", "end"].map(|side| format!("{time}:{side}_all:{key}"));
        words.extend((0..=RECENT_KEYS).map(key).flat_map(other));
    }
    let (analysis, lines) = analyzed(&log_of(&words.join(" ")), &[]);
    let mut of_few: Vec<&str> = lines.iter().map(String::as_str).collect();
    of_few.retain(|line| [" 7 ", " 9 ", " 5 "].iter().any(|key| line.contains(key)));
    assert_eq!(
        of_few,
        [
            "a 7 complete 3",
            "b 7 complete 2",
            "a -> b 7 1",
            "a 9 orphan_end",
            "a 9 repeated_end",
            "all 7 complete 8 reordered",
            "all begin -> a 7 1",
            "b -> all end 7 1",
            "a 5 repeated_begin",
            "a 5 repeated_begin",
            "a 5 repeated_end",
            "a 5 repeated_end",
        ]
    );
    assert_eq!(analysis.stages.iter().map(|stage| stage.given_up).sum::<u64>(), 0);
}

#[test]
fn memory_is_bounded_and_what_is_given_up_is_counted() {
    use tracer_analyzer::pair::{RECENT_KEYS, WAITING_KEYS};
    // Key 0 begins first and ends last, after more keys than are remembered whole: it still waits.
    let keys = RECENT_KEYS + 10;
    let mut events = "1:beg_a:0".to_owned();
    (1..keys).for_each(|key| events += &format!(" {0}:beg_a:{key} {0}:end_a:{key}", key + 1));
    let (analysis, lines) = analyzed(&log_of(&format!("{events} {}:end_a:0", keys + 5)), &[]);
    assert_eq!(lines.last().unwrap(), &format!("a 0 complete {} reordered", keys + 4));
    assert_eq!(
        (analysis.stages[0].classes.of(Class::Complete), analysis.stages[0].given_up),
        (keys as u64, 0)
    );
    // More begins than may wait: with 64 stages, each has a 64th of the memory.
    let stage = |stage: usize| format!("s{stage} = p:beg_{stage} -> p:end_{stage} by seq,arg{}", stage % 12);
    let mut given: Vec<String> = (1..64).map(stage).collect();
    given.push("a = p:beg_a -> p:end_a".to_owned());
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    // And half as many are remembered whole.
    let keys = RECENT_KEYS / 2 + WAITING_KEYS / 64 + 3;
    let mut events: Vec<String> = (0..keys).map(|key| format!("{key}:beg_a:{key}")).collect();
    events.push(format!("{keys}:end_a:0 {keys}:end_a:4"));
    let (analysis, lines) = analyzed(&log_of(&events.join(" ")), &given);
    assert_eq!(lines[..4], ["a 0 open", "a 1 open", "a 2 open", "a 3 open"]);
    assert!(lines.contains(&"a 0 orphan_end".to_owned()), "its begin was given up");
    assert!(lines.contains(&format!("a 4 complete {}", keys - 4)));
    assert_eq!(analysis.stages[63].given_up, 4, "the end of key 0 needs a slot too");
}
