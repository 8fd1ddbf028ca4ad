//! CTF: packets follow each other in each stream, and hold the events and the losses of its processor.
//! What babeltrace2 makes of them is checked by `scripts/validators/check_ctf.py`.

mod made;
mod mixed;

use std::collections::BTreeMap;
use std::io;

use made::{pipeline_log, trace_of};
use tracer_analyzer::picture::ctf::{Folder, export, is_file};
use tracer_analyzer::{Outcome, Selection};
use tracer_format::Trace;

#[derive(Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Folder for Files {
    fn append(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.entry(file.to_owned()).or_default().extend_from_slice(bytes);
        Ok(())
    }
}

fn exported(bytes: &[u8]) -> (Outcome, Files) {
    let trace = Trace::open(bytes).unwrap();
    let mut files = Files::default();
    let outcome = export(&trace, &Selection::all(), &mut files).unwrap();
    assert!(files.0.keys().all(|name| is_file(name)));
    (outcome, files)
}

/// A packet: its times, the losses counted up to its end, its processor, and what is behind its head.
#[derive(Debug, PartialEq)]
struct Packet<'a> {
    times: (u64, u64),
    discarded: u64,
    cpu: u32,
    events: &'a [u8],
}

/// The packets of a stream of one processor.
fn packets(mut stream: &[u8]) -> Vec<Packet<'_>> {
    let mut packets = Vec::new();
    while !stream.is_empty() {
        let number = |at: usize| u64::from_le_bytes(stream[at..at + 8].try_into().unwrap());
        assert_eq!(stream[..4], 0xc1fc_1fc1_u32.to_le_bytes());
        let bytes = usize::try_from(number(48) / 8).unwrap();
        assert_eq!(number(40), number(48), "content and packet");
        packets.push(Packet {
            times: (number(24), number(32)),
            discarded: number(56),
            cpu: u32::from_le_bytes(stream[64..68].try_into().unwrap()),
            events: &stream[68..bytes],
        });
        stream = &stream[bytes..];
    }
    packets
}

#[test]
fn losses_stand_between_packets_in_their_time() {
    let (outcome, Files(files)) = exported(&mixed::mixed_trace());
    assert_eq!((outcome.events, outcome.lost), (6, 9));
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["cpu_0", "cpu_1", "cpu_2", "cpu_3", "cpu_65535", "metadata"]);
    let lost = packets(&files["cpu_2"]);
    let empty = |times, discarded| Packet { times, discarded, cpu: 2, events: &[] };
    assert_eq!(lost, [empty((3500, 3500), 0), empty((3500, 3600), 9)]);
    let events = packets(&files["cpu_3"]);
    assert_eq!((events.len(), events[0].times, events[0].discarded), (1, (2000, 6000), 0));
    // Class, time, process, thread, program, key.
    let first = [&0_u32.to_le_bytes()[..], &2000_u64.to_le_bytes(), &[11, 0, 0, 0, 11, 0, 0, 0], b"source\0"];
    assert!(events[0].events.starts_with(&[&first.concat()[..], &5_u64.to_le_bytes()].concat()));
}

#[test]
fn metadata_has_a_class_for_each_probe_and_what_was_readable_of_it() {
    let (_, Files(files)) = exported(&mixed::mixed_trace());
    let metadata = String::from_utf8(files["metadata"].clone()).unwrap();
    assert!(metadata.starts_with("/* CTF 1.8 */\n"), "{metadata}");
    for expected in [
        "name = \"p:beg_a\";\n\tid = 0;\n\tstream_id = 0;\n\tfields := struct { int64_t seq; };",
        "fields := struct { uint64_t seq; string arg1; float32_t arg2; string arg3; };",
        "name = \"p:text\";\n\tid = 2;\n\tstream_id = 0;\n\tfields := struct { float32_t arg2; };",
        "name = \"p:none\";\n\tid = 3;\n\tstream_id = 0;\n\tfields := struct { };",
        "fields := struct { uint64_t seq; int64_t arg1; };",
        "hostname = \"h\";",
    ] {
        assert!(metadata.contains(expected), "{expected} is not in {metadata}");
    }
}

#[test]
fn a_large_stream_is_cut_into_packets_in_order() {
    let mut log = String::new();
    for at in 1..=20_000 {
        log += &format!("[{at}] [PID: 7] a p:x | Seq: {at}\n");
    }
    let (outcome, Files(files)) = exported(&trace_of(&log));
    assert_eq!(outcome.events, 20_000);
    let packets = packets(&files["cpu_0"]);
    assert!(packets.len() > 2, "{} packets", packets.len());
    assert!(packets.windows(2).all(|two| two[0].times.1 < two[1].times.0));
    let one = 4 + 8 + 8 + "a\0".len() + 8;
    assert_eq!(packets.iter().map(|packet| packet.events.len()).sum::<usize>(), 20_000 * one);
}

#[test]
fn losses_of_no_processor_have_a_stream_of_their_own() {
    let (outcome, Files(files)) = exported(&trace_of(&pipeline_log()));
    assert_eq!(outcome.lost, 8);
    let metadata = String::from_utf8(files["metadata"].clone()).unwrap();
    assert!(metadata.contains("stream {\n\tid = 1;\n"), "{metadata}");
    assert_eq!(files["cpu_unknown"][20..24], 1_u32.to_le_bytes());
    // One that stands there only has no such class.
    let (_, Files(files)) = exported(&mixed::mixed_trace());
    assert!(!String::from_utf8(files["metadata"].clone()).unwrap().contains("id = 1;\n\tpacket"));
}
