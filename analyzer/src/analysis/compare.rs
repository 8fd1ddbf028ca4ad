//! Runs of a program side by side: which stages got slower from one build to the next, and by more than chance explains.
//!
//! A side is one run or several ([`RunSet`]). The spans of a side's runs are taken together and compared by rank, which no
//! distribution and no outlier misleads: by how much the new ones are longer, and how sure that is ([`Shift`]). Spans that lie
//! close in time are alike, so they count for less than independent ones would. With three and more runs a side, the runs
//! themselves are compared as well: what differs from run to run of one build is no change.

mod comparison;
mod judge;
mod latencies;
mod paired;
mod quantile;
mod rank;
mod run_set;
mod spread;

pub use comparison::{Comparison, Item, ItemKind, compare};
pub use judge::{Judgment, Percentile, Tail, Verdict};
pub use latencies::Collected;
pub use rank::Shift;
pub use run_set::{Machine, Pooled, Run, RunSet};
