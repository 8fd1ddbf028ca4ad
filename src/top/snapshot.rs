//! The last seconds of what is looked at, as a trace.

use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tracer_analyzer::report::{counted, duration};
use tracer_analyzer::screen::live::Snapshot;
use tracer_format::{Writer, WriterOptions};

use crate::file::output::{self, Output};

/// What snapshots are called, with a number.
const BASE: &str = "snapshot.trace";

/// Writes `snapshot` to the first numbered name that is free from `next` on; tells what it has, or what went wrong.
pub(super) fn write(snapshot: &Snapshot, next: &Arc<AtomicU32>) -> String {
    written(snapshot, next).unwrap_or_else(|error| format!("no snapshot: {error:#}"))
}

fn written(snapshot: &Snapshot, next: &Arc<AtomicU32>) -> anyhow::Result<String> {
    let output = Output::create_next(Path::new(BASE), false, next)?;
    let trace_id = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(1, |now| now.as_secs() ^ u64::from(now.subsec_nanos()) << 32);
    let options = WriterOptions { trace_id, ..WriterOptions::default() };
    let place = output.whereabouts();
    let mut writer = Writer::new(BufWriter::new(output), options)?;
    let (events, (first_ns, last_ns)) = snapshot.write(&mut writer)?;
    output::finish(writer.finish()?)?;
    let path = place.and_then(|place| place.path().map(crate::file::input::name));
    let (name, time) = (path.unwrap_or_else(|| BASE.to_owned()), duration(last_ns.saturating_sub(first_ns)));
    Ok(format!("written to {name}: {} of {time}", counted(events, "event")))
}
