//! Processes that do for the recorder what may never end: files and memory of others are looked at, and attached to, where nothing
//! but the helper waits for them.
//!
//! A file system that a user serves may leave a call without an answer, and the kernel keeps the thread that made it, and its
//! process, until there is one, whatever kills it. So a helper that does not answer is killed and forgotten, never waited for.

pub(crate) mod board;
pub(crate) mod channel;
pub(crate) mod confine;
pub(crate) mod process;
pub(crate) mod wire;
