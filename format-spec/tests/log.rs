//! The documented log: the lines of the reference sample, and that every line the writer makes is read back.
#![expect(clippy::cast_possible_truncation, reason = "the samples are small")]

use proptest::prelude::*;
use tracer_format::log::{EventLine, FoundLine, Key, Line, LogWriter, LostLine, Value, parse};
use tracer_format::{
    ArgKind, Columns, Definition, Definitions, Gap, Host, HostId, Process, ProcessId, Site, SiteId, Thread,
    ThreadId,
};

/// Two processes with a thread each; the sites are `sites`.
fn definitions(sites: Vec<Site>) -> Definitions {
    let mut definitions = Definitions::default();
    definitions.push(Definition::Host(Host::default().into()));
    for (id, (pid, program)) in [(32763, "source"), (7, "a program with a long name")].into_iter().enumerate()
    {
        let process = Process { pid, program: program.into(), ..Process::default() };
        definitions.push(Definition::Process(process.into()));
        definitions.push(Definition::Thread(Thread { process: ProcessId(id as u32), tid: pid }));
    }
    sites.into_iter().for_each(|site| definitions.push(Definition::Site(site.into())));
    definitions
}

fn site(probe: &str, args: Vec<ArgKind>, key_arg: u8) -> Site {
    let (provider, program) = ("buffer_tracker".into(), "source".into());
    Site {
        provider,
        probe: probe.into(),
        program,
        args: args.into(),
        key_arg,
        announced: true,
        ..Site::default()
    }
}

/// Adds an event; `values` must suit the site.
fn push(columns: &mut Columns, time_ns: u64, thread: u32, site: u32, values: &[u64]) {
    columns.value_start.resize(columns.len() + 1, columns.values.len() as u32);
    columns.time_ns.push(time_ns);
    columns.thread.push(ThreadId(thread));
    columns.site.push(SiteId(site));
    columns.cpu.push(0);
    columns.values.extend_from_slice(values);
    columns.value_start.push(columns.values.len() as u32);
}

fn written(definitions: &Definitions, columns: &Columns, gaps: &[Gap]) -> String {
    let (mut log, mut out) = (LogWriter::new(), Vec::new());
    log.header(definitions, &mut out);
    gaps.iter().for_each(|gap| log.gap(gap));
    log.events(definitions, columns, 0..columns.len(), &mut out);
    log.finish(definitions, &mut out);
    String::from_utf8(out).unwrap()
}

