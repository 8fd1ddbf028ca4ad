//! Several files of a table as one.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::SharedTable;
use super::known::not_a_table;
use crate::Result;
use crate::tables::parquet::ParquetEncoder;

/// Rows that are read at a time.
const BATCH_ROWS: usize = 1 << 15;

/// Writes the rows of all `files` of `table`, in their order.
///
/// # Errors
/// [`Error::Table`](crate::Error::Table) if one is no file of that table, or of another version of it;
/// [`Error::Io`](crate::Error::Io) if `out` fails.
pub fn concatenate(
    table: SharedTable,
    files: Vec<File>,
    processors: usize,
    out: &mut impl Write,
) -> Result<()> {
    let mut bytes = Vec::new();
    let mut encoder: Option<(SchemaRef, ParquetEncoder)> = None;
    for file in files {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(BATCH_ROWS);
        let fields = builder.schema().fields().clone();
        let (schema, encoder) = match &mut encoder {
            Some(begun) => begun,
            None => {
                let metadata = HashMap::from([("tracer.table".to_owned(), table.name().to_owned())]);
                let schema = Arc::new(Schema::new_with_metadata(fields.clone(), metadata));
                encoder.insert((schema.clone(), ParquetEncoder::new(schema, processors)?))
            }
        };
        if *schema.fields() != fields {
            return Err(not_a_table("its columns are not those of the other files"));
        }
        for batch in builder.build()? {
            encoder.write(&batch.map_err(ParquetError::from)?, &mut bytes)?;
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    if let Some((_, encoder)) = encoder {
        encoder.finish(&Vec::new(), &mut bytes)?;
    }
    out.write_all(&bytes)?;
    out.flush()?;
    Ok(())
}
