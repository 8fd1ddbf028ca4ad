//! What is said of a trace.

mod mixed;

use mixed::{mixed_trace, mixed_trace_of};
use serde_json::{Value, json};
use tracer_analyzer::file::info::{Counts, FileState, count, report, write_json};
use tracer_analyzer::report::text;
use tracer_format::Trace;

fn document_with(trace: &Trace<'_>, counts: Option<&Counts>) -> Value {
    let mut text = Vec::new();
    write_json(trace, counts, &mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn document(trace: &Trace<'_>) -> Value {
    document_with(trace, Some(&count(trace)))
}

#[test]
fn the_text_says_all() {
    let bytes = mixed_trace();
    let trace = Trace::open(&bytes).unwrap();
    let (size, stored) = (bytes.len(), trace.blocks[0].stored_bytes);
    let each = size as f64 / 6.0;
    let expected = format!(
        "\
state       complete
format      version 1, trace id 000000000000abcd
host        h, Linux 6.18, x86_64, 4 processors
tool        tracer 0
command     tracer record
time        2026-05-01T12:00:00.000001Z to 2026-05-01T12:00:01.000002Z, 5.000 us
clock       CLOCK_MONOTONIC 2000 to 7000 ns
anchors     2 of MONOTONIC, BOOTTIME, REALTIME, TAI
events      6, 1200000 a second
bytes       {size}, {each:.2} an event
blocks      9, 1 of events: {stored} to {stored} bytes, up to 6 events, zstd
lost        9 events in 1 gap while recording
cost        eBPF 1100 ns a run (6 runs measured); recorder 1.200 us of CPU (200 ns an event); 2 wake-ups, 480 bytes drained

pid  program  started                      ended     events  command
 11  source   2026-05-01T11:59:59.999999Z  exit 3         3  ./source --fast
 12  sink     -                            signal 9       3  ./sink --fast

probe    program  sites  events  arguments        semaphore  build id
p:beg_a  bin          1       2  i64              no         beef
p:text   bin          1       2  u32 str f32 str  no         beef
p:none   bin          1       1                   no         beef
q:big    bin          1       1  u64 i32          no         beef

stage  from     to     key
s      p:beg_a  q:big  pid

lost      from  length  cpu  probe
   9  1.500 us  100 ns    2  any
"
    );
    let found = text(&report(&trace, Some(&count(&trace))));
    assert!(found == expected, "got:\n{found}\nexpected:\n{expected}");
}

#[test]
fn counts_are_left_out_where_nothing_was_decoded() {
    let bytes = mixed_trace();
    let trace = Trace::open(&bytes).unwrap();
    let found = text(&report(&trace, None));
    assert!(found.contains("\npid  program  started                      ended     command\n"), "{found}");
    assert!(found.contains("\np:none   bin          1                   no         beef\n"), "{found}");
    let document = document_with(&trace, None);
    assert_eq!(document["probes"][0].get("events"), None);
}

#[test]
fn json_says_all() {
    let bytes = mixed_trace();
    let trace = Trace::open(&bytes).unwrap();
    let document = document(&trace);
    let expected = [
        ("/state", json!("complete")),
        ("/format_version", json!(1)),
        ("/trace_ids", json!(["000000000000abcd"])),
        ("/events", json!(6)),
        ("/bytes", json!(bytes.len())),
        ("/time/first_ns", json!(2000)),
        ("/time/last", json!("2026-05-01T12:00:01.000002Z")),
        ("/blocks/count", json!(9)),
        ("/loss/lost", json!(9)),
        (
            "/loss/gaps",
            json!([{ "host": 0, "cpu": 2, "site": null, "from_ns": 3500, "to_ns": 3600, "lost": 9 }]),
        ),
        ("/hosts/0/name", json!("h")),
        ("/clocks/1/monotonic_ns", json!(5000)),
        ("/processes/0/pid", json!(11)),
        ("/processes/0/started", json!("2026-05-01T11:59:59.999999Z")),
        ("/processes/0/exit", json!({ "time_ns": 7500, "status": 768 })),
        ("/processes/1/events", json!(3)),
        ("/probes/1/arguments", json!("u32 str f32 str")),
        ("/probes/1/events", json!(2)),
        ("/probes/1/build_id", json!("beef")),
        ("/stages/0/name", json!("s")),
        ("/cost/bpf_runs", json!(6)),
    ];
    for (pointer, value) in expected {
        assert_eq!(document.pointer(pointer), Some(&value), "{pointer}");
    }
}

#[test]
fn a_cut_trace_is_incomplete_and_a_damaged_one_is_damaged() {
    let sound = mixed_trace();
    let cut = &sound[..sound.len() - 200];
    let trace = Trace::open(cut).unwrap();
    assert_eq!(FileState::of(&trace), FileState::Incomplete);
    assert!(
        text(&report(&trace, None))
            .starts_with("state       incomplete: the recorder died or is still at work\n")
    );
    assert_eq!(document(&trace)["state"], "incomplete");
    let mut damaged = sound;
    damaged[40] ^= 1;
    let trace = Trace::scan(&damaged).unwrap();
    assert_eq!(FileState::of(&trace), FileState::Damaged);
    let found = text(&report(&trace, None));
    assert!(found.contains("\nat byte  bytes  events  damage\n"), "{found}");
    assert_eq!(document(&trace)["loss"]["damage"][0]["offset"], 32);
}

#[test]
fn names_cannot_drive_the_terminal() {
    let bytes = mixed_trace_of("a\x1b[2J\nb");
    let trace = Trace::open(&bytes).unwrap();
    let found = text(&report(&trace, None));
    assert!(found.contains("a\\x1b[2J\\nb"), "{found}");
    assert!(!found.contains('\x1b'), "{found}");
}

#[test]
fn an_empty_trace_has_no_time() {
    let bytes = made_empty();
    let trace = Trace::open(&bytes).unwrap();
    assert_eq!(document(&trace)["time"], Value::Null);
    assert!(text(&report(&trace, None)).contains("\nevents      0\n"));
}

fn made_empty() -> Vec<u8> {
    tracer_format::Writer::new(Vec::new(), tracer_format::WriterOptions::default()).unwrap().finish().unwrap()
}
