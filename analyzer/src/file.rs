//! Trace files as files: what they hold, whether they are sound, and new ones made of old ones or of logs.

pub mod info;
pub mod verify;

mod clocks;
mod copy;
mod damage;
mod disguised;
mod import;
mod redact;

pub use clocks::ClockStep;
pub use copy::{Copied, Input, copy};
pub use import::{Imported, begins_log, import};
pub use redact::{Redacted, Redaction, redact};
