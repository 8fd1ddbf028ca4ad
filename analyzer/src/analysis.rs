//! One pass over a trace: stages, hand-offs, counts of events, and how far loss may touch them.

pub mod budget;
pub mod compare;
pub mod diagnosis;
pub mod group;

mod edge_map;
mod latency;
mod pass;
mod property;
mod slices;
mod summary;
mod tally;
mod tree;

pub(crate) use edge_map::EdgeMap;
pub use latency::{EXACT, Latency, Summary};
pub(crate) use pass::{MadeSink, Pass};
pub use property::Properties;
pub use slices::{Band, SLICES, Slices};
pub use summary::{Analysis, Classes, FIRST_SPANS, HandOffReport, ProbeCount, StageReport, hand_off_name};
pub use tally::analyze;
pub(crate) use tally::{Extent, look};
pub use tree::{Growth, SeenSpan, SlowSpan, Tree, TreeNode};
