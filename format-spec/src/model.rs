//! What a trace holds, as plain values: events, what their ids mean, gaps, clocks.
//!
//! Nothing here knows of bytes on disk.

mod argument;
pub mod clock;
mod columns;
mod definitions;
mod event;
mod gap;
mod host;
mod id;
mod process;
mod site;
mod skipped;
mod stage;

pub use argument::{Arg, ArgKind, CUT_MARK};
pub use clock::ClockAnchor;
pub use columns::Columns;
pub(crate) use definitions::{DefinedSoFar, Placed};
pub use definitions::{Definition, Definitions};
pub use event::{Event, Firing};
pub use gap::Gap;
pub use host::{Cost, Host};
pub use id::{HostId, ProcessId, SiteId, ThreadId};
pub use process::{Exit, Process, Thread};
pub use site::Site;
pub(crate) use skipped::Listed;
pub use skipped::{Skipped, SkippedKind};
pub use stage::StageDef;
