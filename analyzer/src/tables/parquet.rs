//! Tables as Parquet files.
//!
//! What every engine reads right: zstd, names as dictionaries, differences of numbers where they are not in lists, and
//! version 1 pages: fastparquet gives wrong 64-bit numbers, without an error, for differences in version 2 pages.

use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, ArrowWriterOptions};
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::file::metadata::{KeyValue, SortingColumn};
use ::parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::ColumnPath;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};

use super::column_set::{ColumnSet, Task};
use super::metadata::Metadata;
use crate::Result;

/// Rows of a row group: the unit that an engine reads in parallel, and that is in memory while it is written.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Rows of a page.
const PAGE_ROWS: usize = 1 << 16;
/// Rows that a column is encoded by at a time.
const STEP_ROWS: usize = 1 << 13;

/// Threads that encode columns, at most: some columns take much longer than others, so a few more than there are processors.
const MAX_THREADS: usize = 6;

/// Encodes one table.
pub(super) struct ParquetEncoder {
    file: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    columns: Vec<ColumnSet>,
    /// Rows of the row group so far, and row groups before it.
    rows: usize,
    row_groups: usize,
}

impl ParquetEncoder {
    /// With columns encoded on so many processors.
    pub(super) fn new(schema: SchemaRef, processors: usize) -> Result<Self> {
        // The schema itself says what the columns are; Arrow's own form of it would have readers make dictionaries of them.
        let options =
            ArrowWriterOptions::new().with_properties(properties(&schema)).with_skip_arrow_metadata(true);
        // What the schema says of the trace goes into the properties.
        let plain: SchemaRef = Arc::new(Schema::new(schema.fields().clone()));
        let writer = ArrowWriter::try_new_with_options(Vec::new(), plain.clone(), options)?;
        let (file, factory) = writer.into_serialized_writer()?;
        let columns = if processors > 1 {
            let threads = (2 * processors).min(MAX_THREADS).min(plain.fields().len());
            (0..threads).map(|_| ColumnSet::there(plain.clone())).collect()
        } else {
            vec![ColumnSet::here(plain)]
        };
        Ok(Self { file, factory, columns, rows: 0, row_groups: 0 })
    }

    /// Appends to `out` what is ready: whole row groups.
    pub(super) fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let mut left = batch.clone();
        while left.num_rows() > 0 {
            if self.rows == 0 {
                self.begin_row_group()?;
            }
            let rows = left.num_rows().min(ROW_GROUP_ROWS - self.rows);
            self.columns.iter_mut().for_each(|columns| columns.give(Task::Write(left.slice(0, rows))));
            left = left.slice(rows, left.num_rows() - rows);
            self.rows += rows;
            if self.rows == ROW_GROUP_ROWS {
                self.end_row_group(out)?;
            }
        }
        Ok(())
    }

    fn begin_row_group(&mut self) -> Result<()> {
        let mut shared: Vec<Vec<_>> = self.columns.iter().map(|_| Vec::new()).collect();
        let threads = shared.len();
        for (position, column) in self.factory.create_column_writers(self.row_groups)?.into_iter().enumerate()
        {
            shared[position % threads].push((position, column));
        }
        self.columns.iter_mut().zip(shared).for_each(|(columns, own)| columns.give(Task::Begin(own)));
        Ok(())
    }

    fn end_row_group(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.rows > 0 {
            self.columns.iter_mut().for_each(ColumnSet::end);
            let mut chunks = Vec::new();
            for columns in &mut self.columns {
                chunks.extend(columns.encoded()?);
            }
            chunks.sort_by_key(|&(position, _)| position);
            let mut row_group = self.file.next_row_group()?;
            for (_, chunk) in chunks {
                chunk.append_to_row_group(&mut row_group)?;
            }
            row_group.close()?;
            (self.rows, self.row_groups) = (0, self.row_groups + 1);
        }
        // The writer counts its bytes itself, so they can be taken away from it.
        out.append(self.file.inner_mut());
        Ok(())
    }

    pub(super) fn finish(mut self, metadata: &Metadata, out: &mut Vec<u8>) -> Result<()> {
        self.end_row_group(out)?;
        for (name, text) in metadata {
            self.file.append_key_value_metadata(KeyValue::new(name.clone(), text.clone()));
        }
        self.file.finish()?;
        out.append(self.file.inner_mut());
        Ok(())
    }
}

fn properties(schema: &Schema) -> WriterProperties {
    let pairs = schema.metadata().iter().map(|(name, text)| KeyValue::new(name.clone(), text.clone()));
    let mut pairs: Vec<KeyValue> = pairs.collect();
    pairs.sort_by(|a, b| a.key.cmp(&b.key));
    let sorted = schema.field(0).name() == "ts_ns";
    let sorting = SortingColumn { column_idx: 0, descending: false, nulls_first: false };
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("tracer ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(pairs))
        .set_sorting_columns(sorted.then(|| vec![sorting]))
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(STEP_ROWS)
        .set_coerce_types(true)
        .set_dictionary_enabled(false);
    for field in schema.fields() {
        let path = |parts: &[&str]| ColumnPath::new(parts.iter().map(|&part| part.to_owned()).collect());
        let name = field.name();
        properties = match field.data_type() {
            DataType::Dictionary(..) => properties.set_column_dictionary_enabled(path(&[name]), true),
            DataType::List(elements) => {
                let path = path(&[name, "list", "element"]);
                let is_text = *elements.data_type() == DataType::Utf8;
                let properties = properties.set_column_dictionary_enabled(path.clone(), is_text);
                properties.set_column_encoding(path, Encoding::PLAIN)
            }
            DataType::Utf8 => properties.set_column_dictionary_enabled(path(&[name]), true),
            DataType::Boolean => properties.set_column_encoding(path(&[name]), Encoding::PLAIN),
            _ => properties.set_column_encoding(path(&[name]), Encoding::DELTA_BINARY_PACKED),
        };
    }
    properties.build()
}
