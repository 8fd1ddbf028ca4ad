//! Trace files as files: what they hold, whether they are sound, and new ones made of old ones or of logs.

pub mod info;
pub mod verify;

mod copy;
mod import;

pub use copy::{Input, copy};
pub use import::{Imported, import};
