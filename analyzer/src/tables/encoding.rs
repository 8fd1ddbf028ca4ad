//! Where batches of a table become bytes.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::Format;
use super::arrow_ipc::ArrowEncoder;
use super::csv::CsvEncoder;
use super::metadata::Metadata;
use super::parquet::ParquetEncoder;
use crate::Result;

/// Writes one table. The encoders write to memory and this to `out`, so that an error of `out` stays what it is.
pub(super) struct TableWriter<'w, W> {
    encoder: Encoder,
    bytes: Vec<u8>,
    out: &'w mut W,
}

enum Encoder {
    Parquet(ParquetEncoder),
    Arrow(ArrowEncoder),
    Csv(CsvEncoder),
}

impl<'w, W: Write> TableWriter<'w, W> {
    /// Encoded on so many processors, where the format has columns that are encoded one by one.
    pub(super) fn new(schema: SchemaRef, format: Format, processors: usize, out: &'w mut W) -> Result<Self> {
        let mut bytes = Vec::new();
        let encoder = match format {
            Format::Parquet => Encoder::Parquet(ParquetEncoder::new(schema, processors)?),
            Format::Arrow => Encoder::Arrow(ArrowEncoder::new(&schema)?),
            Format::Csv | Format::SafeCsv => {
                Encoder::Csv(CsvEncoder::new(&schema, format == Format::SafeCsv, &mut bytes))
            }
        };
        Ok(Self { encoder, bytes, out })
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.encoder {
            Encoder::Parquet(encoder) => encoder.write(batch, &mut self.bytes)?,
            Encoder::Arrow(encoder) => encoder.write(batch, &mut self.bytes)?,
            Encoder::Csv(encoder) => encoder.write(batch, &mut self.bytes)?,
        }
        self.out.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    /// Ends the file; `metadata` is put where the format has a place for it at the end.
    pub(super) fn finish(mut self, metadata: &Metadata) -> Result<()> {
        match self.encoder {
            Encoder::Parquet(encoder) => encoder.finish(metadata, &mut self.bytes)?,
            Encoder::Arrow(encoder) => encoder.finish(metadata, &mut self.bytes)?,
            Encoder::Csv(_) => {}
        }
        self.out.write_all(&self.bytes)?;
        self.out.flush()?;
        Ok(())
    }
}
