//! Any text is imported or refused by a line; what was imported is replayed to a log that comes back byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_analyzer::Selection;
use tracer_analyzer::file::import;
use tracer_analyzer::replay::replay;
use tracer_format::{Trace, Writer, WriterOptions};

fuzz_target!(|log: &[u8]| {
    let Some(first) = round(log) else { return };
    let second = round(&first).expect("its own log is one");
    assert!(
        first == second,
        "{}\n----\n{}",
        String::from_utf8_lossy(&first),
        String::from_utf8_lossy(&second)
    );
});

/// The log that the trace of a log is replayed to.
fn round(log: &[u8]) -> Option<Vec<u8>> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    import(log, &mut writer).ok()?;
    let bytes = writer.finish().unwrap();
    let trace = Trace::open(&bytes).unwrap();
    assert!(trace.complete && trace.damage.is_empty());
    let mut out = Vec::new();
    replay(&trace, &Selection::all(), &mut out).unwrap();
    Some(out)
}
