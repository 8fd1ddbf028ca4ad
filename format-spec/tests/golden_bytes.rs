//! The smallest complete trace and one of a single event, byte by byte: a change of the layout cannot go unnoticed.
//!
//! SPEC.md section 14 shows the second one; `BLESS=1 cargo test -p tracer-format --test golden_bytes` rewrites it there.
//! The bytes of the zstd frame may change with the zstd library; then, and only then, may they be replaced here.

use std::fmt::Write;

use tracer_format::{
    ArgKind, Batch, Definition, Firing, Host, Process, ProcessId, Site, SiteId, Thread, ThreadId, Trace,
    Writer, WriterOptions,
};

/// Bytes in hexadecimal, and what they are.
type Fields = &'static [(&'static str, &'static str)];

#[rustfmt::skip]
const EMPTY: Fields = &[
    ("89 54 52 41 43 45 0d 0a", "file header: magic"),
    ("01 00", "version 1"),
    ("00 00 00 00 00 00", "unused"),
    ("88 77 66 55 44 33 22 11", "trace_id 0x1122334455667788"),
    ("00 00 00 00", "unused_too"),
    ("8a 5f 8c 6e", "checksum of the 28 bytes before"),
    ("b7 54 52 42 4c 4b 0d 0a", "block header at 32: magic"),
    ("05", "kind 5: index"),
    ("00", "flags: none"),
    ("00 00", "unused"),
    ("00 00 00 00", "stored_bytes 0"),
    ("88 77 66 55 44 33 22 11", "trace_id"),
    ("00 00 00 00", "count 0"),
    ("00 00 00 00", "sequence 0"),
    ("00 00 00 00 00 00 00 00", "first_ns 0"),
    ("00 00 00 00 00 00 00 00", "last_ns 0"),
    ("00 00 00 00 00 00 00 00", "key_min 0"),
    ("ff ff ff ff ff ff ff ff", "key_max -1"),
    ("00 00 00 00", "content_checksum"),
    ("62 0c 79 ea", "header_checksum"),
    ("b7 54 52 42 4c 4b 0d 0a", "block header at 104: magic"),
    ("06", "kind 6: footer"),
    ("00", "flags: none"),
    ("00 00", "unused"),
    ("38 00 00 00", "stored_bytes 56"),
    ("88 77 66 55 44 33 22 11", "trace_id"),
    ("01 00 00 00", "count 1"),
    ("01 00 00 00", "sequence 1"),
    ("00 00 00 00 00 00 00 00", "first_ns 0"),
    ("00 00 00 00 00 00 00 00", "last_ns 0"),
    ("00 00 00 00 00 00 00 00", "key_min 0"),
    ("ff ff ff ff ff ff ff ff", "key_max -1"),
    ("a2 51 f4 be", "content_checksum"),
    ("47 cf cd d7", "header_checksum"),
    ("e8 00 00 00 00 00 00 00", "trace_bytes 232"),
    ("20 00 00 00 00 00 00 00", "restated_offset 32"),
    ("20 00 00 00 00 00 00 00", "index_offset 32"),
    ("00 00 00 00 00 00 00 00", "events 0"),
    ("00 00 00 00 00 00 00 00", "dropped 0"),
    ("00 00 00 00 00 00 00 00", "unused"),
    ("54 52 41 43 45 2e 0d 0a", "trailer"),
];

