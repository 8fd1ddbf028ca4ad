//! A replay for people and for programs: other times, threads, colours, JSON lines.

mod made;

use made::{DOCUMENTED_LOG, log_of, pipeline_log, trace_of};
use serde_json::Value;
use tracer_analyzer::replay::{LogShape, TimeForm, replay_shaped};
use tracer_analyzer::{Error, Filter, Selection};
use tracer_format::grammar::Moment;
use tracer_format::{
    ClockAnchor, Firing, Host, Process, ProcessId, Site, SiteId, Thread, ThreadId, Trace, Writer,
    WriterOptions,
};

fn shaped(log: &str, shape: LogShape) -> String {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let mut out = Vec::new();
    replay_shaped(&trace, &Selection::all(), shape, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn lines(time: TimeForm, threads: bool, colours: bool) -> LogShape {
    LogShape::Lines { time, threads, colours }
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
    let site = Site { provider: "p".to_owned(), probe: "x".to_owned(), ..Site::default() };
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
