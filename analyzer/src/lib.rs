//! Answers from a trace: the documented log, stages and their latencies, pictures and tables.
//!
//! Plain functions on plain values: each takes a [`Trace`](tracer_format::Trace), a [`Selection`] of
//! its events, and something to write to. No privilege, no eBPF, any operating system.
//!
//! # Rooms
//! Each uses only rooms that stand above it.
//!
//! | room | what it is for |
//! |---|---|
//! | [`report`] | what every report is made of: tables, figures |
//! | [`select`] | which events a verb looks at, when they were, and what is missing among them |
//! | [`stage`] | what a stage is, which ones there are, and which key each has, as its events tell |
//! | [`pair`] | which events belong together: spans and hand-offs |
//! | [`analysis`] | one pass over a trace, and what it comes down to; runs side by side |
//! | [`screen`] | an analysis as it is shown |
//! | [`picture`] | a trace for timeline viewers: Chrome JSON, Perfetto |
//! | [`tables`] | a trace for data engineers: Parquet, Arrow, CSV |
//! | [`replay`] | the documented log again |
//! | [`file`](mod@file) | traces as files: info, verify, repair, cut, merge, import |
#![forbid(unsafe_code)]

pub mod analysis;
pub mod file;
pub mod pair;
pub mod picture;
pub mod replay;
pub mod report;
pub mod screen;
pub mod select;
pub mod stage;
pub mod tables;

mod error;

pub use error::{Error, Result};
pub use select::{Filter, Outcome, Selection};
