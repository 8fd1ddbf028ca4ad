//! Rows of the table `spans`.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::errors::ParquetError;
use tracer_format::Trace;

use super::BATCH_ROWS;
use super::encoding::TableWriter;
use super::lists::{NumberLists, list_type};
use super::metadata::Metadata;
use super::names::{Names, column, names_type};
use crate::pair::{Class, Point, Sink, Span};
use crate::stage::Stage;
use crate::{Error, Result};

/// Rows that are being put together.
pub(super) struct SpanRows {
    schema: SchemaRef,
    /// Process of each thread.
    pids: Vec<Option<i32>>,
    /// Names of stages and classes; their numbers are those of the stages and the classes.
    names: [ArrayRef; 2],
    stage: Vec<i32>,
    key: Vec<i64>,
    begin_ns: Vec<Option<i64>>,
    end_ns: Vec<Option<i64>>,
    latency_ns: Vec<Option<i64>>,
    begin_pid: Vec<Option<i32>>,
    end_pid: Vec<Option<i32>>,
    class: Vec<i32>,
    key_rest: NumberLists,
}

impl SpanRows {
    /// No rows yet, for spans of `stages`, whose names differ.
    pub(super) fn new(trace: &Trace<'_>, stages: &[Stage], metadata: Metadata) -> Self {
        let [mut stage_names, mut class_names] = [(); 2].map(|()| Names::default());
        for stage in stages {
            stage_names.key(&stage.name);
        }
        for class in Class::ALL {
            class_names.key(class.name());
        }
        let definitions = &trace.definitions;
        let pid = |thread: &tracer_format::Thread| {
            definitions.process(thread.process).map(|process| process.pid.cast_signed())
        };
        Self {
            schema: schema(metadata),
            pids: definitions.threads.iter().map(pid).collect(),
            names: [stage_names.array(), class_names.array()],
            stage: Vec::new(),
            key: Vec::new(),
            begin_ns: Vec::new(),
            end_ns: Vec::new(),
            latency_ns: Vec::new(),
            begin_pid: Vec::new(),
            end_pid: Vec::new(),
            class: Vec::new(),
            key_rest: NumberLists::new(),
        }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn push(&mut self, span: &Span) {
        let nanos = |point: Option<Point>| point.map(|at| i64::try_from(at.time_ns).unwrap_or(i64::MAX));
        let pid = |point: Option<Point>| self.pids.get(point?.thread.index()).copied().flatten();
        let (begin_pid, end_pid) = (pid(span.begin), pid(span.end));
        let (first, rest) = span.key.words().split_first().unwrap_or((&0, &[]));
        self.stage.push(span.stage.cast_signed());
        self.key.push(*first);
        self.begin_ns.push(nanos(span.begin));
        self.end_ns.push(nanos(span.end));
        self.latency_ns.push(span.latency_ns());
        self.begin_pid.push(begin_pid);
        self.end_pid.push(end_pid);
        self.class.push(span.class as i32);
        self.key_rest.extend(rest.iter().copied());
        self.key_rest.end_row();
    }

    /// The rows; there are none again.
    pub(super) fn take(&mut self) -> Result<RecordBatch> {
        let [stages, classes] = &self.names;
        let small = |column: &mut Vec<_>| -> ArrayRef { Arc::new(Int32Array::from(std::mem::take(column))) };
        let optional = |column: &mut Vec<Option<i64>>| -> ArrayRef {
            Arc::new(Int64Array::from(std::mem::take(column)))
        };
        let arrays: Vec<ArrayRef> = vec![
            column(std::mem::take(&mut self.stage), stages)?,
            Arc::new(Int64Array::from(std::mem::take(&mut self.key))),
            optional(&mut self.begin_ns),
            optional(&mut self.end_ns),
            optional(&mut self.latency_ns),
            small(&mut self.begin_pid),
            small(&mut self.end_pid),
            column(std::mem::take(&mut self.class), classes)?,
            self.key_rest.take()?,
        ];
        Ok(RecordBatch::try_new(self.schema.clone(), arrays).map_err(ParquetError::from)?)
    }
}

fn schema(metadata: Metadata) -> SchemaRef {
    let fields = vec![
        Field::new("stage", names_type(), false),
        Field::new("key", DataType::Int64, false),
        Field::new("begin_ns", DataType::Int64, true),
        Field::new("end_ns", DataType::Int64, true),
        Field::new("latency_ns", DataType::Int64, true),
        Field::new("begin_pid", DataType::Int32, true),
        Field::new("end_pid", DataType::Int32, true),
        Field::new("class", names_type(), false),
        Field::new("key_rest", list_type(DataType::Int64), false),
    ];
    Arc::new(Schema::new_with_metadata(fields, HashMap::from_iter(metadata)))
}

/// Takes the spans of an analysis to a table.
pub(super) struct SpanSink<'w, W> {
    pub(super) rows: SpanRows,
    pub(super) writer: TableWriter<'w, W>,
    /// Why the walk was ended.
    pub(super) failure: Option<Error>,
}

impl<W: io::Write> Sink for SpanSink<'_, W> {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.rows.push(span);
        if self.rows.stage.len() < BATCH_ROWS {
            return Ok(());
        }
        let written = self.rows.take().and_then(|batch| self.writer.write(&batch));
        written.map_err(|error| {
            self.failure = Some(error);
            io::Error::other("the table cannot be written")
        })
    }
}
