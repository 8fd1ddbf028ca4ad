//! Traces made in memory for the tests.
#![allow(dead_code, reason = "every test file uses some of them")]

use tracer_analyzer::import::import;
use tracer_format::{Writer, WriterOptions};

/// The reference sample of the log.
pub(crate) const DOCUMENTED_LOG: &str = include_str!("../data/documented-log.txt");

/// The bytes of a trace with what `log` holds.
pub(crate) fn trace_of(log: &str) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    import(log.as_bytes(), &mut writer).unwrap();
    writer.finish().unwrap()
}

/// A log with one line for each word of `events`: `TIME:PROBE:KEY` or `TIME:PROBE:KEY@PID`, provider `p`, pid 1 by
/// default.
pub(crate) fn log_of(events: &str) -> String {
    let line = |event: &str| {
        let (event, pid) = event.split_once('@').unwrap_or((event, "1"));
        let parts: Vec<&str> = event.split(':').collect();
        format!("[{:>16}] [PID:{pid:>7}] a            p:{:<28} | Seq: {}\n", parts[0], parts[1], parts[2])
    };
    events.split_whitespace().map(line).collect()
}

/// Compares `found` with the file `name` in `tests/golden`; writes the file instead where `BLESS` is set.
pub(crate) fn golden(name: &str, found: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{name} differs; got:\n{found}\nexpected:\n{expected}");
}