#[rustfmt::skip]
const ONE_EVENT: Fields = &[
    ("89 54 52 41 43 45 0d 0a", "file header: magic"),
    ("01 00", "version 1"),
    ("00 00 00 00 00 00", "unused"),
    ("88 77 66 55 44 33 22 11", "trace_id 0x1122334455667788"),
    ("00 00 00 00", "unused_too"),
    ("8a 5f 8c 6e", "checksum of the 28 bytes before"),
    ("b7 54 52 42 4c 4b 0d 0a", "block header at 32: magic"),
    ("01", "kind 1: definitions"),
    ("01", "flags: required"),
    ("00 00", "unused"),
    ("30 00 00 00", "stored_bytes 48"),
    ("88 77 66 55 44 33 22 11", "trace_id"),
    ("04 00 00 00", "count 4"),
    ("00 00 00 00", "sequence 0"),
    ("00 00 00 00 00 00 00 00", "first_ns 0"),
    ("00 00 00 00 00 00 00 00", "last_ns 0"),
    ("00 00 00 00 00 00 00 00", "key_min 0"),
    ("ff ff ff ff ff ff ff ff", "key_max -1"),
    ("2e c3 2a 5c", "content_checksum"),
    ("15 b2 eb 6e", "header_checksum"),
    ("2e", "46 bytes of definitions"),
    ("01", "plane: PLAIN"),
    ("01 00 08", "kind 1: host, id 0, 8 bytes"),
    ("01 68", "name \"h\""),
    ("00 00 00 00 00 00", "kernel, machine, boot_id, cpus, tool, command: empty"),
    ("02 00 09", "kind 2: process, id 0, 9 bytes"),
    ("00", "host 0"),
    ("ac 02", "pid 300"),
    ("00 00", "parent_pid 0, start_ns 0"),
    ("01 70", "program \"p\""),
    ("00 00", "executable, command: empty"),
    ("03 00 03", "kind 3: thread, id 0, 3 bytes"),
    ("00", "process 0"),
    ("ad 02", "tid 301"),
    ("04 00 0e", "kind 4: site, id 0, 14 bytes"),
    ("01 61", "provider \"a\""),
    ("01 62", "probe \"b\""),
    ("00 00 00", "program, path, build_id: empty"),
    ("00 00", "offset 0, semaphore_offset 0"),
    ("00", "spec: empty"),
    ("00 00", "key_arg 0, announced 0"),
    ("01 18", "one argument: signed, 8 bytes"),
    ("b7 54 52 42 4c 4b 0d 0a", "block header at 152: magic"),
    ("02", "kind 2: events"),
    ("01", "flags: required"),
    ("00 00", "unused"),
    ("0e 00 00 00", "stored_bytes 14"),
    ("88 77 66 55 44 33 22 11", "trace_id"),
    ("01 00 00 00", "count 1"),
    ("01 00 00 00", "sequence 1"),
    ("e8 03 00 00 00 00 00 00", "first_ns 1000"),
    ("e8 03 00 00 00 00 00 00", "last_ns 1000"),
    ("05 00 00 00 00 00 00 00", "key_min 5"),
    ("05 00 00 00 00 00 00 00", "key_max 5"),
    ("05 28 b5 33", "content_checksum"),
    ("89 f8 b7 bd", "header_checksum"),
    ("01", "T = 1 thread"),
    ("00", "its id: column of 0 bits: 0"),
    ("01", "S = 1 site"),
    ("00", "its id: 0"),
    ("00", "threads: t = 0"),
    ("00", "sites: code 0: as expected"),
    ("02 03", "processors: 2 bits: code 3: processor 2"),
    ("00", "s = 0: times: 0 after the event before, here first_ns"),
    ("01", "A = 1 argument"),
    ("02", "predictor THREAD"),
    ("00", "values: 0 after key_min: 5"),
    ("00", "U = 0 events with unreadable arguments"),
    ("00", "K = 0 strings"),
    ("b7 54 52 42 4c 4b 0d 0a", "block header at 238: magic"),
    ("01", "kind 1: definitions"),
    ("03", "flags: required, restated"),
    ("00 00", "unused"),
    ("30 00 00 00", "stored_bytes 48"),
    ("88 77 66 55 44 33 22 11", "trace_id"),
    ("04 00 00 00", "count 4"),
    ("02 00 00 00", "sequence 2"),
    ("00 00 00 00 00 00 00 00", "first_ns 0"),
    ("00 00 00 00 00 00 00 00", "last_ns 0"),
    ("00 00 00 00 00 00 00 00", "key_min 0"),
    ("ff ff ff ff ff ff ff ff", "key_max -1"),
    ("2e c3 2a 5c", "content_checksum"),
    ("38 9b 8b 39", "header_checksum"),
    ("2e", "46 bytes of definitions"),
    ("01", "plane: PLAIN"),
    ("01 00 08", "kind 1: host, id 0, 8 bytes"),
    ("01 68", "name \"h\""),
    ("00 00 00 00 00 00", "kernel, machine, boot_id, cpus, tool, command: empty"),
    ("02 00 09", "kind 2: process, id 0, 9 bytes"),
    ("00", "host 0"),
    ("ac 02", "pid 300"),
    ("00 00", "parent_pid 0, start_ns 0"),
    ("01 70", "program \"p\""),
    ("00 00", "executable, command: empty"),
    ("03 00 03", "kind 3: thread, id 0, 3 bytes"),
    ("00", "process 0"),
    ("ad 02", "tid 301"),
    ("04 00 0e", "kind 4: site, id 0, 14 bytes"),
    ("01 61", "provider \"a\""),
    ("01 62", "probe \"b\""),
    ("00 00 00", "program, path, build_id: empty"),
    ("00 00", "offset 0, semaphore_offset 0"),
    ("00", "spec: empty"),
    ("00 00", "key_arg 0, announced 0"),
    ("01 18", "one argument: signed, 8 bytes"),
    ("b7 54 52 42 4c 4b 0d 0a", "block header at 358: magic"),
    ("05", "kind 5: index"),
    ("00", "flags: none"),
    ("00 00", "unused"),
    ("3a 00 00 00", "stored_bytes 58"),
    ("88 77 66 55 44 33 22 11", "trace_id"),
    ("02 00 00 00", "count 2"),
    ("03 00 00 00", "sequence 3"),
    ("00 00 00 00 00 00 00 00", "first_ns 0"),
    ("00 00 00 00 00 00 00 00", "last_ns 0"),
    ("00 00 00 00 00 00 00 00", "key_min 0"),
    ("ff ff ff ff ff ff ff ff", "key_max -1"),
    ("c9 f7 e3 fb", "content_checksum"),
    ("09 77 85 a1", "header_checksum"),
    ("02", "plane: ZSTD"),
    ("38", "56 bytes"),
    ("28 b5 2f fd 20 70 7d 01 00 b8 20 00 01 01 00 30 00 00 00 04 00 ff 98 00 02 0e 00 00 00 e8 03 05 00 0a 00 40 e2 8a 06 99 8d 5d 16 6d e5 2e c0 08 32 06 2c 04 c2 0d a0 0d", "zstd frame of 112 bytes: 2 index rows"),
    ("b7 54 52 42 4c 4b 0d 0a", "block header at 488: magic"),
    ("06", "kind 6: footer"),
    ("00", "flags: none"),
    ("00 00", "unused"),
    ("38 00 00 00", "stored_bytes 56"),
    ("88 77 66 55 44 33 22 11", "trace_id"),
    ("01 00 00 00", "count 1"),
    ("04 00 00 00", "sequence 4"),
    ("00 00 00 00 00 00 00 00", "first_ns 0"),
    ("00 00 00 00 00 00 00 00", "last_ns 0"),
    ("00 00 00 00 00 00 00 00", "key_min 0"),
    ("ff ff ff ff ff ff ff ff", "key_max -1"),
    ("d1 8d 7a 6a", "content_checksum"),
    ("f1 7e af 71", "header_checksum"),
    ("68 02 00 00 00 00 00 00", "trace_bytes 616"),
    ("ee 00 00 00 00 00 00 00", "restated_offset 238"),
    ("66 01 00 00 00 00 00 00", "index_offset 358"),
    ("01 00 00 00 00 00 00 00", "events 1"),
    ("00 00 00 00 00 00 00 00", "dropped 0"),
    ("00 00 00 00 00 00 00 00", "unused"),
    ("54 52 41 43 45 2e 0d 0a", "trailer"),
];

