//! A gap as it lies on disk (SPEC.md "Gap").

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::block::Bounds;
use crate::model::{Gap, HostId, SiteId};

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
pub(crate) fn bounds(gaps: &[StoredGap]) -> Bounds {
    let first_ns = gaps.iter().map(|gap| gap.from_ns.get()).min().unwrap_or(0);
    let last_ns = gaps.iter().map(|gap| gap.to_ns.get()).max().unwrap_or(0);
    Bounds { first_ns, last_ns, ..Bounds::NONE }
}

impl From<&Gap> for StoredGap {
    fn from(gap: &Gap) -> Self {
        Self {
            host: gap.host.0.into(),
            site: gap.site.0.into(),
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
            host: HostId(gap.host.get()),
            cpu: gap.cpu.get(),
            site: SiteId(gap.site.get()),
            from_ns: gap.from_ns.get(),
            to_ns: gap.to_ns.get(),
            count: gap.count.get(),
        }
    }
}
