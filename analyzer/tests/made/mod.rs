//! Traces made in memory for the tests.

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
