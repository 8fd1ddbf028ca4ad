//! Finds the probes of running processes, of files and of commands that are yet to start. Attaches to nothing.
//!
//! All that is read here belongs to other programs and may be hostile, change or vanish meanwhile: every length has a
//! limit, and what cannot be read is a problem to tell, never the end of a scan.

pub mod binary;
pub mod discover;
pub mod elf;
pub(crate) mod facts;
pub(crate) mod known;
pub(crate) mod launch;
pub mod list;
pub(crate) mod look;
mod mapping;
pub(crate) mod root;
pub mod unmatched;
