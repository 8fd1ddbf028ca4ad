//! Rows of the table `spans`.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::errors::ParquetError;
use tracer_format::{Columns, Trace};

use super::BATCH_ROWS;
use super::encoding::TableWriter;
use super::late;
use super::lists::{NumberLists, list_type};
use super::metadata::Metadata;
use super::names::{Names, column, names_type};
use crate::pair::{Class, KeyTexts, Point, Sink, Span};
use crate::stage::Stage;
use crate::{Error, Result};

/// Rows that are being put together.
pub(super) struct SpanRows {
    schema: SchemaRef,
    /// Process of each thread.
    pids: Vec<Option<i32>>,
    /// Names of stages and classes, whose numbers are those of the stages and the classes; names of probes.
    names: [ArrayRef; 3],
    /// For each stage, the numbers of the probes that may end it.
    ends: Vec<Vec<i32>>,
    texts: KeyTexts,
    stage: Vec<i32>,
    key: Vec<i64>,
    begin_ns: Vec<Option<i64>>,
    end_ns: Vec<Option<i64>>,
    latency_ns: Vec<Option<i64>>,
    begin_pid: Vec<Option<i32>>,
    end_pid: Vec<Option<i32>>,
    class: Vec<i32>,
    key_rest: NumberLists,
    key_text: Vec<Option<String>>,
    ended_by: Vec<Option<i32>>,
    near_loss: Vec<bool>,
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
        let probes: Vec<Vec<String>> =
            stages.iter().map(|stage| stage.ends.iter().map(ToString::to_string).collect()).collect();
        let mut probe_names = Names::default();
        let ends = probes.iter().map(|ends| ends.iter().map(|end| probe_names.key(end)).collect()).collect();
        let definitions = &trace.definitions;
        let pid = |thread: &tracer_format::Thread| {
            definitions.process(thread.process).map(|process| process.pid.cast_signed())
        };
        Self {
            schema: schema(metadata),
            pids: definitions.threads.iter().map(pid).collect(),
            names: [stage_names.array(), class_names.array(), probe_names.array()],
            ends,
            texts: KeyTexts::new(stages, definitions),
            stage: Vec::new(),
            key: Vec::new(),
            begin_ns: Vec::new(),
            end_ns: Vec::new(),
            latency_ns: Vec::new(),
            begin_pid: Vec::new(),
            end_pid: Vec::new(),
            class: Vec::new(),
            key_rest: NumberLists::new(),
            key_text: Vec::new(),
            ended_by: Vec::new(),
            near_loss: Vec::new(),
        }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Takes what it needs of the rows `rows`, before their spans.
    pub(super) fn look(&mut self, columns: &Columns, rows: Range<usize>) {
        self.texts.events(columns, rows);
    }

    /// Whether the rows are to be taken before more are pushed.
    pub(super) fn is_full(&self) -> bool {
        self.stage.len() >= BATCH_ROWS
    }

    pub(super) fn push(&mut self, span: &Span) {
        let nanos = |point: Option<Point>| point.map(|at| late::nanos(at.time_ns));
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
        self.key_text.push(self.texts.text(span.stage, &span.key));
        let ends = self.ends.get(span.stage as usize).filter(|_| span.end.is_some());
        self.ended_by.push(ends.and_then(|ends| ends.get(usize::from(span.ended_by)).copied()));
        self.near_loss.push(span.near_loss);
    }

    /// The rows; there are none again.
    pub(super) fn take(&mut self) -> Result<RecordBatch> {
        let [stages, classes, probes] = &self.names;
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
            Arc::new(StringArray::from(std::mem::take(&mut self.key_text))),
            column(std::mem::take(&mut self.ended_by), probes)?,
            Arc::new(BooleanArray::from(std::mem::take(&mut self.near_loss))),
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
        Field::new("key_text", DataType::Utf8, true),
        Field::new("ended_by", names_type(), true),
        Field::new("near_loss", DataType::Boolean, false),
    ];
    Arc::new(Schema::new_with_metadata(fields, HashMap::from_iter(metadata)))
}

/// Takes the spans of an analysis to a table.
pub(super) struct SpanSink<'w, W> {
    pub(super) rows: SpanRows,
    pub(super) writer: TableWriter<'w, W>,
    /// Events so far.
    pub(super) events: u64,
    /// Why the walk was ended.
    pub(super) failure: Option<Error>,
}

impl<W: io::Write> Sink for SpanSink<'_, W> {
    fn events(&mut self, columns: &Columns, rows: Range<usize>) -> io::Result<()> {
        self.events += rows.len() as u64;
        self.rows.look(columns, rows);
        Ok(())
    }

    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.rows.push(span);
        if !self.rows.is_full() {
            return Ok(());
        }
        let written = self.rows.take().and_then(|batch| self.writer.write(&batch));
        written.map_err(|error| {
            self.failure = Some(error);
            io::Error::other("the table cannot be written")
        })
    }
}
