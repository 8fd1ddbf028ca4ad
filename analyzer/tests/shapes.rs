//! A replay for people and for programs: other times, threads, colours, JSON lines.

mod made;

use made::{DOCUMENTED_LOG, log_of, pipeline_log, trace_of};
use serde_json::Value;
use tracer_analyzer::replay::{LogShape, Medians, TimeForm, replay_shaped};
use tracer_analyzer::stage::learn;
use tracer_analyzer::{Error, Filter, Selection};
use tracer_format::grammar::Moment;
use tracer_format::{
    ClockAnchor, Firing, Host, Process, ProcessId, Site, SiteId, Thread, ThreadId, Trace, Writer,
    WriterOptions,
};

fn shaped(log: &str, shape: LogShape<'_>) -> String {
    filtered(log, &Filter::default(), shape)
}

fn filtered(log: &str, filter: &Filter, shape: LogShape<'_>) -> String {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let mut out = Vec::new();
    replay_shaped(&trace, &Selection::new(filter, &trace).unwrap(), shape, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn lines(time: TimeForm, threads: bool, colours: bool) -> LogShape<'static> {
    LogShape::Lines { time, threads, colours, life: None }
}

/// The life of buffer `key` in `log`.
fn life(log: &str, key: &str) -> String {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let filter = Filter { keys: Some(key.parse().unwrap()), ..Filter::default() };
    let selection = Selection::new(&filter, &trace).unwrap();
    let medians = Medians::around(&trace, &selection, &learn(&trace.definitions)).unwrap();
    let (time, threads, colours) = (TimeForm::Clock, false, false);
    let shape = LogShape::Lines { time, threads, colours, life: Some(&medians) };
    let mut out = Vec::new();
    replay_shaped(&trace, &selection, shape, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_life_has_what_happened_between_the_events() {
    let log = log_of(
        "100:beg_total:0@1 110:beg_work:0@2 120:beg_total:1@1 800:end_work:0@2 900:beg_send:0@2 1250:end_total:0@3",
    ) + "[            1255] Lost 7 events on CPU 1 since 1251\n"
        + &log_of("1300:end_send:0@2 1400:beg_other:0@3 1500:beg_work:1@2")
        + "[            1505] Lost 7 events on CPU 1 since 1501\n";
    let expected = "\
[             100] [PID:      1] a            p:beg_total                    | Seq: 0
            10 ns  wait  total begin -> work, a (1) hands on to a (2)
[             110] [PID:      2] a            p:beg_work                     | Seq: 0
           690 ns  work  work
[             800] [PID:      2] a            p:end_work                     | Seq: 0
           100 ns  wait  work -> send
[             900] [PID:      2] a            p:beg_send                     | Seq: 0
           350 ns  wait  send begin -> total end, a (2) hands on to a (3)
[            1250] [PID:      3] a            p:end_total                    | Seq: 0
            50 ns  wait  total -> send end, a (3) hands on to a (2)
[            1255] Lost 7 events on CPU 1 since 1251
[            1300] [PID:      2] a            p:end_send                     | Seq: 0
           100 ns  wait  end_send -> beg_other, a (2) hands on to a (3)
[            1400] [PID:      3] a            p:beg_other                    | Seq: 0
         1.300 us  in all: 7 events of 3 processes; work 690 ns (53 %), waits 610 ns (47 %)
";
    let found = life(&log, "0");
    // Where events are missing stands before the event that comes after it.
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&found), sorted(expected), "{found}");
    assert!(found.find("Lost 7").unwrap() < found.find("p:end_send ").unwrap());
    // The log as it is stands in it.
    let events: Vec<&str> = found.lines().filter(|line| line.contains("| Seq:")).collect();
    let all: Vec<&str> = log.lines().filter(|line| line.ends_with("| Seq: 0")).collect();
    assert_eq!(events, all);
}

#[test]
fn a_life_has_how_its_steps_compare_with_those_of_others() {
    let mut log = String::new();
    // Each works for 100 ns and waits for 20, but the last, which does both three times as long.
    for seq in 0..9 {
        let (at, times) = (1000 * (seq + 1), if seq == 8 { 3 } else { 1 });
        let [worked, sent, end] = [100, 120, 150].map(|after| at + after * times);
        log += &format!(
            "{at}:beg_work:{seq} {worked}:end_work:{seq} {sent}:beg_send:{seq} {end}:end_send:{seq} "
        );
    }
    let found = life(&log_of(log.trim()), "8");
    assert!(found.contains("300 ns  work  work, 3.0 times its median\n"), "{found}");
    assert!(found.contains(" 60 ns  wait  work -> send, 3.0 times its median\n"), "{found}");
    assert!(!found.contains("around it"), "{found}");
}

#[test]
fn a_life_has_the_medians_of_what_is_around_it() {
    // Each buffer takes 1 ns longer than the one before it.
    let mut log = String::new();
    for seq in 1..=80_000_u64 {
        log += &log_of(&format!("{}:beg_work:{seq} {}:end_work:{seq}", seq * 100_000, seq * 100_001));
    }
    // The first two blocks of 65 536 events are enough, and their median is that of buffer 32 768.
    for (seq, times) in [(3_200, "0.1"), (40_000, "1.2")] {
        let found = life(&log, &seq.to_string());
        assert!(found.contains(&format!("work  work, {times} times its median\n")), "{found}");
        assert!(found.contains("  medians of 131072 events around it\n"), "{found}");
    }
}

#[test]
fn a_life_says_where_a_number_may_be_of_several_buffers() {
    let log = log_of("10:beg_work:5@1 20:beg_work:5@2 30:end_work:5@1 40:end_work:5@2");
    let found = life(&log, "5");
    assert!(found.contains("p:beg_work more than once: it went round, or several buffers have this number"));
    assert_eq!(life(&log, "6"), "");
    let one = life(&log_of("10:beg_work:5@1"), "5");
    assert!(
        one.ends_with("0 ns  in all: 1 event of 1 process; work 0 ns (0 %), waits 0 ns (0 %)\n"),
        "{one}"
    );
}

#[test]
fn without_a_choice_the_lines_are_those_of_the_log() {
    assert_eq!(shaped(DOCUMENTED_LOG, lines(TimeForm::Clock, false, false)), DOCUMENTED_LOG);
    let loss = pipeline_log();
    let found = shaped(&loss, lines(TimeForm::Clock, false, false));
    assert!(found.contains("[            5300] Lost 7 events on CPU 1 since 5200\n"), "{found}");
}

#[test]
fn times_are_since_the_first_event_or_since_the_line_before() {
    let log = log_of("1000:beg_work:7 2500:end_work:7 1000002500:beg_work:8")
        + "[      1000003000] Lost 3 events on CPU 1 since 1000002600\n";
    let relative = shaped(&log, lines(TimeForm::Relative, false, false));
    assert!(relative.contains("[     0.000000000] [PID:      1] a            p:beg_work"), "{relative}");
    assert!(relative.contains("[     0.000001500] [PID:      1] a            p:end_work"), "{relative}");
    assert!(relative.contains("[     1.000002000] Lost 3 events on CPU 1 since 1.000001600\n"), "{relative}");
    let delta = shaped(&log, lines(TimeForm::Delta, false, false));
    let times: Vec<&str> = delta.lines().filter_map(|line| line.strip_prefix('[')?.get(..16)).collect();
    let ends = [" Found probe beg", "-", "+0.000001500", "+1.000000000", "+0.000000500"];
    for (time, end) in times[times.len() - 4..].iter().zip(&ends[1..]) {
        assert!(time.trim() == *end, "{time} is no {end}");
    }
}

#[test]
fn threads_and_colours_leave_the_rest_of_the_line() {
    let log = log_of("1000:beg_work:7@5 2500:end_work:7@6");
    let plain = shaped(&log, lines(TimeForm::Clock, true, false));
    assert!(plain.contains("[            1000] [PID:      5] [TID:      5] a "), "{plain}");
    let coloured = shaped(&log, lines(TimeForm::Clock, true, true));
    let colours: Vec<&str> =
        coloured.split("\x1b[").filter_map(|part| part.split_once('m')).map(|(it, _)| it).collect();
    assert_eq!(colours, ["31", "0", "32", "0"]);
    let mut bare = coloured;
    for colour in ["\x1b[31m", "\x1b[32m", "\x1b[0m"] {
        bare = bare.replace(colour, "");
    }
    assert_eq!(bare, plain);
}

#[test]
fn wall_time_needs_anchors() {
    let bytes = trace_of(DOCUMENTED_LOG);
    let trace = Trace::open(&bytes).unwrap();
    let shape = lines(TimeForm::Wall, false, false);
    let error = replay_shaped(&trace, &Selection::all(), shape, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, Error::Missing(text) if text.contains("no clock anchors")), "{error}");
}

