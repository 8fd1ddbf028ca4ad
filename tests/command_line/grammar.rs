//! What options take: the same in every verb, with one form of error.

use crate::tool::{Folder, stderr, stdout};

const LOG: &str = "\
[               1] [PID:     17] worker       demo:beg_work                  | Seq: 18446744073709551615
[      2000000000] [PID:     17] worker       demo:beg_work                  | Seq: -1
[     90000000001] [PID:     18] worker       other:end                      | Seq: 7
";

fn imported(folder: &Folder) {
    folder.write("log", LOG);
    stdout(&folder.tracer(&["import", "log", "-o", "s.trace"]), 0);
}

#[test]
fn reading_takes_what_recording_takes() {
    let folder = Folder::new("grammar");
    imported(&folder);
    for (option, value, lines) in [
        ("-e", "demo", &[0, 1][..]),
        ("-e", "demo:*", &[0, 1]),
        ("-e", "de*:beg_*(arg0:str,_)", &[0, 1]),
        ("-x", "work*", &[0, 1, 2]),
        ("-p", "18", &[2]),
        ("--from", "1m30s", &[2]),
        ("--from", "90", &[2]),
        ("--to", "1.5", &[0]),
        ("--to", "1500ms", &[0]),
        // What the log prints, and only that.
        ("--seq", "18446744073709551615", &[0]),
        ("--seq", "-1", &[1]),
        ("--seq", "8..", &[0]),
        ("--seq", "..7", &[1, 2]),
    ] {
        let log = stdout(&folder.tracer(&["replay", "s.trace", option, value]), 0);
        let seen: Vec<&str> = log.lines().filter(|line| line.contains(" | Seq: ")).collect();
        let expected: Vec<&str> = lines.iter().filter_map(|&line: &usize| LOG.lines().nth(line)).collect();
        assert_eq!(seen, expected, "{option} {value}");
    }
}

const ANALYZE: &[&str] = &["analyze", "s.trace"];
const READERS: &[&[&str]] = &[&["replay", "s.trace"], ANALYZE, &["cut", "s.trace", "-o", "c"]];
const RECORDERS: &[&[&str]] = if cfg!(target_os = "linux") { &[&["record"]] } else { &[] };
const BOTH: &[&[&str]] = if cfg!(target_os = "linux") { &[ANALYZE, &["record"]] } else { READERS };

/// Verbs, an option, a malformed value, and what is said of it.
const MALFORMED: &[(&[&[&str]], &str, &str, &str)] = &[
    (
        BOTH,
        "-e",
        "a:b:c",
        "--event: probe \"a:b:c\": it has more than one ':'; expected 'buffer_tracker:*', ",
    ),
    (BOTH, "-x", "", "--program: program \"\": a name is empty (use * for any); expected a name or a glob "),
    (BOTH, "-p", "x", "--pid: process id \"x\": expected a number above 0 such as 1234"),
    (
        READERS,
        "--seq",
        "5..1",
        "--seq: sequence numbers \"5..1\": the first is above the last; expected N, A..B ",
    ),
    (
        READERS,
        "--from",
        "soon",
        "--from: time \"soon\": expected an offset from the first event such as 1.5s or ",
    ),
    (RECORDERS, "--duration", "-1s", "--duration: time \"-1s\": expected a span such as 10s, 500ms or 1m30s"),
    (
        RECORDERS,
        "--max-size",
        "much",
        "--max-size: size \"much\": expected a number of bytes such as 64K, 8M or 1G",
    ),
    (
        RECORDERS,
        "--rotate",
        "daily",
        "--rotate: size or time \"daily\": expected a size such as 64M or a time ",
    ),
    (
        RECORDERS,
        "--key",
        "a:b",
        "--key: argument of a probe \"a:b\": it has no '='; expected 'PROVIDER:PROBE=argN' ",
    ),
    (RECORDERS, "--when", "awe", "--when: condition \"awe\": expected 'STAGE > TIME' such as 'awe > 50ms'"),
    (RECORDERS, "--max-events", "x", "--max-events: \"x\": expected a whole number"),
    (
        &[ANALYZE],
        "--stage",
        "x",
        "--stage: stage \"x\": expected NAME = PROVIDER:FROM -> PROVIDER:TO by KEY, ",
    ),
];

#[test]
fn what_is_malformed_is_one_line_of_one_form() {
    let folder = Folder::new("malformed");
    imported(&folder);
    for &(verbs, option, value, expected) in MALFORMED {
        for verb in verbs {
            let given = format!("{option}={value}");
            let given = if option.starts_with("--") { vec![given.as_str()] } else { vec![option, value] };
            let output = folder.tracer(&[verb, &given[..]].concat());
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{verb:?} {option} {value}: {said}");
            assert!(said.starts_with(&format!("tracer: {expected}")), "{verb:?} {option}: {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
}

/// Of a value that begins with "-", as a word of its own, it was said that it is no option.
#[test]
fn a_value_that_looks_like_an_option_is_told_what_is_expected() {
    let folder = Folder::new("hyphen");
    imported(&folder);
    for (line, expected) in [
        (
            "analyze s.trace --from -5s",
            "--from: time \"-5s\": expected an offset from the first event such as 1.5s",
        ),
        ("analyze s.trace --to -1 --from 2", "--to: time \"-1\": expected an offset"),
        ("analyze s.trace --seq -3..x", "--seq: sequence numbers \"-3..x\": expected N, A..B"),
        ("analyze s.trace -p -7", "--pid: process id \"-7\": expected a number above 0"),
        ("analyze s.trace --worst -1", "--worst: \"-1\": expected a whole number"),
        ("analyze s.trace --fail-if -1>work.p50", "--fail-if: "),
        ("diff s.trace s.trace --min-change -5%", "--min-change: \"-5%\": expected a percentage such as 10%"),
        (
            "diff s.trace s.trace --min-difference -1us",
            "--min-difference: time \"-1us\": expected a span such as 10s",
        ),
        ("replay s.trace --speed -1", "--speed: \"-1\": expected a number above 0"),
        ("cut s.trace -o -c", "-o: a value that begins with \"-\" is given as -o=VALUE"),
        (
            "analyze s.trace --stages --mine",
            "--stages: a value that begins with \"-\" is given as --stages=VALUE",
        ),
    ] {
        let output = folder.tracer(&line.split(' ').collect::<Vec<_>>());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(said.starts_with(&format!("tracer: {expected}")), "{line}: {said}");
        assert_eq!(said.lines().count(), 1, "{line}: {said}");
    }
    // What is no value is still no option.
    for line in [
        "analyze s.trace -5",
        "analyze s.trace --from=1s --bogus",
        "analyze s.trace -p7 --bogus",
        "analyze s.trace --all --bogus",
    ] {
        let output = folder.tracer(&line.split(' ').collect::<Vec<_>>());
        let said = stderr(&output);
        assert!(said.contains("unexpected argument"), "{line}: {said}");
    }
}
