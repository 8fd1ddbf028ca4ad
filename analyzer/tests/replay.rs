//! A log that is imported and replayed is the same log; filters leave out lines, never change one.

mod made;

use made::{DOCUMENTED_LOG, trace_of};
use tracer_analyzer::Outcome;
use tracer_analyzer::file::import;
use tracer_analyzer::replay::{Live, replay, replay_on, replay_paced};
use tracer_analyzer::select::{Filter, Selection};
use tracer_format::{
    ArgKind, Definition, Firing, Gap, Process, Rest, Site, SiteId, Thread, ThreadId, Trace, Writer,
    WriterOptions,
};

fn replayed(trace: &[u8], filter: &Filter) -> String {
    let trace = Trace::open(trace).unwrap();
    let selection = Selection::new(filter, &trace).unwrap();
    let mut out = Vec::new();
    let outcome = replay(&trace, &selection, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!(outcome.events, out.lines().filter(|line| line.contains("[PID:")).count() as u64);
    out
}

#[test]
fn the_documented_log_comes_back_byte_for_byte() {
    assert_eq!(replayed(&trace_of(DOCUMENTED_LOG), &Filter::default()), DOCUMENTED_LOG);
}

#[test]
fn arguments_losses_and_odd_names_come_back() {
    let log = r#"[   0] Found probe throw                               in 'libstdc++.so.6'
[   1] Found probe same                                in 'b'
[   2] Found probe same                                in 'a'
[   3] Found probe never                               in 'a'

Trace started. Ctrl-C to stop.

[               5] [PID:      1] a            p:same                         | Seq: 18446744073709551615 | arg1: "x\x1b[2J\\\" y" | arg2: 0.5
[               6] [PID:      1] a            p:same                         | Seq: 4 | arg1: "x" | arg2: ?
[               7] [PID:      1] a            p:same                         | Seq: ?
[               7] [PID:      2] my prog\x7c\x20 libstdcxx:throw                | Seq: - | arg0: "s"
[              18] Lost 12 events of p:same on CPU 3 since 9
[              19] [PID:      1] renamed      p\x20q:un\x3aannounced         | Seq: -
[              19] [PID:      1] renamed      p:ints_without_key             | Seq: - | arg0: 1 | arg1: -2
[              19] [PID:      1] renamed      p:key_last                     | Seq: 3 | arg0: NaN | arg1: -inf
[              30] Lost 1 events since 20
"#;
    let again = replayed(&trace_of(log), &Filter::default());
    assert_eq!(again, log);
}

/// Two providers may have a probe of one name in one program; the line does not tell which it is of.
#[test]
fn probes_of_one_name_keep_their_lines() {
    let header = "[   0] Found probe p                                   in 'a'
[   1] Found probe p                                   in 'a'

Trace started. Ctrl-C to stop.

";
    let late = "[               5] [PID:      1] a            x:q                            | Seq: 1
[   2] Found probe p                                   in 'a'
";
    for log in [header.to_owned(), format!("{header}{late}")] {
        assert_eq!(replayed(&trace_of(&log), &Filter::default()), log);
    }
}

#[test]
fn a_probe_without_a_provider_keeps_its_line() {
    let log = "[   0] Found probe p                                   in 'a'

Trace started. Ctrl-C to stop.

[               5] [PID:      1] b            :p                             | Seq: 1
[               6] [PID:      2] a            x:p                            | Seq: 1
";
    assert_eq!(replayed(&trace_of(log), &Filter::default()), log);
}

#[test]
fn a_log_without_header_stays_without() {
    let log = "[               5] [PID:      1] a            p:q                            | Seq: 1\n";
    assert_eq!(replayed(&trace_of(log), &Filter::default()), log);
}

#[test]
fn events_out_of_order_are_sorted() {
    let line = |time: u64| {
        format!("[{time:>16}] [PID:      1] a            p:q                            | Seq: 1\n")
    };
    assert_eq!(replayed(&trace_of(&(line(9) + &line(7))), &Filter::default()), line(7) + &line(9));
}

#[test]
fn a_wrong_line_leaves_nothing_behind() {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    let error = import(b"[ 1] [PID: 1] a b:c | Seq: 1\nnonsense\n", &mut writer).unwrap_err();
    assert!(error.to_string().starts_with("line 2: found \"nonsense\", expected"), "{error}");
    assert_eq!(writer.sealed_events(), 0);
}

#[test]
fn another_kind_of_file_is_no_log_whether_it_has_a_line_end_or_not() {
    let trace = trace_of("");
    for (file, expected) in [
        (&b"\x1f\x8b\x08\0\0"[..], "line 1: found a file compressed by gzip, expected a log"),
        (b"\x28\xb5\x2f\xfd\n\n", "line 1: found a file compressed by zstd, expected a log"),
        (&trace, "line 1: found a trace, expected a log"),
        (b"\0\0\0\0", "line 1: found \"\\x00\\x00\\x00\\x00\", expected"),
        (b"nonsense", "line 1: found \"nonsense\", expected"),
        (b"\xff\xfe[\0 \0", "line 1: found "),
    ] {
        let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
        let error = import(file, &mut writer).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    let imported = import(b"\xef\xbb\xbf[ 1] [PID: 1] a b:c | Se", &mut writer).unwrap();
    assert!(imported.unfinished && imported.events == 0);
}

#[test]
fn filters_leave_out_lines() {
    let bytes = trace_of(DOCUMENTED_LOG);
    let events: Vec<&str> = DOCUMENTED_LOG.lines().filter(|line| line.contains("[PID:")).collect();
    let count = |filter: &Filter, keep: &dyn Fn(&str) -> bool| {
        let shown = replayed(&bytes, filter);
        let shown: Vec<&str> = shown.lines().filter(|line| line.contains("[PID:")).collect();
        let expected: Vec<&str> = events.iter().copied().filter(|line| keep(line)).collect();
        assert_eq!(shown, expected);
        assert!(!shown.is_empty() && shown.len() < events.len(), "the case must show some and hide some");
    };
    let probes = vec!["buffer_tracker:*_awe".parse().unwrap(), "other:*".parse().unwrap()];
    count(&Filter { probes, ..Filter::default() }, &|line| line.contains("_awe "));
    count(&Filter { pids: vec![32763, 1], ..Filter::default() }, &|line| line.contains("source "));
    let programs = vec!["s*".parse().unwrap()];
    count(&Filter { programs, ..Filter::default() }, &|line| !line.contains("processor"));
    let ends = |line: &str, keys: &[u8]| keys.iter().any(|key| line.ends_with(&format!("Seq: {key}")));
    let keys = |text: &str| Filter { keys: Some(text.parse().unwrap()), ..Filter::default() };
    count(&keys("3..4"), &|line| ends(line, &[3, 4]));
    count(&keys("..1"), &|line| ends(line, &[0, 1]));
    count(&keys("10.."), &|line| ends(line, &[10, 11]));
    count(&keys("7"), &|line| ends(line, &[7]));
    let time = |line: &str| line[1..17].trim().parse::<u64>().unwrap();
    let (from, to) = (Some("36138ns".parse().unwrap()), Some("0.75656842s".parse().unwrap()));
    let range = 11_832_166_741_817..11_832_923_274_099;
    count(&Filter { from, to, ..Filter::default() }, &|line| range.contains(&time(line)));
    let both = Filter { from, pids: vec![32763], ..Filter::default() };
    count(&both, &|line| line.contains("source "));
}

#[test]
fn wall_time_needs_clock_anchors() {
    let bytes = trace_of(DOCUMENTED_LOG);
    let trace = Trace::open(&bytes).unwrap();
    let filter = Filter { from: Some("2026-05-01T00:00:00Z".parse().unwrap()), ..Filter::default() };
    let error = Selection::new(&filter, &trace).unwrap_err();
    let expected = "the trace has no clock anchors, so its wall time is unknown; give an offset such as 1.5s";
    assert_eq!(error.to_string(), expected);
}

/// Part of a trace, of more than one share: a gap and a probe found late in each third; blocks of all sizes.
fn large_part(start_ns: u64, trace_id: u64) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriterOptions { trace_id, ..WriterOptions::default() }).unwrap();
    writer.define(Definition::Process(Process { pid: 7, ..Process::default() }.into())).unwrap();
    writer.define(Definition::Thread(Thread::default())).unwrap();
    for found_ns in [0, 0, start_ns + 40_000, start_ns + 90_000] {
        let (provider, probe) = ("p".to_owned(), format!("q{}", found_ns % 7));
        let args = vec![ArgKind::Signed(8)];
        let site = Site {
            provider: provider.into(),
            probe: probe.into(),
            args: args.into(),
            announced: true,
            found_ns,
            ..Site::default()
        };
        writer.define(Definition::Site(site.into())).unwrap();
    }
    for event in 0..150_000_u64 {
        let time_ns = start_ns + event;
        let site = u32::try_from(event % 2).unwrap();
        let firing = Firing {
            time_ns,
            thread: ThreadId(0),
            site: SiteId(site),
            cpu: 0,
            unreadable: 0,
            values: &[event],
        };
        writer.push(&firing).unwrap();
        if event % 50_000 == 30_000 {
            let (from_ns, to_ns) = (time_ns - 5, time_ns - 2);
            writer.gap(Gap { from_ns, to_ns, count: event, ..Gap::default() }).unwrap();
            writer.flush().unwrap();
        }
    }
    writer.finish().unwrap()
}

