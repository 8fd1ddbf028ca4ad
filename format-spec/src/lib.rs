//! The trace file: every byte of it is written and read in this crate, and so is the log, its text form.
//!
//! [`Writer`] writes a trace, [`Trace`] reads one that is whole, [`Stream`] one that is still coming. None does I/O of its
//! own: the writer is generic over [`std::io::Write`], readers work on `&[u8]`.
//!
//! ```
//! use tracer_format::{ArgKind, Firing, Process, Site, Thread, Trace, Writer, WriterOptions};
//!
//! let mut writer = Writer::new(Vec::new(), WriterOptions::default())?;
//! let process = writer.process(Process { pid: 300, ..Process::default() })?;
//! let thread = writer.thread(Thread { process, tid: 301 })?;
//! let (provider, probe) = ("app".into(), "begin".into());
//! let args = [ArgKind::Unsigned(8)].into();
//! let site = writer.site(Site { provider, probe, args, ..Site::default() })?;
//! writer.push(&Firing { time_ns: 1000, thread, site, cpu: 2, unreadable: 0, values: &[7] })?;
//! let bytes = writer.finish()?;
//!
//! let trace = Trace::open(&bytes)?;
//! assert_eq!((trace.events(), trace.complete), (1, true));
//! # Ok::<(), tracer_format::Error>(())
//! ```
//!
//! # The rooms of the crate
//!
//! | room | what it is for |
//! |---|---|
//! | `limits`, `error` | the limits of the format; what can go wrong |
//! | `model` | events, definitions, gaps and clocks as plain values |
//! | `layout` | structures that lie on disk in fixed places: headers and rows |
//! | `encode` | content of blocks: columns, definitions, the index; both ways |
//! | `write` | makes a trace: from events as they come, or from other traces |
//! | `read` | opens a trace, walks its events in order of time |
//! | `log` | the documented log: one line an event, both ways |
//! | `grammar` | what users write on a command line: probes, programs, sequence numbers, times |
//!
//! Each uses only those above it; `log` only `limits` and `model`, `grammar` only `limits`. The format itself follows.
//!
#![doc = include_str!("../SPEC.md")]
#![forbid(unsafe_code)]

pub mod grammar;
pub mod limits;
pub mod log;

mod encode;
mod error;
mod layout;
mod model;
mod read;
mod write;

pub use encode::{BlockDecoder, LEVEL};
pub use error::{Damage, Error, NotATrace, Result, packed_by};
pub use layout::{StoredClock, StoredGap, block, header, index};
pub use model::{
    Arg, ArgKind, CUT_MARK, ClockAnchor, Columns, Cost, Definition, Definitions, Event, Exit, Firing, Gap,
    Host, HostId, Process, ProcessId, Site, SiteId, Skipped, SkippedKind, StageDef, Thread, ThreadId, clock,
};
pub use read::{
    Batch, Batches, BlockRef, DamagedRange, Found, Known, Maker, Outbox, Rest, Scanner, Share, Step, Steps,
    Stream, Trace, Worker, pieces,
};
pub use write::{Copier, Shift, Source, Writer, WriterOptions};
