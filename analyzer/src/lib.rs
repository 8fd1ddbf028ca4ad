//! Answers from a trace: the documented log, stages and their latencies, pictures and tables.
//!
//! Plain functions on plain values: each takes a [`Trace`](tracer_format::Trace), a [`Selection`](filter::Selection) of
//! its events, and something to write to. No privilege, no eBPF, any operating system.
#![forbid(unsafe_code)]

pub mod filter;
pub mod import;
pub mod outcome;
pub mod replay;
pub mod wall;

mod error;

pub use error::{Error, Result};
pub use filter::{Filter, Selection};
pub use outcome::Outcome;