#[test]
fn lines_made_on_several_threads_are_the_same() {
    // The second begins while the first is at work.
    let bytes = [large_part(1_000_000, 1), large_part(1_140_000, 2), large_part(2_000_000, 3)].concat();
    let trace = Trace::open(&bytes).unwrap();
    let filters = [
        Filter::default(),
        Filter { keys: Some("39990..40100".parse().unwrap()), ..Filter::default() },
        Filter { probes: vec!["p:q1".parse().unwrap()], ..Filter::default() },
    ];
    for filter in filters {
        let selection = Selection::new(&filter, &trace).unwrap();
        let on = |threads: usize| {
            let mut out = Vec::new();
            let outcome = replay_on(threads, &trace, &selection, &mut out).unwrap();
            (outcome, String::from_utf8(out).unwrap())
        };
        let (outcome, lines) = on(1);
        assert!(lines.contains("Lost") && lines.lines().filter(|line| line.contains("Found")).count() > 3);
        for threads in 2..5 {
            let (other, others) = on(threads);
            assert_eq!(other, outcome);
            let differs = lines.lines().zip(others.lines()).find(|(one, other)| one != other);
            assert_eq!((others.len(), differs), (lines.len(), None), "{threads} threads");
        }
    }
}

/// The log of a trace that comes in pieces, and what it tells at its end.
fn live(bytes: &[u8], piece: usize, filter: &Filter) -> (Outcome, String) {
    let (mut live, mut out) = (Live::new(filter), Vec::new());
    for piece in bytes.chunks(piece) {
        live.push(piece);
        live.write(Rest::Comes, &mut out).unwrap();
    }
    let outcome = live.finish(&mut out).unwrap();
    (outcome, String::from_utf8(out).unwrap())
}

