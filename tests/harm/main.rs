//! What goes wrong, and what it may cost: crashes, full disks, losses, hostile programs, long runs. Needs root and eBPF
//! (see `tool::live`).
#![cfg(target_os = "linux")]

#[path = "../target/mod.rs"]
mod target;
#[path = "../tool/mod.rs"]
mod tool;

mod crash;
mod disk;
mod ending;
mod force;
mod hostile_elf;
mod hostile_name;
mod hostile_place;
mod hostile_search;
mod leak;
mod memory;
mod priority;
mod rate;
mod silent_file;
mod slow;
mod stuck;
mod trouble;
