//! Rows of the table `events`, column by column.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Array, Int64Array, NullBufferBuilder, RecordBatch, TimestampMicrosecondArray,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::errors::ParquetError;
use tracer_format::{ArgKind, CUT_MARK, Columns, Trace};

use super::BATCH_ROWS;
use super::late;
use super::lists::{NumberLists, StringLists, list_type};
use super::metadata::Metadata;
use super::names::{Names, column, names_type};
use crate::Result;
use crate::select::clock::WallClock;

/// Bytes of strings after which a batch is full whatever its rows: a hostile file uses one long string many times.
const BATCH_STRING_BYTES: usize = 16 << 20;

/// What is the same in all rows of a thread.
#[derive(Debug, Clone, Copy)]
struct ThreadCells {
    /// Index into the clocks; the number of the host's name.
    host: usize,
    host_key: i32,
    pid: i32,
    tid: i32,
    program_key: i32,
}

/// What is the same in all rows of a site.
#[derive(Debug)]
struct SiteCells {
    provider_key: i32,
    probe_key: i32,
    /// Argument that is the key, if it is an integer.
    key_arg: Option<usize>,
    /// Whether all arguments are integers.
    plain: bool,
    args: Arc<[ArgKind]>,
}

/// Rows that are being put together.
pub(super) struct EventRows {
    schema: SchemaRef,
    threads: Vec<ThreadCells>,
    sites: Vec<SiteCells>,
    clocks: Vec<WallClock>,
    /// Names of hosts, programs, providers, probes.
    names: [ArrayRef; 4],
    ts_ns: Vec<i64>,
    ts: Vec<i64>,
    ts_known: NullBufferBuilder,
    host: Vec<i32>,
    pid: Vec<i32>,
    tid: Vec<i32>,
    cpu: Vec<i32>,
    program: Vec<i32>,
    provider: Vec<i32>,
    probe: Vec<i32>,
    seq: Vec<i64>,
    seq_known: NullBufferBuilder,
    args: NumberLists,
    strings: StringLists,
}

impl EventRows {
    /// No rows yet; what the ids of `trace` mean is looked up once and for all.
    pub(super) fn new(trace: &Trace<'_>, metadata: Metadata) -> Self {
        let definitions = &trace.definitions;
        let [mut hosts, mut programs, mut providers, mut probes] = [(); 4].map(|()| Names::default());
        let thread = |thread: &tracer_format::Thread| {
            let process = definitions.process(thread.process);
            let host = process.map_or(0, |process| process.host.index());
            let host_name = definitions.hosts.get(host).map_or("", |host| &host.name[..]);
            ThreadCells {
                host,
                host_key: hosts.key(host_name),
                pid: process.map_or(0, |process| process.pid.cast_signed()),
                tid: thread.tid.cast_signed(),
                program_key: programs.key(process.map_or("", |process| &process.program)),
            }
        };
        let threads = definitions.threads.iter().map(thread).collect();
        let mut sites = Vec::with_capacity(definitions.sites.len());
        for site in &definitions.sites {
            sites.push(SiteCells {
                provider_key: providers.key(&site.provider),
                probe_key: probes.key(&site.probe),
                key_arg: site.key_index(),
                plain: site.args.iter().all(|kind| kind.is_integer()),
                args: site.args.clone(),
            });
        }
        Self {
            schema: schema(metadata),
            threads,
            sites,
            clocks: WallClock::of_hosts(trace),
            names: [hosts.array(), programs.array(), providers.array(), probes.array()],
            ts_ns: Vec::new(),
            ts: Vec::new(),
            ts_known: NullBufferBuilder::new(0),
            host: Vec::new(),
            pid: Vec::new(),
            tid: Vec::new(),
            cpu: Vec::new(),
            program: Vec::new(),
            provider: Vec::new(),
            probe: Vec::new(),
            seq: Vec::new(),
            seq_known: NullBufferBuilder::new(0),
            args: NumberLists::new(),
            strings: StringLists::new(),
        }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Whether the rows are to be taken before more are pushed.
    pub(super) fn is_full(&self) -> bool {
        self.ts_ns.len() >= BATCH_ROWS || self.strings.bytes() >= BATCH_STRING_BYTES
    }

    /// Adds rows from the first of `rows` on until they are full; gives those that are left.
    pub(super) fn push(&mut self, columns: &Columns, rows: Range<usize>) -> Range<usize> {
        let room = BATCH_ROWS.saturating_sub(self.ts_ns.len());
        let end = self.push_values(columns, rows.start..rows.end.min(rows.start.saturating_add(room)));
        let taken = rows.start..end;
        self.ts_ns.extend(columns.time_ns[taken.clone()].iter().map(|&time_ns| late::nanos(time_ns)));
        self.cpu.extend(columns.cpu[taken.clone()].iter().map(|&cpu| i32::from(cpu)));
        for &thread in &columns.thread[taken.clone()] {
            let cells = self.threads[thread.index()];
            self.host.push(cells.host_key);
            self.pid.push(cells.pid);
            self.tid.push(cells.tid);
            self.program.push(cells.program_key);
        }
        for &site in &columns.site[taken.clone()] {
            let cells = &self.sites[site.index()];
            self.provider.push(cells.provider_key);
            self.probe.push(cells.probe_key);
        }
        for (&time_ns, &thread) in columns.time_ns[taken.clone()].iter().zip(&columns.thread[taken]) {
            let clock = self.clocks.get_mut(self.threads[thread.index()].host);
            let micros = clock.and_then(|clock| clock.micros(time_ns));
            self.ts.push(micros.unwrap_or_default());
            self.ts_known.append(micros.is_some());
        }
        end..rows.end
    }

    /// Adds the values of rows until there are too many strings; gives the row behind the last.
    fn push_values(&mut self, columns: &Columns, rows: Range<usize>) -> usize {
        let first = columns.unreadable.partition_point(|&(row, _)| (row as usize) < rows.start);
        let mut unreadable = columns.unreadable[first..].iter().copied().peekable();
        for row in rows.clone() {
            let mask = unreadable.next_if(|&(at, _)| at as usize == row).map_or(0, |(_, mask)| mask);
            let cells = &self.sites[columns.site[row].index()];
            let values = columns.row_values(row);
            let key = cells.key_arg.filter(|&arg| mask >> arg & 1 == 0).and_then(|arg| values.get(arg));
            self.seq.push(key.map_or(0, |bits| bits.cast_signed()));
            self.seq_known.append(key.is_some());
            if cells.plain && mask == 0 {
                self.args.extend(values.iter().map(|bits| bits.cast_signed()));
            } else {
                let args = cells.args.iter().zip(values).enumerate();
                for (arg, (&kind, &bits)) in args {
                    push_arg(
                        kind,
                        (mask >> arg & 1 == 0).then_some(bits),
                        columns,
                        &mut self.args,
                        &mut self.strings,
                    );
                }
            }
            self.args.end_row();
            self.strings.end_row();
            if self.strings.bytes() >= BATCH_STRING_BYTES {
                return row + 1;
            }
        }
        rows.end
    }

    /// The rows; there are none again.
    pub(super) fn take(&mut self) -> Result<RecordBatch> {
        let [hosts, programs, providers, probes] = &self.names;
        let ts = ScalarBuffer::from(std::mem::take(&mut self.ts));
        let ts = TimestampMicrosecondArray::new(ts, self.ts_known.finish()).with_timezone("UTC");
        let seq = ScalarBuffer::from(std::mem::take(&mut self.seq));
        let numbers =
            |column: &mut Vec<i32>| -> ArrayRef { Arc::new(Int32Array::from(std::mem::take(column))) };
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(std::mem::take(&mut self.ts_ns))),
            Arc::new(ts),
            column(std::mem::take(&mut self.host), hosts)?,
            numbers(&mut self.pid),
            numbers(&mut self.tid),
            numbers(&mut self.cpu),
            column(std::mem::take(&mut self.program), programs)?,
            column(std::mem::take(&mut self.provider), providers)?,
            column(std::mem::take(&mut self.probe), probes)?,
            Arc::new(Int64Array::new(seq, self.seq_known.finish())),
            self.args.take()?,
            self.strings.take()?,
        ];
        Ok(RecordBatch::try_new(self.schema.clone(), arrays).map_err(ParquetError::from)?)
    }
}

