//! A trace as rows of a dataset: four tables that the traces of a fleet share, as Parquet files that any engine reads.
//!
//! The columns are in `format-spec/dataset.schema.json`; every table begins with `trace`, which tells traces apart. Spans are
//! paired here, as a key means something only within its trace. This module makes the files' bytes and reads them again; which
//! files there are, and when they appear, is up to its caller.

mod bucket;
mod compact;
mod identity;
mod known;
mod laps;
mod measure;
mod partition;
mod place;
mod run_rows;
mod sketch;
mod span_rows;

use std::io::Write;

use tracer_format::Trace;

use super::{TableWriter, fill_events};
use crate::{Result, Selection};

pub use bucket::{bucket_of, value_ns_of};
pub use compact::concatenate;
pub use identity::{TraceName, recording_of};
pub use known::KnownRun;
pub use measure::{MeasuredTrace, measure};
pub use partition::{Date, Suite};

/// A table of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SharedTable {
    /// Every event.
    Events,
    /// Every span.
    Spans,
    /// How many complete spans of each stage took about how long.
    Sketch,
    /// Every stage of a trace: counts, loss, latencies, and what it was recorded on.
    Runs,
}

impl SharedTable {
    /// All of them, in the order in which the files of a trace are to appear: what is in `runs` is whole in the others.
    pub const ALL: [Self; 4] = [Self::Events, Self::Spans, Self::Sketch, Self::Runs];

    /// Name of the table, and of its folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Spans => "spans",
            Self::Sketch => "sketch",
            Self::Runs => "runs",
        }
    }
}

/// What a dataset says of a trace that the trace does not say itself.
#[derive(Debug, Clone)]
pub struct Label {
    /// Tells it from all others.
    pub trace: TraceName,
    /// Size of its file, bytes.
    pub bytes: u64,
    /// The commit that was recorded, if the caller knows it.
    pub commit: Option<String>,
}

/// Writes the rows that the trace has in `table`, as a Parquet file.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if `out` fails; [`Error::Table`](crate::Error::Table) if a value does not fit into the format.
pub fn write(
    trace: &Trace<'_>,
    measured: &MeasuredTrace,
    label: &Label,
    table: SharedTable,
    out: &mut impl Write,
) -> Result<()> {
    let name = label.trace.as_str();
    let metadata = vec![
        ("tracer.table".to_owned(), table.name().to_owned()),
        ("tracer.trace".to_owned(), name.to_owned()),
    ];
    match table {
        SharedTable::Events => fill_events(trace, &Selection::all(), metadata, |schema| {
            TableWriter::of_trace(name, schema, trace.threads(), out)
        })
        .map(drop),
        SharedTable::Spans => span_rows::write(trace, measured, (name, metadata), out),
        SharedTable::Sketch => {
            let batch = measured.sketch.batch(&measured.chosen.stages, metadata)?;
            let mut writer = TableWriter::of_trace(name, batch.schema(), 1, out)?;
            writer.write(&batch)?;
            writer.finish(&Vec::new())
        }
        SharedTable::Runs => {
            let batch = run_rows::batch(trace, measured, label, metadata)?;
            let mut writer = TableWriter::of_trace(name, batch.schema(), 1, out)?;
            writer.write(&batch)?;
            writer.finish(&Vec::new())
        }
    }
}
