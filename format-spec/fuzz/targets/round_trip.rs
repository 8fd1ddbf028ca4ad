//! Any events, in any order, with any block size, come back as they were, with their strings, whole or cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_format::{
    Arg, ArgKind, Batch, Firing, Process, ProcessId, Site, SiteId, Thread, ThreadId, Trace, Writer,
    WriterOptions,
};

/// Time, thread, site, processor, value.
type Plain = (u64, ThreadId, SiteId, u16, u64);

fuzz_target!(|bytes: &[u8]| {
    let Some((&size, rest)) = bytes.split_first() else { return };
    let mut events: Vec<Plain> = rest.chunks_exact(12).map(plain).collect();
    let file = write(&events, 1 + usize::from(size));
    // Ties go by processor, then by the order they were written in.
    events.sort_by_key(|event| (event.0, event.3));
    for trace in [Trace::open(&file), Trace::scan(&file)] {
        let trace = trace.unwrap();
        assert!(trace.complete && trace.damage.is_empty());
        let (mut batches, mut back) = (trace.batches(), Vec::new());
        while let Some(batch) = batches.next() {
            let Batch::Events { columns, rows } = batch else { panic!("{batch:?}") };
            back.extend(rows.map(|row| {
                let (event, values) = (columns.event(row), columns.row_values(row));
                let value = values.first().copied().unwrap_or(0);
                assert_eq!(
                    event.args(&trace.definitions).nth(1),
                    (event.site == SiteId(2)).then_some(text(value, &value.to_le_bytes()))
                );
                (event.time_ns, event.thread, event.site, event.cpu, value)
            }));
        }
        assert_eq!(back, events);
    }
});

/// The string of an event with this value: few of its bytes, so that strings come again, cut and whole.
fn text(value: u64, bytes: &[u8; 8]) -> Arg<'_> {
    let string = &bytes[..value as usize % 3];
    if value & 4 == 0 { Arg::Str(string) } else { Arg::CutStr(string) }
}

fn plain(bytes: &[u8]) -> Plain {
    let value = u64::from_le_bytes(bytes[4..12].try_into().unwrap());
    let (thread, site) = (ThreadId(u32::from(bytes[2] % 5)), SiteId(u32::from(bytes[3] % 3)));
    // Times near each other and far apart.
    let time_ns = u64::from(bytes[0]) << (bytes[1] % 57);
    (time_ns, thread, site, u16::from(bytes[2]), if site == SiteId(0) { 0 } else { value })
}

fn write(events: &[Plain], block_events: usize) -> Vec<u8> {
    let mut writer =
        Writer::new(Vec::new(), WriterOptions { block_events, ..WriterOptions::default() }).unwrap();
    for tid in 0..5 {
        writer.process(Process { pid: tid, ..Process::default() }).unwrap();
        writer.thread(Thread { process: ProcessId(tid), tid }).unwrap();
    }
    for args in [&[][..], &[ArgKind::Unsigned(8)], &[ArgKind::Unsigned(8), ArgKind::Str]] {
        let args = args.to_vec();
        writer.site(Site { probe: "p".into(), args: args.into(), ..Site::default() }).unwrap();
    }
    for &(time_ns, thread, site, cpu, value) in events {
        let string = match text(value, &value.to_le_bytes()) {
            Arg::CutStr(beginning) if site == SiteId(2) => writer.intern_cut(beginning),
            Arg::Str(string) if site == SiteId(2) => writer.intern(string),
            _ => 0,
        };
        let values = &[value, string][..site.index()];
        writer.push(&Firing { time_ns, thread, site, cpu, unreadable: 0, values }).unwrap();
    }
    writer.finish().unwrap()
}
