//! Answers from a trace: the documented log, stages and their latencies, pictures and tables.
//!
//! Plain functions on plain values: each takes a [`Trace`](tracer_format::Trace), a [`Selection`] of
//! its events, and something to write to. No privilege, no eBPF, any operating system.
#![forbid(unsafe_code)]

pub mod analysis;
pub mod chrome;
pub mod copy;
pub mod diff;
pub mod filter;
pub mod import;
pub mod info;
pub mod json;
pub mod key;
pub mod latency;
pub mod markdown;
pub mod outcome;
pub mod pair;
pub mod perfetto;
pub mod replay;
pub mod span;
pub mod stage;
pub mod stage_file;
pub mod tables;
pub mod text;
pub mod verify;
pub mod wall;

mod cell;
mod edge_map;
mod error;
mod hand_off;
mod loss;
mod slots;
mod table;
mod timeline;

pub use error::{Error, Result};
pub use filter::{Filter, Selection};
pub use outcome::Outcome;
