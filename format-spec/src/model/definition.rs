//! One definition: what an id in events means.

use super::{Cost, Exit, Host, Process, Site, Skipped, StageDef, Thread};

/// One definition, as it is written and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// Next host.
    Host(Host),
    /// Next process.
    Process(Process),
    /// Next thread.
    Thread(Thread),
    /// Next site.
    Site(Site),
    /// A stage.
    Stage(StageDef),
    /// A process ended.
    Exit(Exit),
    /// What the recording cost.
    Cost(Cost),
    /// Something was not recorded.
    Skipped(Skipped),
}
