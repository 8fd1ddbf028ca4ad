//! Tables as Arrow IPC files.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::FileWriter;
use parquet::errors::ParquetError;

use super::metadata::Metadata;
use crate::Result;

/// Encodes one table.
pub(super) struct ArrowEncoder(FileWriter<Vec<u8>>);

impl ArrowEncoder {
    pub(super) fn new(schema: &Schema) -> Result<Self> {
        Ok(Self(FileWriter::try_new(Vec::new(), schema).map_err(ParquetError::from)?))
    }

    /// Appends to `out` what the rows become.
    pub(super) fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        if batch.num_rows() > 0 {
            self.0.write(batch).map_err(ParquetError::from)?;
        }
        // The writer counts its bytes itself, so they can be taken away from it.
        out.append(self.0.get_mut());
        Ok(())
    }

    pub(super) fn finish(mut self, metadata: &Metadata, out: &mut Vec<u8>) -> Result<()> {
        for (name, text) in metadata {
            self.0.write_metadata(name, text);
        }
        self.0.finish().map_err(ParquetError::from)?;
        out.append(self.0.get_mut());
        Ok(())
    }
}
