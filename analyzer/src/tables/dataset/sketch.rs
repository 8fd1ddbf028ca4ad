//! The table `sketch`: how many complete spans of each stage are in each bucket of latencies.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::errors::ParquetError;

use super::bucket::{bucket_of, value_ns_of};
use crate::Result;
use crate::pair::{Class, Sink, Span};
use crate::stage::Stage;
use crate::tables::metadata::Metadata;

/// Counts of each stage by bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Sketch {
    stages: Vec<BTreeMap<i32, i64>>,
}

impl Sketch {
    /// Nothing is counted yet, of so many stages.
    pub(super) fn new(stages: usize) -> Self {
        Self { stages: vec![BTreeMap::new(); stages] }
    }

    /// The rows, by stage and bucket.
    pub(super) fn batch(&self, stages: &[Stage], metadata: Metadata) -> Result<RecordBatch> {
        let rows = stages.iter().zip(&self.stages).flat_map(|(stage, counts)| {
            counts.iter().map(|(&bucket, &count)| (&stage.name[..], bucket, count))
        });
        let (names, (buckets, counts)): (Vec<&str>, (Vec<i32>, Vec<i64>)) =
            rows.map(|(name, bucket, count)| (name, (bucket, count))).unzip();
        let values: Vec<i64> = buckets.iter().map(|&bucket| value_ns_of(bucket)).collect();
        let fields = vec![
            Field::new("stage", DataType::Utf8, false),
            Field::new("bucket", DataType::Int32, false),
            Field::new("value_ns", DataType::Int64, false),
            Field::new("count", DataType::Int64, false),
        ];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(names)),
            Arc::new(Int32Array::from(buckets)),
            Arc::new(Int64Array::from(values)),
            Arc::new(Int64Array::from(counts)),
        ];
        let schema = Schema::new_with_metadata(fields, HashMap::from_iter(metadata));
        Ok(RecordBatch::try_new(Arc::new(schema), columns).map_err(ParquetError::from)?)
    }
}

impl Sink for Sketch {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        if let (Class::Complete, Some(latency_ns)) = (span.class, span.latency_ns()) {
            *self.stages[span.stage as usize].entry(bucket_of(latency_ns)).or_default() += 1;
        }
        Ok(())
    }
}
