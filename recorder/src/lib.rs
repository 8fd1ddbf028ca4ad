//! Records USDT probes of running programs with eBPF. Linux only.
//!
//! [`record`] does all of it; `tracer list` and `tracer doctor` use a part each.
//!
//! ```no_run
//! use std::fs::File;
//! use std::time::Duration;
//!
//! use tracer_recorder::find::discover::Filter;
//! use tracer_recorder::kernel::link::AttachMode;
//! use tracer_recorder::{Bounds, Output, Priority, RecordOptions, record};
//!
//! let options = RecordOptions {
//!     filter: Filter { requests: vec!["shop:*".parse()?], ..Filter::default() },
//!     keys: Vec::new(),
//!     attach: AttachMode::Auto,
//!     ring_bytes: 4 << 20,
//!     duration: Some(Duration::from_secs(5)),
//!     command: Vec::new(),
//!     everyone: false,
//!     user: None,
//!     wait: false,
//!     priority: Priority::High,
//!     progress: false,
//!     command_line: std::env::args().collect(),
//! };
//! let output = Output {
//!     accept: None,
//!     open: Box::new(|_part| Ok(Box::new(File::create("run.trace")?))),
//!     print: None,
//!     watch: None,
//!     stages: Vec::new(),
//!     flush: Duration::from_millis(200),
//!     spool_bytes: 64 << 20,
//!     bounds: Bounds::default(),
//! };
//! let summary = record(&options, output, &mut |notice| eprintln!("{notice:?}"))?;
//! println!("{} events, {} lost", summary.events, summary.lost);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each room (a folder) has one task, and uses only those below it:
//!
//! | room | does |
//! |---|---|
//! | [`run`] | a recording from begin to end: options, threads, the command, signals, the summary |
//! | [`doctor`] | tells whether this machine can record, by trying |
//! | [`write`](mod@write) | raw events in order become a trace: converted, printed, sealed, rotated, bounded |
//! | [`attach`] | files with probes become attached sites, at the beginning and for what starts later |
//! | [`drain`] | moves raw events out of the kernel's buffers and puts them in order |
//! | [`find`] | processes, the files that they map, and the probes in those files |
//! | [`site`] | one site: where its arguments are, and how their values are made |
//! | [`kernel`] | the eBPF program, its maps and links; what it sends |
//! | [`host`] | facts of this machine and its processes, its clocks, and helper processes for what may never end |
//! | [`arch`] | what differs between processors: registers, nops |
//! | [`error`] | every error, by what the caller can do about it |
//!
//! An event's way: the program in [`kernel`] puts it in a buffer, [`drain`] moves and orders it, a [`site::plan`] makes
//! values of its words, [`write`](mod@write) puts it in a block of the trace.

#[path = "../../ebpf-probes/src/abi.rs"]
pub mod abi;
pub mod arch;
pub mod attach;
pub mod doctor;
pub mod drain;
pub mod error;
pub mod find;
pub mod host;
pub mod kernel;
pub mod run;
pub mod site;
pub mod write;

pub use error::{Error, Result};
pub use run::notice::Notice;
pub use run::options::RecordOptions;
pub use run::priority::Priority;
pub use run::recording::record;
pub use run::summary::{SiteTotal, Summary};
pub use write::flight::Flight;
pub use write::output::{Bounds, Output};