fn bytes(fields: Fields) -> Vec<u8> {
    let hex = fields.iter().flat_map(|(hex, _)| hex.split(' '));
    hex.map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal")).collect()
}

fn writer() -> Writer<Vec<u8>> {
    let options = WriterOptions { trace_id: 0x1122_3344_5566_7788, ..WriterOptions::default() };
    Writer::new(Vec::new(), options).expect("a Vec takes all")
}

fn one_event() -> Vec<u8> {
    let mut writer = writer();
    let mut define = |definition| writer.define(definition).expect("within the limits");
    define(Definition::Host(Host { name: "h".into(), ..Host::default() }.into()));
    define(Definition::Process(Process { pid: 300, program: "p".into(), ..Process::default() }.into()));
    define(Definition::Thread(Thread { process: ProcessId(0), tid: 301 }));
    let args = vec![ArgKind::Signed(8)];
    define(Definition::Site(
        Site { provider: "a".into(), probe: "b".into(), args: args.into(), ..Site::default() }.into(),
    ));
    let event =
        Firing { time_ns: 1000, thread: ThreadId(0), site: SiteId(0), cpu: 2, unreadable: 0, values: &[5] };
    writer.push(&event).expect("defined");
    writer.finish().expect("a Vec takes all")
}

/// The dump of SPEC.md: position, bytes (eight a line), meaning.
fn dump(fields: Fields) -> String {
    let (mut text, mut at) = (String::new(), 0);
    for (hex, meaning) in fields {
        for (line, bytes) in hex.split(' ').collect::<Vec<_>>().chunks(8).enumerate() {
            let meaning = if line == 0 { meaning } else { "" };
            let row = format!("{at:>4}  {:<23}  {meaning}", bytes.join(" "));
            writeln!(text, "{}", row.trim_end()).expect("a String takes all");
            at += bytes.len();
        }
    }
    text
}

