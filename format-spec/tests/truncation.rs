//! A trace cut off anywhere, with zeros from anywhere on, or with any sector zeroed: what lies in intact blocks is read.
//!
//! The first is what a killed recorder leaves, the others are what a power cut can leave.

mod sample;

use sample::{ALL, Original, Random};
use tracer_format::block::kind;
use tracer_format::header::FILE_HEADER_BYTES;
use tracer_format::{
    ArgKind, Batch, Definition, Firing, Process, ProcessId, Site, SiteId, Thread, ThreadId, Trace, Writer,
    WriterOptions,
};

/// Bytes that a disk writes at once.
const SECTOR: usize = 512;

#[test]
fn every_prefix_gives_the_events_of_its_whole_blocks() {
    let original = Original::new(sample::one());
    for len in 0..=original.bytes.len() {
        let prefix = &original.bytes[..len];
        let reads = original.check(prefix, &format!("prefix of {len}"));
        let expected = original.intact(prefix);
        for read in reads {
            assert_eq!(read.events, expected, "prefix of {len}");
            assert_eq!(read.named, len < original.bytes.len(), "prefix of {len}");
        }
    }
}

#[test]
fn every_prefix_of_two_traces_gives_the_events_of_its_whole_blocks() {
    for trace_id in [0, 5] {
        let original = Original::new(sample::two(trace_id));
        // The first trace alone is complete, and covered above.
        let first = original.blocks.iter().find(|block| block.header.kind == kind::FOOTER).expect("complete");
        for len in first.range.end + 1..original.bytes.len() {
            original.check_all_intact(&original.bytes[..len], &format!("prefix of {len}"));
        }
    }
}

#[test]
fn zeros_from_anywhere_on_lose_nothing_before() {
    let original = Original::new(sample::one());
    for len in 0..original.bytes.len() {
        let mut zeroed = original.bytes.clone();
        zeroed[len..].fill(0);
        original.check_all_intact(&zeroed, &format!("zeros from {len} on"));
    }
}

#[test]
fn any_zeroed_sectors_lose_nothing_else() {
    for bytes in [sample::one(), sample::two(5)] {
        let original = Original::new(bytes);
        let sectors = original.bytes.len().div_ceil(SECTOR);
        // Each run of sectors, also shifted, as the file may begin anywhere in the image of a disk.
        for shift in [0, 100, 311] {
            for first in 0..sectors {
                for count in 1..=3 {
                    let begin = (first * SECTOR + shift).min(original.bytes.len());
                    let end = (begin + count * SECTOR).min(original.bytes.len());
                    let mut zeroed = original.bytes.clone();
                    zeroed[begin..end].fill(0);
                    original.check_all_intact(&zeroed, &format!("zeros in {begin}..{end}"));
                }
            }
        }
    }
}

#[test]
fn a_cut_trace_before_another_loses_only_the_cut_block() {
    let (first, second) = (Original::new(sample::one()), sample::two(5));
    let mut both = first.bytes.clone();
    both.extend(&second);
    let all = Original::new(both);
    let boundaries = first.blocks.iter().map(|block| block.range.start);
    for len in (1..first.bytes.len()).step_by(7).chain(boundaries) {
        let mut joined = first.bytes[..len].to_vec();
        joined.extend(&second);
        for read in all.check(&joined, &format!("cut at {len}")) {
            let lost = read.events.len() < first.intact(&first.bytes[..len]).len() + 2 * ALL;
            assert!(!lost, "cut at {len}: {} events", read.events.len());
        }
    }
}

#[test]
fn events_behind_restated_definitions_outlive_the_first_ones() {
    // What only compresses badly, so that few events make the 8 MiB after which definitions are restated.
    let mut random = Random(1);
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("a Vec takes all");
    writer.define(Definition::Process(Process { pid: 7, ..Process::default() }.into())).expect("defined");
    writer.define(Definition::Thread(Thread { process: ProcessId(0), tid: 7 })).expect("defined");
    let args = vec![ArgKind::Unsigned(8); 4];
    writer
        .define(Definition::Site(Site { probe: "p".into(), args: args.into(), ..Site::default() }.into()))
        .expect("defined");
    writer.flush().expect("a Vec takes all");
    let definitions = FILE_HEADER_BYTES..usize::try_from(writer.written_bytes()).expect("a few bytes");
    for time_ns in 0..350_000 {
        let values = [(); 4].map(|()| random.next());
        let event =
            Firing { time_ns, thread: ThreadId(0), site: SiteId(0), cpu: 0, unreadable: 0, values: &values };
        writer.push(&event).expect("pushed");
    }
    writer.flush().expect("a Vec takes all");
    let mut bytes = writer.sink_mut().clone();
    bytes[definitions].fill(0);
    let trace = Trace::open(&bytes).expect("a trace");
    assert!(!trace.complete && !trace.damage.is_empty());
    let mut batches = trace.batches();
    let Some(Batch::Events { columns, rows }) = batches.next() else {
        panic!("not even the first block is read")
    };
    assert_eq!(columns.time_ns[rows.start], 0);
}
