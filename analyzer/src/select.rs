//! Which events of a trace a verb looks at, and what is missing among them.

pub mod clock;

mod filter;
mod loss;
mod moment;
mod outcome;
pub(crate) mod skipped;

pub use filter::{Filter, Selection};
pub(crate) use loss::{LossTimes, time_of_damage};
pub use outcome::Outcome;