fn rewritten(log: &str) -> String {
    let mut out = Vec::new();
    for line in parse(log.as_bytes()) {
        line.unwrap().1.push(&mut out);
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn lines_are_those_of_the_reference() {
    let definitions = definitions(vec![site("beg_global", vec![ArgKind::Signed(4)], 0)]);
    let mut columns = Columns::default();
    push(&mut columns, 11_832_166_741_817, 0, 0, &[1]);
    push(&mut columns, 11_832_216_852_303, 1, 0, &[u64::MAX]);
    let expected = "\
[   0] Found probe beg_global                          in 'source'

Trace started. Ctrl-C to stop.

[  11832166741817] [PID:  32763] source       buffer_tracker:beg_global      | Seq: 1
[  11832216852303] [PID:      7] a program with a long name buffer_tracker:beg_global      | Seq: -1
";
    assert_eq!(written(&definitions, &columns, &[]), expected);
    assert_eq!(rewritten(expected), expected);
}

#[test]
fn times_of_every_width_are_aligned() {
    let definitions = definitions(vec![site("p", vec![], 0)]);
    for time_ns in
        [0, 7, 99_999_999, 100_000_000, 123_456_789_012, 10_u64.pow(16) - 1, 10_u64.pow(16), u64::MAX]
    {
        let mut columns = Columns::default();
        push(&mut columns, time_ns, 0, 0, &[]);
        let log = written(&definitions, &columns, &[]);
        let line = log.lines().last().unwrap();
        assert!(line.starts_with(&format!("[{time_ns:>16}] [PID:  32763] ")), "{line}");
    }
}

#[test]
fn arguments_follow_the_key() {
    let kinds = vec![ArgKind::Str, ArgKind::Unsigned(8), ArgKind::Float(8), ArgKind::Signed(1)];
    let mut columns = Columns { string_start: vec![0, 8], ..Columns::default() };
    columns.string_bytes = b"a\"\\\n\x1b\xffz ".to_vec();
    push(&mut columns, 1, 0, 0, &[0, u64::MAX, 1.5_f64.to_bits(), (-3_i64).cast_unsigned()]);
    push(&mut columns, 2, 0, 1, &[0, 4, 0, 5]);
    push(&mut columns, 3, 0, 2, &[0, 4, 1e300_f64.to_bits(), 5]);
    push(&mut columns, 4, 0, 3, &[]);
    columns.unreadable = vec![(1, 0b0010), (2, 0b0001)];
    let sites = vec![
        site("second_is_key", kinds.clone(), 1),
        site("second_is_key", kinds.clone(), 1),
        site("string_is_key", kinds, 0),
        site("none", vec![], 0),
    ];
    let expected = r#"
[               1] [PID:  32763] source       buffer_tracker:second_is_key   | Seq: 18446744073709551615 | arg0: "a\"\\\n\x1b\xffz " | arg2: 1.5 | arg3: -3
[               2] [PID:  32763] source       buffer_tracker:second_is_key   | Seq: ? | arg0: "a\"\\\n\x1b\xffz " | arg2: 0.0 | arg3: 5
[               3] [PID:  32763] source       buffer_tracker:string_is_key   | Seq: - | arg0: ? | arg1: 4 | arg2: 1e300 | arg3: 5
[               4] [PID:  32763] source       buffer_tracker:none            | Seq: -
"#;
    let log = written(&definitions(sites), &columns, &[]);
    assert_eq!(log.split_once("stop.\n").unwrap().1, expected);
    assert_eq!(rewritten(&log), log);
}

#[test]
fn losses_stand_before_the_first_later_event() {
    let definitions = definitions(vec![site("p", vec![], 0)]);
    let mut columns = Columns::default();
    (1..=4).for_each(|time_ns| push(&mut columns, time_ns * 10, 0, 0, &[]));
    let gap = |cpu, site, to_ns| Gap { cpu, site, from_ns: 5, to_ns, count: 3, host: HostId(0) };
    let gaps = [
        gap(1, SiteId(0), 99),
        gap(2, Gap::ANY_SITE, 20),
        gap(Gap::ANY_CPU, Gap::ANY_SITE, 9),
        gap(0, SiteId(0), 21),
    ];
    let log = written(&definitions, &columns, &gaps);
    let shown: Vec<&str> = log.lines().skip(4).map(|line| line.split_once("] ").unwrap().1).collect();
    let event = "[PID:  32763] source       buffer_tracker:p               | Seq: -";
    assert_eq!(
        shown,
        [
            "Lost 3 events since 5",
            event,
            event,
            "Lost 3 events on CPU 2 since 5",
            "Lost 3 events of buffer_tracker:p on CPU 0 since 5",
            event,
            event,
            "Lost 3 events of buffer_tracker:p on CPU 1 since 5",
        ]
    );
    assert_eq!(rewritten(&log), log);
}

#[test]
fn a_probe_is_found_once_for_each_program() {
    let mut sites =
        vec![site("a", vec![], 0), site("a", vec![], 0), site("b", vec![], 0), site("c", vec![], 0)];
    sites[2].announced = false;
    let mut definitions = definitions(sites);
    let (mut log, mut out) = (LogWriter::new(), Vec::new());
    log.header(&definitions, &mut out);
    definitions.push(Definition::Site(Site { program: "late".into(), ..site("a", vec![], 0) }.into()));
    log.announce(&definitions, &mut out);
    let expected = "\
[   0] Found probe a                                   in 'source'
[   1] Found probe c                                   in 'source'

Trace started. Ctrl-C to stop.

[   2] Found probe a                                   in 'late'
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn foreign_line_ends_and_trailing_blanks_are_taken() {
    let log = "\u{feff}[   0] Found probe p   in 'x'\r\n\r\n[ 1] [PID: 2] a b:c | Seq: 3  \r\n[ 5] [PID: 2] a b:c | Seq: 4";
    let lines: Vec<Line> = parse(log.as_bytes()).map(|line| line.unwrap().1).collect();
    assert!(matches!(&lines[0], Line::Found(found) if found.probe == "p" && found.program == "x"));
    assert!(matches!(&lines[3], Line::Event(event) if event.key == Key::Signed(4) && event.program == "a"));
}

#[test]
fn errors_name_line_find_and_expectation() {
    let start = "[ 1] [PID: 2] a b:c | Seq: 3\n";
    let cases = [
        (
            "hello",
            r#"line 2: found "hello", expected a line of the log: [TIME] [PID: N] PROGRAM PROVIDER:PROBE | Seq: N"#,
        ),
        ("[x] [PID: 1]", r#"line 2: found "x] [PID: 1]", expected a time in ns or an index"#),
        ("[ 1] Something", r#"line 2: found "Something", expected "[PID:", "Found probe" or "Lost""#),
        ("[ 1] [PID: -1] a b:c | Seq: 3", r#"line 2: found "-1] a b:c | Seq: 3", expected a process id"#),
        ("[ 1] [PID: 1] a b:c", r#"line 2: found "a b:c", expected " | Seq: ""#),
        ("[ 1] [PID: 1] b | Seq: 1", r#"line 2: found "b", expected PROGRAM PROVIDER:PROBE"#),
        ("[ 1] [PID: 1] a b | Seq: 1", r#"line 2: found "b", expected PROVIDER:PROBE"#),
        ("[ 1] [PID: 1] a b:c | Seq: ", r#"line 2: found "a b:c | Seq:", expected " | Seq: ""#),
        (
            "[ 1] [PID: 1] a b:c | Seq: x\x1b",
            r#"line 2: found "x\x1b", expected a sequence number, "-" or "?""#,
        ),
        (
            "[ 1] [PID: 1] a b:c | Seq: 1 | arg1: \"x",
            r#"line 2: found "\"x", expected a string that ends with a quote"#,
        ),
        (
            "[ 1] [PID: 1] a b:c | Seq: 1 | arg1: 1 | arg1: 2",
            r#"line 2: found "1: 2", expected the next argument, of 12 at most with the key"#,
        ),
        (
            "[ 1] [PID: 1] a b:c | Seq: - | arg1: 1",
            r#"line 2: found "1: 1", expected the next argument, of 12 at most with the key"#,
        ),
        (
            "[ 1] [PID: 1] a b:c | Seq: 7 | arg1: 1 | arg3: 1",
            r#"line 2: found "3: 1", expected the next argument, of 12 at most with the key"#,
        ),
        (
            "[ 1] [PID: 1] a b:c | Seq: 1 | arg12: 1",
            r#"line 2: found "12: 1", expected the next argument, of 12 at most with the key"#,
        ),
        (
            "[ 1] [PID: 1] a b:c | Seq: 1 | arg1: nan",
            r#"line 2: found "nan", expected a number, a string in quotes or "?""#,
        ),
        (
            "[ 1] [PID: 1] a\\q b:c | Seq: 1",
            r#"line 2: found "a\\q", expected a name; a backslash is written \\"#,
        ),
        ("[ 1] Found probe p in x", r#"line 2: found "in x", expected "in '""#),
        (
            "[ 1] Lost 3 events since 2",
            r#"line 2: found "2", expected a time that is not later than the line's"#,
        ),
        ("[ 1] Lost 3 events since", r#"line 2: found " since", expected " since ""#),
    ];
    for (line, expected) in cases {
        let log = format!("{start}{line}\nnever read\n");
        let mut lines = parse(log.as_bytes());
        lines.next().unwrap().unwrap();
        assert_eq!(lines.next().unwrap().unwrap_err().to_string(), expected, "{line}");
        assert!(lines.next().is_none(), "the first error ends the walk");
    }
    let error = parse(b"\xff").next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "line 1: found \"\u{fffd}\", expected UTF-8 text");
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Signed),
        (i64::MAX as u64 + 1..).prop_map(Value::Unsigned),
        any::<f64>().prop_filter("not equal to itself", |number| !number.is_nan()).prop_map(Value::Float),
        any::<Vec<u8>>().prop_map(Value::Str),
        any::<Vec<u8>>().prop_map(Value::CutStr),
        r"[a.\\]{0,8}".prop_map(|text| Value::Str(text.into_bytes())),
        r"[a.\\]{0,8}".prop_map(|text| Value::CutStr(text.into_bytes())),
        Just(Value::Unreadable),
    ]
}

fn any_line() -> impl Strategy<Value = Line> {
    let key = prop_oneof![
        Just(Key::Absent),
        Just(Key::Unreadable),
        any::<i64>().prop_map(Key::Signed),
        (i64::MAX as u64 + 1..).prop_map(Key::Unsigned),
    ];
    let args = (0_u8..5, prop::collection::vec(any_value(), 0..5));
    let name = prop_oneof![any::<String>(), "[a-z |:'\\\\ ]{0,40}"];
    let names = (name.clone(), name.clone(), name);
    let event =
        (any::<(u64, u32)>(), names.clone(), key, args).prop_map(|((time_ns, pid), names, key, args)| {
            let (program, provider, probe) = names;
            let (key_arg, values) = args;
            let indexes = (0..).filter(|&index| key == Key::Absent || index != key_arg);
            let args = indexes.zip(values).collect();
            Line::Event(EventLine { time_ns, pid, program, provider, probe, key, args })
        });
    let found = (any::<u64>(), names.clone())
        .prop_map(|(index, (probe, program, _))| Line::Found(FoundLine { index, probe, program }));
    let lost = (any::<(u64, u64, u64)>(), any::<Option<u16>>(), any::<bool>(), names).prop_map(
        |((one_ns, other_ns, count), cpu, has_probe, (provider, probe, _))| {
            let (from_ns, to_ns) = (one_ns.min(other_ns), one_ns.max(other_ns));
            Line::Lost(LostLine { from_ns, to_ns, count, cpu, probe: has_probe.then_some((provider, probe)) })
        },
    );
    prop_oneof![event, found, lost, Just(Line::Blank), Just(Line::Started)]
}

proptest! {
    #[test]
    fn lines_are_read_back(lines in prop::collection::vec(any_line(), 1..8)) {
        let mut log = Vec::new();
        lines.iter().for_each(|line| line.push(&mut log));
        let read: Vec<Line> = parse(&log).map(|line| line.unwrap().1).collect();
        prop_assert_eq!(&read, &lines);
        let mut again = Vec::new();
        read.iter().for_each(|line| line.push(&mut again));
        prop_assert_eq!(again, log);
    }

    #[test]
    fn no_input_makes_the_parser_panic(bytes: Vec<u8>, text in "[\\[\\] PID:0-9a-z|\"\\\\']{0,60}") {
        let _ = parse(&bytes).count();
        let _ = parse(format!("[1] [PID: 1] a b:c | Seq: {text}").as_bytes()).count();
        let _ = parse(format!("[1] {text}").as_bytes()).count();
    }
}
