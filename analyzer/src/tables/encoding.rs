//! Where batches of a table become bytes.

use std::io::Write;
use std::sync::Arc;

use ::parquet::errors::ParquetError;
use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::Format;
use super::arrow_ipc::ArrowEncoder;
use super::csv::CsvEncoder;
use super::metadata::Metadata;
use super::names::{column, names_type};
use super::parquet::ParquetEncoder;
use crate::Result;

/// Writes one table. The encoders write to memory and this to `out`, so that an error of `out` stays what it is.
pub(super) struct TableWriter<'w, W> {
    encoder: Encoder,
    lead: Option<Lead>,
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
        Ok(Self { encoder, lead: None, bytes, out })
    }

    /// A Parquet table whose first column is the name of the trace.
    pub(super) fn of_trace(name: &str, schema: SchemaRef, processors: usize, out: &'w mut W) -> Result<Self> {
        let lead = Lead::new(name, &schema);
        let encoder = Encoder::Parquet(ParquetEncoder::new(lead.schema.clone(), processors)?);
        Ok(Self { encoder, lead: Some(lead), bytes: Vec::new(), out })
    }

    /// Adds rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let led = self.lead.as_ref().map(|lead| lead.before(batch)).transpose()?;
        let batch = led.as_ref().unwrap_or(batch);
        match &mut self.encoder {
            Encoder::Parquet(encoder) => encoder.write(batch, &mut self.bytes)?,
            Encoder::Arrow(encoder) => encoder.write(batch, &mut self.bytes)?,
            Encoder::Csv(encoder) => encoder.write(batch, &mut self.bytes, &mut self.out)?,
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

/// A column that comes before the others: the name of the trace in every row.
struct Lead {
    schema: SchemaRef,
    name: ArrayRef,
}

impl Lead {
    fn new(name: &str, schema: &Schema) -> Self {
        let mut fields = vec![Arc::new(Field::new("trace", names_type(), false))];
        fields.extend(schema.fields().iter().cloned());
        let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
        Self { schema, name: Arc::new(StringArray::from(vec![name])) }
    }

    fn before(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns = vec![column(Int32Array::from(vec![0; batch.num_rows()]), &self.name)?];
        columns.extend(batch.columns().iter().cloned());
        Ok(RecordBatch::try_new(self.schema.clone(), columns).map_err(ParquetError::from)?)
    }
}
