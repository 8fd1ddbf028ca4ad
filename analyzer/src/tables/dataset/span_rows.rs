//! The table `spans`: those of `export --table spans`, and where and when each is in the fleet.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::errors::ParquetError;
use tracer_format::{Columns, Trace};

use super::laps::Laps;
use super::measure::MeasuredTrace;
use super::place::groups;
use crate::analysis::Pass;
use crate::pair::{Sink, Span};
use crate::select::clock::WallClock;
use crate::tables::encoding::TableWriter;
use crate::tables::metadata::Metadata;
use crate::tables::names::{Names, column, names_type};
use crate::tables::spans::SpanRows;
use crate::{Error, Result, Selection};

/// Writes the table of a trace whose name is `name`.
pub(super) fn write(
    trace: &Trace<'_>,
    measured: &MeasuredTrace,
    (name, metadata): (&str, Metadata),
    out: &mut impl io::Write,
) -> Result<()> {
    let stages = &measured.chosen.stages;
    let rows = PlacedSpans::new(trace, measured, metadata);
    let writer = TableWriter::of_trace(name, rows.schema.clone(), trace.threads(), out)?;
    let mut sink = SpanTable { rows, writer, failure: None };
    if let Err(error) = (Pass { trace, selection: &Selection::all(), stages }).run(|| (), &mut sink) {
        // The sink's own error says more than the I/O error that stands for it.
        return Err(sink.failure.unwrap_or(error));
    }
    sink.writer.write(&sink.rows.take()?)?;
    sink.writer.finish(&Vec::new())
}

/// Rows that are being put together.
struct PlacedSpans {
    schema: SchemaRef,
    spans: SpanRows,
    positions: Vec<Option<i32>>,
    laps: Laps,
    clocks: Vec<WallClock>,
    /// For each thread, its host, and the number of the host's name.
    hosts: Vec<(usize, i32)>,
    host_names: ArrayRef,
    lap: Vec<Option<i32>>,
    path_position: Vec<Option<i32>>,
    ts: Vec<Option<i64>>,
    host: Vec<Option<i32>>,
}

impl PlacedSpans {
    fn new(trace: &Trace<'_>, measured: &MeasuredTrace, metadata: Metadata) -> Self {
        let definitions = &trace.definitions;
        let mut names = Names::default();
        let of_thread = |thread: &tracer_format::Thread| {
            let host = definitions.process(thread.process).map_or(0, |process| process.host.index());
            (host, names.key(definitions.hosts.get(host).map_or("", |host| &host.name)))
        };
        let hosts = definitions.threads.iter().map(of_thread).collect();
        let spans = SpanRows::new(trace, &measured.chosen.stages, metadata);
        Self {
            schema: schema(&spans.schema()),
            spans,
            positions: measured.positions.clone(),
            laps: Laps::new(groups(&measured.chosen.stages)),
            clocks: WallClock::of_hosts(trace),
            hosts,
            host_names: names.array(),
            lap: Vec::new(),
            path_position: Vec::new(),
            ts: Vec::new(),
            host: Vec::new(),
        }
    }

    fn push(&mut self, span: &Span) {
        self.spans.push(span);
        self.lap.push(self.laps.of(span));
        self.path_position.push(self.positions.get(span.stage as usize).copied().flatten());
        let at = span.begin.or(span.end);
        let host = at.and_then(|at| self.hosts.get(at.thread.index()).copied());
        let clock = host.and_then(|(host, _)| self.clocks.get_mut(host));
        self.ts.push(at.zip(clock).and_then(|(at, clock)| clock.micros(at.time_ns)));
        self.host.push(host.map(|(_, name)| name));
    }

    /// The rows; there are none again.
    fn take(&mut self) -> Result<RecordBatch> {
        let mut columns = self.spans.take()?.columns().to_vec();
        let small = |column: &mut Vec<_>| -> ArrayRef { Arc::new(Int32Array::from(std::mem::take(column))) };
        let ts = TimestampMicrosecondArray::from(std::mem::take(&mut self.ts)).with_timezone("UTC");
        columns.extend([
            small(&mut self.lap),
            small(&mut self.path_position),
            Arc::new(ts),
            column(std::mem::take(&mut self.host), &self.host_names)?,
        ]);
        Ok(RecordBatch::try_new(self.schema.clone(), columns).map_err(ParquetError::from)?)
    }
}

fn schema(spans: &Schema) -> SchemaRef {
    let mut fields: Vec<_> = spans.fields().iter().cloned().collect();
    let more = [
        Field::new("lap", DataType::Int32, true),
        Field::new("path_position", DataType::Int32, true),
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("host", names_type(), true),
    ];
    fields.extend(more.map(Arc::new));
    Arc::new(Schema::new_with_metadata(fields, spans.metadata().clone()))
}

/// Takes the spans of a pass to the table.
struct SpanTable<'w, W> {
    rows: PlacedSpans,
    writer: TableWriter<'w, W>,
    /// Why the walk was ended.
    failure: Option<Error>,
}

impl<W: io::Write> Sink for SpanTable<'_, W> {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        self.rows.spans.look(columns, rows);
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.rows.push(span);
        if !self.rows.spans.is_full() {
            return Ok(());
        }
        let written = self.rows.take().and_then(|batch| self.writer.write(&batch));
        written.map_err(|error| {
            self.failure = Some(error);
            io::Error::other("the table cannot be written")
        })
    }
}
