//! The documented log: one line an event, written and read here, side by side.
//!
//! `record --print` and `replay` use the same [`LogWriter`], so their lines are the same bytes; `import` uses [`parse`].
//! Every line that the writer makes is read back to the same values: what a column or a separator could hide is escaped
//! (see [`escape`]). A log has a "Found probe" line for every announced probe, then a line that says that the trace
//! started, then events and losses in time order; the header may be missing.

mod digits;
mod escape;
mod line;
mod parse;
mod skipped;
mod writer;

pub use digits::{push_signed, push_thousandths, push_unsigned};
pub use escape::{escape, escape_line, is_deceptive, unescape};
pub use line::{EventLine, FoundLine, Key, Line, LostLine, Value, name_text};
pub use parse::{Lines, ParseError, parse};
pub use skipped::skipped_text;
pub use writer::LogWriter;

/// The line between header and events.
pub const STARTED: &str = "Trace started. Ctrl-C to stop.";