#[test]
fn the_log_of_a_trace_that_comes_in_pieces_is_the_same() {
    let filters = [
        Filter::default(),
        Filter { keys: Some("3..40100".parse().unwrap()), ..Filter::default() },
        Filter { from: Some("30us".parse().unwrap()), ..Filter::default() },
    ];
    for bytes in [trace_of(DOCUMENTED_LOG), large_part(1_000_000, 1)] {
        let trace = Trace::open(&bytes).unwrap();
        for (filter, piece) in filters.iter().flat_map(|filter| [(filter, 1000), (filter, 1 << 18)]) {
            let selection = Selection::new(filter, &trace).unwrap();
            let mut out = Vec::new();
            let outcome = replay(&trace, &selection, &mut out).unwrap();
            let (found, log) = live(&bytes, piece, filter);
            assert_eq!(found, outcome);
            assert!(log.as_bytes() == out, "pieces of {piece}, {filter:?}");
        }
    }
}

#[test]
fn a_paced_log_is_the_same() {
    let bytes = trace_of(DOCUMENTED_LOG);
    let trace = Trace::open(&bytes).unwrap();
    let mut out = Vec::new();
    // Half a second of the trace passes in a microsecond.
    replay_paced(&trace, &Selection::all(), 5e5, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), DOCUMENTED_LOG);
}
