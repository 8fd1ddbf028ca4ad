//! Records USDT probes of running programs with eBPF.
//!
//! Discovery finds the sites ([`discover`], [`binary`], [`note`], [`argument`]); [`program`] loads the eBPF program,
//! [`attach`] hooks it in; [`drain`] moves raw events out of the per-CPU rings, [`merge`] puts them in order, and
//! [`plan`] makes the values of the trace of them. Linux only.

#[path = "../../ebpf-probes/src/abi.rs"]
pub mod abi;
pub mod argument;
pub mod attach;
pub mod binary;
mod bpf;
mod btf;
mod code;
mod command;
pub mod discover;
pub mod doctor;
pub mod drain;
mod dynamic;
pub mod elf;
pub mod error;
mod find;
pub mod flight;
mod guard;
mod host;
mod lane;
mod library;
pub mod list;
pub mod loss;
mod mapping;
pub mod merge;
mod meter;
pub mod nop;
pub mod note;
pub mod output;
pub mod pattern;
pub mod plan;
mod print;
pub mod process;
pub mod program;
mod pump;
pub mod raw;
pub mod record;
mod ring;
pub mod sink;
mod stop;
pub mod symbol;
mod threads;
pub mod user;
pub mod write;

pub use error::{Error, Result};
pub use flight::Flight;
pub use output::{Bounds, Output};
pub use record::{Notice, RecordOptions, SiteTotal, Summary, record};
