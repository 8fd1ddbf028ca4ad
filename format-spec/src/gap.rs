//! A gap: a place in time where events are missing because a ring buffer was full.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::block::Range;

/// Events dropped on one processor in one range of time. 40 bytes on disk; see SPEC.md "Gap".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Gap {
    /// Host, an index into [`Definitions::hosts`](crate::Definitions).
    pub host: u32,
    /// Processor whose ring buffer was full; [`Gap::ANY_CPU`] if unknown.
    pub cpu: u16,
    /// Site whose events were dropped; [`Gap::ANY_SITE`] if unknown.
    pub site: u32,
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
    pub const ANY_SITE: u32 = u32::MAX;
}

/// A gap as it lies on disk.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct StoredGap {
    /// Id of the host.
    pub host: U32,
    /// Id of the site, or 0xffffffff.
    pub site: U32,
    /// Processor, or 0xffff.
    pub cpu: U16,
    /// Zero; ignored.
    pub unused: [u8; 6],
    /// CLOCK_MONOTONIC ns.
    pub from_ns: U64,
    /// CLOCK_MONOTONIC ns.
    pub to_ns: U64,
    /// Events dropped.
    pub count: U64,
}

const _: () = assert!(size_of::<StoredGap>() == 40);

/// The time that gaps cover, for the block header.
pub(crate) fn range(gaps: &[StoredGap]) -> Range {
    let first_ns = gaps.iter().map(|gap| gap.from_ns.get()).min().unwrap_or(0);
    let last_ns = gaps.iter().map(|gap| gap.to_ns.get()).max().unwrap_or(0);
    Range { first_ns, last_ns, ..Range::NONE }
}

impl From<&Gap> for StoredGap {
    fn from(gap: &Gap) -> Self {
        Self {
            host: gap.host.into(),
            site: gap.site.into(),
            cpu: gap.cpu.into(),
            unused: [0; 6],
            from_ns: gap.from_ns.into(),
            to_ns: gap.to_ns.into(),
            count: gap.count.into(),
        }
    }
}

impl From<&StoredGap> for Gap {
    fn from(gap: &StoredGap) -> Self {
        Self {
            host: gap.host.get(),
            cpu: gap.cpu.get(),
            site: gap.site.get(),
            from_ns: gap.from_ns.get(),
            to_ns: gap.to_ns.get(),
            count: gap.count.get(),
        }
    }
}
