//! The tool as a process: what it takes, what it says, how it ends. Needs no privilege.

#[path = "../target/mod.rs"]
mod target;
#[path = "../tool/mod.rs"]
mod tool;

mod budget;
mod damaged;
mod dataset;
mod diff;
mod folder;
#[cfg(target_os = "linux")]
mod follow;
mod grammar;
#[cfg(target_os = "linux")]
mod hostile_file;
mod hostile_name;
mod hostile_pipe;
mod keys;
mod last_moment;
mod manual;
mod open;
mod presets;
mod redact;
mod replace;
mod top;
mod verbs;
