//! The table `sketch`: how many complete spans of each stage, and how many hand-offs, are in each bucket of latencies.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::errors::ParquetError;

use super::bucket::{bucket_of, value_ns_of};
use crate::Result;
use crate::analysis::{EdgeMap, hand_off_name};
use crate::pair::{Class, HandOff, Sink, Span};
use crate::stage::Stage;
use crate::tables::metadata::Metadata;

/// BucketCounts by bucket.
type BucketCounts = BTreeMap<i32, i64>;

/// BucketCounts of each stage and of each hand-off by bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Sketch {
    stages: Vec<BucketCounts>,
    hand_offs: EdgeMap<BucketCounts>,
}

impl Sketch {
    /// Nothing is counted yet, of so many stages.
    pub(super) fn new(stages: usize) -> Self {
        Self { stages: vec![BucketCounts::new(); stages], hand_offs: EdgeMap::default() }
    }

    /// The rows: by stage and bucket, then by hand-off and bucket.
    pub(super) fn batch(&self, stages: &[Stage], metadata: Metadata) -> Result<RecordBatch> {
        let (mut names, mut kinds) = (StringBuilder::new(), StringBuilder::new());
        let (mut buckets, mut counts) = (Vec::new(), Vec::new());
        let mut add = |name: &str, kind: &str, of: &BucketCounts| {
            for (&bucket, &count) in of {
                names.append_value(name);
                kinds.append_value(kind);
                buckets.push(bucket);
                counts.push(count);
            }
        };
        stages.iter().zip(&self.stages).for_each(|(stage, of)| add(&stage.name, "stage", of));
        for (from, to, of) in self.hand_offs.ways() {
            add(&hand_off_name(from, to, stages), "hand_off", of);
        }
        let values: Vec<i64> = buckets.iter().map(|&bucket| value_ns_of(bucket)).collect();
        let fields = vec![
            Field::new("stage", DataType::Utf8, false),
            Field::new("bucket", DataType::Int32, false),
            Field::new("value_ns", DataType::Int64, false),
            Field::new("count", DataType::Int64, false),
            Field::new("kind", DataType::Utf8, false),
        ];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(names.finish()),
            Arc::new(Int32Array::from(buckets)),
            Arc::new(Int64Array::from(values)),
            Arc::new(Int64Array::from(counts)),
            Arc::new(kinds.finish()),
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

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        if let Some(counts) = self.hand_offs.get_or_insert_few(hand_off.from, hand_off.to, BucketCounts::new)
        {
            *counts.entry(bucket_of(hand_off.latency_ns())).or_default() += 1;
        }
        Ok(())
    }
}
