//! The verbs: each turns its options into those of a library, calls it, and shows what comes of it.

pub(crate) mod analyze;
pub(crate) mod diff;
#[cfg(target_os = "linux")]
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod info;
#[cfg(target_os = "linux")]
pub(crate) mod list;
pub(crate) mod open;
#[cfg(target_os = "linux")]
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod rewrite;
pub(crate) mod top;
