//! A recording from begin to end: find probes, attach, drain and write until something ends it, detach, sum up.

mod command;
pub mod notice;
pub mod options;
pub mod priority;
mod pump;
pub mod recording;
mod spool;
mod stop;
mod stuck;
pub mod summary;
mod totals;
pub mod user;
