//! Raw events in order become a trace: the writing thread's work, which knows nothing of kernels.
//!
//! [`TraceWriter`] puts five parts together: `convert` makes firings of raw events, `seal` ends a
//! block in time, `print` writes the log, `rotate` begins the next file, `bound` says when it is enough. It is told
//! things by [`control`] and says how far it is by [`progress`].

mod bound;
pub mod control;
mod convert;
pub mod flight;
pub mod output;
mod print;
pub mod progress;
mod rotate;
mod seal;
pub mod sink;
pub(crate) mod threads;
pub mod trace;

pub use convert::WrittenSite;
pub use trace::TraceWriter;
