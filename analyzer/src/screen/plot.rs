//! What is plotted of stages and hand-offs: how their latencies are distributed, and how they and their number change over time;
//! and the plots for the terminal.

mod histogram;
mod over_time;
mod scale;
mod terminal;
pub(crate) mod tracks;

pub use histogram::Histogram;
pub use over_time::{OverTime, Trend, Trends};
pub use scale::{LogScale, even_ticks};
pub use terminal::{Letters, MIN_WIDTH, text};
