//! Latencies for each value of something: of an argument, a thread, a process, a program, a processor.

mod by;
mod grouping;
mod table;
mod value;
mod waiting;

pub use by::GroupBy;
pub use grouping::Grouping;
pub use table::{GroupTable, SpanGroup};
pub(crate) use value::shape;
