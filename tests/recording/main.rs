//! What a recording holds and how it ends, with real probes: needs root and eBPF (see `tool::live`).
#![cfg(target_os = "linux")]

#[path = "../target/mod.rs"]
mod target;
#[path = "../tool/mod.rs"]
mod tool;

mod arguments;
mod capabilities;
mod doctor;
mod flight;
mod named_file;
mod nop;
mod output;
mod pipeline;
mod signals;
mod strings;
mod unmatched;
