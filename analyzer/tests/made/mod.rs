//! Traces made in memory for the tests.
#![allow(dead_code, reason = "every test file uses some of them")]

use tracer_analyzer::file::import;
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

/// A pipeline of three processes: `total` from the first to the last, `work` and `send` in the one between, where `send`
/// of one buffer overlaps `work` of the next; a loss; irregular ends; names that must be escaped.
pub(crate) fn pipeline_log() -> String {
    let mut log = String::new();
    for key in 0..4 {
        let at = |offset: u64| key * 1000 + 100 + offset;
        log += &log_of(&format!(
            "{}:beg_total:{key}@1 {}:beg_work:{key}@2 {}:end_work:{key}@2 {}:beg_send:{key}@2 {}:end_total:{key}@3 {}:end_send:{key}@2",
            at(0),
            at(10),
            at(700),
            at(800),
            at(1250),
            at(1300)
        ));
    }
    log += &log_of("9000:end_work:99@2 9100:beg_total:50@1 9200:end_send:-@2 9300:say\\x22\\x1b:7@1");
    log + "[            5300] Lost 7 events on CPU 1 since 5200\n[            5300] Lost 1 events of p:beg_work since 5100\n"
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
