//! Any content of an events block, in a trace that defines what it may refer to, is decoded or named damaged.
#![no_main]

mod sound;

use libfuzzer_sys::fuzz_target;
use tracer_format::block::{BlockHeader, flag, kind};
use tracer_format::{ArgKind, Process, ProcessId, Site, Thread, Writer, WriterOptions};
use zerocopy::{FromZeros, IntoBytes};

// The first bytes are the header's counts, the others the content.
fuzz_target!(|bytes: &[u8]| {
    let Some((facts, content)) = bytes.split_at_checked(10) else { return };
    let mut file = defined();
    let at = file.len();
    let mut header = BlockHeader::new_zeroed();
    (header.kind, header.flags) = (kind::EVENTS, flag::REQUIRED);
    header.sequence = 1.into();
    header.count = u32::from(u16::from_le_bytes([facts[0], facts[1]])).into();
    header.stored_bytes = u32::try_from(content.len()).unwrap().into();
    let number = |bytes: &[u8]| u64::from(u32::from_le_bytes(bytes.try_into().unwrap()));
    let first_ns = number(&facts[2..6]);
    (header.first_ns, header.last_ns) = (first_ns.into(), (first_ns + number(&facts[6..10])).into());
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(content);
    sound::seal(&mut file, at, 0);
    sound::read(&file);
});

/// A trace of one block, with four threads and a site for each number of arguments up to four, one a string.
fn defined() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    for tid in 0..4 {
        writer.process(Process { pid: tid, ..Process::default() }).unwrap();
        writer.thread(Thread { process: ProcessId(tid), tid }).unwrap();
    }
    let kinds = [ArgKind::Unsigned(8), ArgKind::Str, ArgKind::Signed(4), ArgKind::Float(8)];
    for args in 0..=kinds.len() {
        let args = kinds[..args].to_vec();
        writer.site(Site { probe: "p".into(), args: args.into(), ..Site::default() }).unwrap();
    }
    writer.flush().unwrap();
    writer.sink_mut().clone()
}
