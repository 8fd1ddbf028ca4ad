//! The traces that a dataset has, as its table `runs` tells.

use std::fs::File;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::TraceName;
use crate::{Error, Result};

/// A trace that a dataset has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRun {
    /// Its name.
    pub trace: TraceName,
    /// The recording that it is of.
    pub recording: String,
    /// Size of its file, bytes.
    pub bytes: u64,
    /// Time of its first event, CLOCK_MONOTONIC ns.
    pub begin_ns: Option<i64>,
}

const COLUMNS: [&str; 4] = ["trace", "recording", "bytes", "begin_ns"];

impl KnownRun {
    /// Those in a file of the table `runs`, each once.
    ///
    /// # Errors
    /// [`Error::Table`] if it is no such file.
    pub fn read(file: File) -> Result<Vec<Self>> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let columns = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
        let mut runs: Vec<Self> = Vec::new();
        for batch in builder.with_projection(columns).build()? {
            let batch = batch.map_err(ParquetError::from)?;
            add_runs(&batch, &mut runs).ok_or_else(|| not_a_table("no file of a table runs"))?;
        }
        Ok(runs)
    }
}

/// Adds the traces of the rows; `None` if a column is not as it should be.
fn add_runs(batch: &RecordBatch, runs: &mut Vec<KnownRun>) -> Option<()> {
    let traces = batch.column_by_name("trace")?.as_string_opt::<i32>()?;
    let recordings = batch.column_by_name("recording")?.as_string_opt::<i32>()?;
    let bytes = batch.column_by_name("bytes")?.as_primitive_opt::<Int64Type>()?;
    let begins = batch.column_by_name("begin_ns")?.as_primitive_opt::<Int64Type>()?;
    for row in 0..batch.num_rows() {
        if runs.last().is_some_and(|last| last.trace.as_str() == traces.value(row)) {
            continue;
        }
        runs.push(KnownRun {
            trace: TraceName::read(traces.value(row)),
            recording: recordings.value(row).to_owned(),
            bytes: u64::try_from(bytes.value(row)).ok()?,
            begin_ns: begins.is_valid(row).then(|| begins.value(row)),
        });
    }
    Some(())
}

pub(super) fn not_a_table(what: &str) -> Error {
    Error::Table(ParquetError::General(what.to_owned()))
}
