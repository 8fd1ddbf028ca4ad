//! Any numbers in any column come back as they were; and any change of a sound block is read or named, not more.
#![no_main]

mod sound;

use libfuzzer_sys::fuzz_target;
use tracer_format::block::{BLOCK_HEADER_BYTES, BLOCK_MAGIC, kind};
use tracer_format::{
    ArgKind, Batch, Firing, Process, ProcessId, Site, SiteId, Thread, ThreadId, Trace, Writer, WriterOptions,
};

/// One event: time, thread, site, processor, values.
type Plain = (u64, ThreadId, SiteId, u16, [u64; 2]);

// The first byte says how many bytes are numbers; the others change the block that they make.
fuzz_target!(|bytes: &[u8]| {
    let Some((&share, rest)) = bytes.split_first() else { return };
    let (numbers, changes) = rest.split_at(rest.len() * usize::from(share) / 255);
    let mut events = events(numbers);
    let mut file = write(&events);
    events.sort_by_key(|event| (event.0, event.3));
    assert_eq!(back(&file), events);
    let Some(at) = events_block(&file) else { return };
    for change in changes.chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % (file.len() - at);
        file[at + place] ^= change[2];
    }
    sound::make_sound(&mut file);
    sound::read(&file);
});

/// Numbers of a shape that columns have: a step, again and again, or anything; each four bytes and how they are meant.
fn events(bytes: &[u8]) -> Vec<Plain> {
    let (mut time_ns, mut value) = (1_000_000_u64, 0_u64);
    let event = |bytes: &[u8]| {
        let number = u64::from(u32::from_le_bytes(bytes[1..5].try_into().unwrap()));
        let number = number << (8 * (bytes[0] & 3));
        time_ns = time_ns.saturating_add(number >> (bytes[5] % 64));
        value = if bytes[0] & 4 == 0 { value.wrapping_add(number) } else { number.reverse_bits() };
        let thread = ThreadId(u32::from(bytes[0] >> 3 & 3));
        let site = SiteId(u32::from(bytes[0] >> 5 & 3) % 3);
        // A site has as many arguments as its id is high.
        let values = [if site.0 > 0 { value } else { 0 }, if site.0 > 1 { number } else { 0 }];
        (time_ns, thread, site, u16::from(bytes[6]) << (bytes[6] & 7), values)
    };
    bytes.chunks_exact(7).map(event).collect()
}

fn write(events: &[Plain]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    for tid in 0..4 {
        writer.process(Process { pid: tid, ..Process::default() }).unwrap();
        writer.thread(Thread { process: ProcessId(tid), tid }).unwrap();
    }
    for args in 0..3 {
        let args = vec![ArgKind::Unsigned(8); args];
        writer.site(Site { probe: "p".into(), args: args.into(), ..Site::default() }).unwrap();
    }
    for &(time_ns, thread, site, cpu, values) in events {
        let values = &values[..site.index()];
        writer.push(&Firing { time_ns, thread, site, cpu, unreadable: 0, values }).unwrap();
    }
    writer.finish().unwrap()
}

fn back(file: &[u8]) -> Vec<Plain> {
    let trace = Trace::open(file).unwrap();
    let (mut batches, mut events) = (trace.batches(), Vec::new());
    while let Some(batch) = batches.next() {
        let Batch::Events { columns, rows } = batch else { panic!("{batch:?}") };
        events.extend(rows.map(|row| {
            let (event, values) = (columns.event(row), columns.row_values(row));
            let mut both = [0; 2];
            both[..values.len()].copy_from_slice(values);
            (event.time_ns, event.thread, event.site, event.cpu, both)
        }));
    }
    events
}

/// Where the content of the events block begins.
fn events_block(file: &[u8]) -> Option<usize> {
    let mut blocks = file.windows(BLOCK_MAGIC.len() + 1).enumerate();
    let found = blocks.find(|(_, bytes)| bytes.starts_with(&BLOCK_MAGIC) && bytes[8] == kind::EVENTS)?;
    Some(found.0 + BLOCK_HEADER_BYTES)
}