#[test]
fn the_smallest_trace_has_these_bytes() {
    assert_eq!(writer().finish().expect("a Vec takes all"), bytes(EMPTY));
    let trace = bytes(EMPTY);
    let trace = Trace::open(&trace).expect("a trace");
    assert!(trace.complete && trace.blocks.is_empty() && trace.damage.is_empty());
}

#[test]
fn a_trace_of_one_event_has_these_bytes() {
    assert_eq!(one_event(), bytes(ONE_EVENT));
}

#[test]
fn the_bytes_of_one_event_are_read() {
    let bytes = bytes(ONE_EVENT);
    for trace in [Trace::open(&bytes), Trace::scan(&bytes)] {
        let trace = trace.expect("a trace");
        assert!(trace.complete && trace.damage.is_empty());
        let mut batches = trace.batches();
        let Some(Batch::Events { columns, rows: std::ops::Range { start: 0, end: 1 } }) = batches.next()
        else {
            panic!("no event");
        };
        let event = columns.event(0);
        let process = trace.definitions.process_of(event.thread).expect("defined");
        let site = &trace.definitions.sites[event.site.index()];
        assert_eq!((event.time_ns, event.cpu, event.key(&trace.definitions)), (1000, 2, Some(5)));
        assert_eq!((process.pid, &*process.program, site.name().as_str()), (300, "p", "a:b"));
        assert_eq!(trace.definitions.threads[event.thread.index()].tid, 301);
        assert!(batches.next().is_none());
    }
}

#[test]
fn the_spec_shows_these_bytes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/SPEC.md");
    let spec = std::fs::read_to_string(path).expect("SPEC.md");
    let (begin, end) = ("<!-- golden: one event -->\n```text\n", "```\n<!-- end -->");
    let start = spec.find(begin).expect("the dump's begin") + begin.len();
    let len = spec[start..].find(end).expect("the dump's end");
    if std::env::var_os("BLESS").is_some() {
        let blessed = format!("{}{}{}", &spec[..start], dump(ONE_EVENT), &spec[start + len..]);
        std::fs::write(path, blessed).expect("SPEC.md");
        return;
    }
    assert_eq!(&spec[start..start + len], dump(ONE_EVENT), "BLESS=1 rewrites SPEC.md");
}