/// Adds an argument to the lists; `bits` is `None` if it was unreadable.
fn push_arg(
    kind: ArgKind,
    bits: Option<u64>,
    columns: &Columns,
    args: &mut NumberLists,
    strings: &mut StringLists,
) {
    match kind {
        kind if kind.is_integer() => args.push(bits.map(u64::cast_signed)),
        ArgKind::Float(size) => {
            args.push(None);
            strings.push(|out| bits.map(|bits| push_float(out, bits, size)).is_some());
        }
        ArgKind::Str => {
            args.push(None);
            let bytes = bits.and_then(|index| columns.string(index));
            let mark = if bits.is_some_and(|index| columns.is_cut(index)) { CUT_MARK } else { "" };
            strings.push(|out| {
                push_text(out, bytes.unwrap_or_default());
                out.extend_from_slice(mark.as_bytes());
                bytes.is_some()
            });
        }
        _ => args.push(None),
    }
}

/// Appends the shortest decimal text that gives a float of `size` bytes back.
fn push_float(out: &mut Vec<u8>, bits: u64, size: u8) {
    #[expect(clippy::cast_possible_truncation, reason = "the bits of a 4-byte float are the low 32")]
    let text = match size {
        4 => f32::from_bits(bits as u32).to_string(),
        _ => f64::from_bits(bits).to_string(),
    };
    out.extend_from_slice(text.as_bytes());
}

/// Appends a string; what is not UTF-8 becomes U+FFFD.
fn push_text(out: &mut Vec<u8>, bytes: &[u8]) {
    for part in bytes.utf8_chunks() {
        out.extend_from_slice(part.valid().as_bytes());
        if !part.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn schema(metadata: Metadata) -> SchemaRef {
    let ts = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = vec![
        Field::new("ts_ns", DataType::Int64, false),
        Field::new("ts", ts, true),
        Field::new("host", names_type(), false),
        Field::new("pid", DataType::Int32, false),
        Field::new("tid", DataType::Int32, false),
        Field::new("cpu", DataType::Int32, false),
        Field::new("program", names_type(), false),
        Field::new("provider", names_type(), false),
        Field::new("probe", names_type(), false),
        Field::new("seq", DataType::Int64, true),
        Field::new("args", list_type(DataType::Int64), false),
        Field::new("strings", list_type(DataType::Utf8), false),
    ];
    Arc::new(Schema::new_with_metadata(fields, HashMap::from_iter(metadata)))
}
