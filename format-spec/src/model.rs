//! What a trace holds, as plain values: events, what their ids mean, gaps, clocks.
//!
//! Nothing here knows of bytes on disk.

mod argument;
pub mod clock;
mod columns;
mod definition;
mod definitions;
mod event;
mod gap;
mod host;
mod process;
mod site;
mod skipped;
mod stage;

pub use argument::{Arg, ArgKind, CUT_MARK};
pub use clock::ClockAnchor;
pub use columns::Columns;
pub use definition::Definition;
pub use definitions::Definitions;
pub(crate) use definitions::{LOST, Placed};
pub use event::{Event, Firing};
pub use gap::Gap;
pub use host::{Cost, Host};
pub use process::{Exit, Process, Thread};
pub use site::Site;
pub use skipped::{Skipped, SkippedKind};
pub use stage::StageDef;
