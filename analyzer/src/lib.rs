//! Answers from a trace: the documented log, stages and their latencies, pictures and tables.
//!
//! Plain functions on plain values: each takes a [`Trace`](tracer_format::Trace), a [`Selection`] of
//! its events, and something to write to. No privilege, no eBPF, any operating system.
//!
//! ```
//! use tracer_analyzer::stage::{Key, ProbeName, Stage};
//! use tracer_analyzer::{Selection, analysis, file};
//! use tracer_format::{Trace, Writer, WriterOptions};
//!
//! let log = b"[10] [PID: 7] app app:beg_work | Seq: 1\n[40] [PID: 7] app app:end_work | Seq: 1\n";
//! let mut writer = Writer::new(Vec::new(), WriterOptions::default())?;
//! file::import(log, &mut writer)?;
//! let bytes = writer.finish()?;
//!
//! let trace = Trace::open(&bytes)?;
//! let probe = |probe: &str| ProbeName { provider: "app".to_owned(), probe: probe.to_owned() };
//! let work = Stage::new("work".to_owned(), probe("beg_work"), probe("end_work"), Key::seq());
//! let analysis = analysis::analyze(&trace, &Selection::all(), &[work], &mut ())?;
//! assert_eq!(analysis.stages[0].latency.summary().map(|latency| latency.max), Some(30));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
//! | [`screen`] | an analysis as it is shown: text, Markdown, JSON, plots, a page for the browser; a recording that still goes on |
//! | [`picture`] | a trace for timeline viewers: Chrome JSON, Perfetto, CTF |
//! | [`tables`] | a trace for data engineers: Parquet, Arrow, CSV |
//! | [`replay`] | the documented log again |
//! | [`file`](mod@file) | traces as files: info, verify, repair, cut, merge, redact, import |
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
