//! Answers from a trace: the documented log, stages and their latencies, pictures and tables.
//!
//! Plain functions on plain values: each takes a [`Trace`](tracer_format::Trace), a [`Selection`](filter::Selection) of
//! its events, and something to write to. No privilege, no eBPF, any operating system.
#![forbid(unsafe_code)]

pub mod analysis;
pub mod filter;
pub mod import;
pub mod key;
pub mod latency;
pub mod outcome;
pub mod pair;
pub mod replay;
pub mod span;
pub mod stage;
pub mod wall;

mod cell;
mod error;
mod hand_off;
mod loss;
mod slots;

pub use error::{Error, Result};
pub use filter::{Filter, Selection};
pub use outcome::Outcome;
