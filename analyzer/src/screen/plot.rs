//! What is plotted of stages and hand-offs: how their latencies are distributed, and how they and their number change over time.

mod histogram;
mod over_time;
mod scale;

pub use histogram::Histogram;
pub use over_time::{OverTime, Trend, Trends};
pub use scale::LogScale;
