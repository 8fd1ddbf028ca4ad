//! Records USDT probes of running programs with eBPF. Linux only.
//!
//! [`record`] does all of it; `tracer list` and `tracer doctor` use a part each. Each room (a folder) has one task, and
//! uses only those below it:
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
//! | [`host`] | facts of this machine and its processes, and its clocks |
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
pub use run::recording::record;
pub use run::summary::{SiteTotal, Summary};
pub use write::flight::Flight;
pub use write::output::{Bounds, Output};
