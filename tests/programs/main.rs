//! The programs that are recorded: how they are found, told apart and followed. Needs root and eBPF (see `tool::live`).
#![cfg(target_os = "linux")]

#[path = "../target/mod.rs"]
mod target;
#[path = "../tool/mod.rs"]
mod tool;

mod alone;
mod command;
mod exception;
mod hold;
mod identity;
mod interpreters;
mod late;
mod launch;
mod libvirt;
mod many;
mod mounts;
mod namespace;
mod pipelines;
mod postgresql;
mod processes;
mod python;
mod refused;
mod rewritten;
mod semaphore;
mod sites;
mod threads;
mod translator;
mod user;
mod view;