#[test]
fn every_event_and_every_loss_is_a_line_of_json() {
    let log = pipeline_log();
    let lines: Vec<Value> =
        shaped(&log, LogShape::JsonLines).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (lost, events): (Vec<&Value>, Vec<&Value>) =
        lines.iter().partition(|line| line.get("lost").is_some());
    assert_eq!(events.len(), log.lines().filter(|line| line.contains("| Seq:")).count());
    assert_eq!(lost.iter().map(|line| line["lost"].as_u64().unwrap()).sum::<u64>(), 8);
    assert!(lost.iter().any(|line| line["probe"] == "p:beg_work" && line["cpu"].is_null()));
    let first = &events[0];
    assert_eq!((&first["time_ns"], &first["pid"], &first["seq"]), (&100.into(), &1.into(), &0.into()));
    assert_eq!((first["provider"].as_str(), first["probe"].as_str()), (Some("p"), Some("beg_total")));
    assert!(events.iter().any(|line| line["seq"].is_null()), "an event without a key has none");
    assert!(events.iter().any(|line| line["probe"] == "say\"\u{1b}"), "names are whole");
    let strings = shaped(
        "[1] [PID: 7] a p:x | Seq: 1 | arg1: \"a\\\"b\" | arg2: -3\n[2] [PID: 7] a p:x | Seq: 18446744073709551615 | arg1: \"\" | arg2: 4\n",
        LogShape::JsonLines,
    );
    assert!(strings.contains(r#""args":[1,"a\"b",-3]"#), "{strings}");
}

/// Two hosts whose clocks say different wall times at the same moment: each event has its own host's.
#[test]
fn wall_time_is_that_of_the_events_own_host() {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    let site = Site { provider: "p".into(), probe: "x".into(), ..Site::default() };
    writer.site(site).unwrap();
    for (pid, realtime_ns) in [(10, 1_000_000), (20, 5_000_000)] {
        let host = writer.host(Host::default()).unwrap();
        let process = writer.process(Process { host, pid, ..Process::default() }).unwrap();
        assert_eq!(process, ProcessId(pid / 10 - 1));
        writer.thread(Thread { process, tid: pid }).unwrap();
        writer.clock(ClockAnchor { host, realtime_ns, ..ClockAnchor::default() }).unwrap();
    }
    for (time_ns, thread) in [(1000, 0), (1001, 1), (2000, 0), (2001, 1)] {
        let (thread, site, values) = (ThreadId(thread), SiteId(0), &[][..]);
        writer.push(&Firing { time_ns, thread, site, cpu: 0, unreadable: 0, values }).unwrap();
    }
    let bytes = writer.finish().unwrap();
    let trace = Trace::open(&bytes).unwrap();
    let pids = |from: Option<i64>, to: Option<i64>| {
        let [from, to] = [from, to].map(|time| time.map(Moment::Wall));
        let selection = Selection::new(&Filter { from, to, ..Filter::default() }, &trace).unwrap();
        let mut out = Vec::new();
        replay_shaped(&trace, &selection, LogShape::JsonLines, &mut out).unwrap();
        let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["pid"].as_u64().unwrap();
        String::from_utf8(out).unwrap().lines().map(line).collect::<Vec<_>>()
    };
    assert_eq!(pids(Some(4_000_000), None), [20, 20]);
    assert_eq!(pids(None, Some(4_000_000)), [10, 10]);
    assert_eq!(pids(Some(1_001_500), Some(5_001_500)), [20, 10]);
}
