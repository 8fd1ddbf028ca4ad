//! What every report is made of: tables, and figures as they are written.

mod figure;
pub(crate) mod skipped;
mod table;

pub use figure::{counted, duration, latency};
pub(crate) use table::{Align, Table};
