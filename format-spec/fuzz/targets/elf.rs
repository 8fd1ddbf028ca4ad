//! Any bytes are looked through for probes, as an ELF file and as its section of notes, without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_format::limits::MAX_ARGUMENTS;
use tracer_recorder::find::binary::contents;
use tracer_recorder::find::elf::Bytes;
use tracer_recorder::find::elf::note::{MAX_NAME_BYTES, MAX_SPEC_BYTES, Notes, parse};

fuzz_target!(|bytes: &[u8]| {
    let mut notes = Notes::default();
    // What stands before the first bad note counts too.
    let _ = parse(bytes, &mut notes);
    for note in notes.notes {
        assert!((1..=MAX_NAME_BYTES).contains(&note.provider.len()) && note.spec.len() <= MAX_SPEC_BYTES);
    }
    let requests = ["*".parse().unwrap()];
    let Ok(Some(found)) = contents(&Bytes(bytes), &requests) else { return };
    for site in found.sites {
        assert!(!site.probe.is_empty() && site.arguments.len() <= MAX_ARGUMENTS);
    }
});
