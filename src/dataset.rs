//! Datasets: folders of Parquet files that engines read while traces are added.
//!
//! ```text
//! DIR/events/date=2026-05-01/suite=nightly/TRACE.parquet      and so spans, sketch, runs
//! DIR/.tracer/                                                files that are being written, and a lock
//! ```
//!
//! A file is written in `.tracer`, which no engine looks into, and appears whole. Those of a trace appear one after the other, `runs` last:
//! a trace that is there is in the dataset. What a kill left of another is replaced when the trace is added again.

mod add;
mod compact;
mod folder;
mod staging;

pub(crate) use add::{Addition, Presence};
pub(crate) use folder::Dataset;
