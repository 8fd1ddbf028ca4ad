//! A gap: a place in time where events are missing because a ring buffer was full.

use super::{HostId, SiteId};

/// Events dropped on one processor in one range of time. 40 bytes on disk; see SPEC.md "Gap".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Gap {
    /// Host.
    pub host: HostId,
    /// Processor whose ring buffer was full; [`Gap::ANY_CPU`] if unknown.
    pub cpu: u16,
    /// Site whose events were dropped; [`Gap::ANY_SITE`] if unknown.
    pub site: SiteId,
    /// Time of the first drop at the earliest, CLOCK_MONOTONIC ns.
    pub from_ns: u64,
    /// Time of the last drop at the latest, CLOCK_MONOTONIC ns.
    pub to_ns: u64,
    /// Events dropped.
    pub count: u64,
}

impl Gap {
    /// The processor is unknown.
    pub const ANY_CPU: u16 = u16::MAX;
    /// The site is unknown.
    pub const ANY_SITE: SiteId = SiteId::NONE;
}
