//! Tables for data engineers: the events and the spans of a trace as Parquet, Arrow or CSV.
//!
//! Columns go from the trace's blocks to Arrow arrays without a detour over rows; names are looked up once a thread and
//! once a site. Memory stays flat: a table is written batch by batch, Parquet row group by row group.
//!
//! # Table `events`, sorted by `ts_ns`
//! | column | type | meaning |
//! |---|---|---|
//! | `ts_ns` | int64 | CLOCK_MONOTONIC; 2^63-1 if it is later than that, which the outcome counts |
//! | `ts` | timestamp(us, UTC), nullable | wall time; null if the trace has no clock anchors of the host |
//! | `host` | string | node name; empty if unknown |
//! | `pid`, `tid`, `cpu` | int32 | process, thread, processor |
//! | `program`, `provider`, `probe` | string | the program, and what it fired |
//! | `seq` | int64, nullable | the key: null if the probe has none, or it was unreadable |
//! | `args` | list of int64 | one element an argument: the number; null if it is no integer or was unreadable |
//! | `strings` | list of string | one element for each argument that is a string or a float, in their order |
//!
//! Unsigned arguments above the range of int64 keep their bits, so they are negative. A float is the shortest decimal
//! text that gives it back: `strings[1]::DOUBLE` works in any engine. Bytes of a string that are not UTF-8 become U+FFFD. An
//! unreadable argument is null in both lists, never 0.
//!
//! # Table `spans`, in the order in which they became known
//! | column | type | meaning |
//! |---|---|---|
//! | `stage` | string | name of the stage |
//! | `key` | int64 | first part of the key: for most stages all of it, and equal to `seq` |
//! | `begin_ns`, `end_ns` | int64, nullable | CLOCK_MONOTONIC; null if that end was not seen |
//! | `latency_ns` | int64, nullable | end minus begin, negative if the span is inverted |
//! | `begin_pid`, `end_pid` | int32, nullable | processes |
//! | `class` | string | as [`Class::name`](crate::pair::Class::name) |
//! | `key_rest` | list of int64 | further parts of the key |
//! | `key_text` | string, nullable | all of the key, if a part of it is a string, which `key` and `key_rest` have a number for |
//! | `ended_by` | string, nullable | the probe that ended it; null if no end was seen |
//! | `near_loss` | bool | events were lost that may have made it what it is |

use std::io::Write;
use std::str::FromStr;

use arrow::datatypes::SchemaRef;
use tracer_format::grammar::Malformed;
use tracer_format::{Batch, Trace};

use crate::analysis::Pass;
use crate::select::{Outcome, Selection};
use crate::stage::Stage;
use crate::{Error, Result};

use events::EventRows;

use encoding::TableWriter;
use metadata::Metadata;
use spans::SpanRows;

pub mod dataset;

mod arrow_ipc;
mod column_set;
mod csv;
mod encoding;
mod events;
mod late;
mod lists;
mod metadata;
mod names;
mod parquet;
mod spans;

/// What a table has a row for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows<'s> {
    /// Every event.
    Events,
    /// Every span of these stages.
    Spans(&'s [Stage]),
}

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet: zstd, names as dictionaries.
    Parquet,
    /// An Arrow IPC file, not compressed, to be mapped into memory.
    Arrow,
    /// Comma-separated values as in RFC 4180, with a head; lists are JSON, null is empty.
    Csv,
    /// The same for spreadsheets: a text that one would take for a formula has a `'` before it.
    SafeCsv,
}

/// `parquet`, `arrow` or `csv`: the format's name and the end of file names.
impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "parquet" => Ok(Self::Parquet),
            "arrow" => Ok(Self::Arrow),
            "csv" => Ok(Self::Csv),
            _ => Err(Malformed::new("table format", text, "parquet, arrow or csv").into()),
        }
    }
}

/// Threads that decode; more are quicker than the encoding on one.
const MAX_THREADS: usize = 2;
/// Rows of a table that are put together before they are encoded.
const BATCH_ROWS: usize = 1 << 15;

/// Writes the selected events of `trace`, or the spans in them, to `out`.
///
/// # Errors
/// [`Error::Io`] if `out` fails; [`Error::Table`] if a value does not fit into the format. Damage is no error: it is in the
/// outcome, and in the file's metadata.
pub fn write(
    trace: &Trace<'_>,
    selection: &Selection,
    rows: Rows<'_>,
    format: Format,
    out: &mut impl Write,
) -> Result<Outcome> {
    let outcome = match rows {
        Rows::Events => write_events(trace, selection, format, out),
        Rows::Spans(stages) => write_spans(trace, selection, stages, format, out),
    };
    Ok(Outcome { late: late::count(trace, selection), ..outcome? })
}

fn write_events(
    trace: &Trace<'_>,
    selection: &Selection,
    format: Format,
    out: &mut impl Write,
) -> Result<Outcome> {
    let metadata = metadata::of_trace(trace, selection, "events");
    fill_events(trace, selection, metadata, |schema| TableWriter::new(schema, format, trace.threads(), out))
}

/// Writes the selected events to the table that `make` makes for their columns.
fn fill_events<'w, W: Write + 'w>(
    trace: &Trace<'_>,
    selection: &Selection,
    metadata: Metadata,
    make: impl FnOnce(SchemaRef) -> Result<TableWriter<'w, W>>,
) -> Result<Outcome> {
    let mut outcome = Outcome::of(trace, selection);
    let mut rows = EventRows::new(trace, metadata);
    let mut writer = make(rows.schema())?;
    trace.walk(
        |block| selection.wants(block),
        trace.threads().min(MAX_THREADS),
        |batch| {
            match batch {
                Batch::Events { columns, rows: range } => {
                    selection.rows(trace, columns, range, |mut range| -> Result<()> {
                        outcome.events += range.len() as u64;
                        while !range.is_empty() {
                            range = rows.push(columns, range);
                            if rows.is_full() {
                                writer.write(&rows.take()?)?;
                            }
                        }
                        Ok(())
                    })?;
                }
                // Gaps are in the metadata.
                Batch::Gap(_) => {}
                Batch::Damaged(range) => outcome.damage.push(range),
            }
            Ok::<(), Error>(())
        },
    )?;
    writer.write(&rows.take()?)?;
    writer.finish(&metadata::of_outcome(&outcome))?;
    Ok(outcome)
}

fn write_spans(
    trace: &Trace<'_>,
    selection: &Selection,
    stages: &[Stage],
    format: Format,
    out: &mut impl Write,
) -> Result<Outcome> {
    let metadata = metadata::of_trace(trace, selection, "spans");
    let rows = SpanRows::new(trace, stages, metadata);
    let writer = TableWriter::new(rows.schema(), format, trace.threads(), out)?;
    let mut sink = spans::SpanSink { rows, writer, events: 0, failure: None };
    let passed = match (Pass { trace, selection, stages }).run(|| (), &mut sink) {
        Ok(passed) => passed,
        // The sink's own error says more than the I/O error that stands for it.
        Err(error) => return Err(sink.failure.unwrap_or(error)),
    };
    sink.writer.write(&sink.rows.take()?)?;
    let outcome = passed.outcome(trace, selection, sink.events);
    sink.writer.finish(&metadata::of_outcome(&outcome))?;
    Ok(outcome)
}
