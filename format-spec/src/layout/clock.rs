//! A clock anchor as it lies on disk (SPEC.md "Clock anchor").

use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::model::{ClockAnchor, HostId};

/// A clock anchor as it lies on disk.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct StoredClock {
    /// Id of the host.
    pub host: U32,
    /// Zero; ignored.
    pub unused: [u8; 4],
    /// CLOCK_MONOTONIC, ns.
    pub monotonic_ns: U64,
    /// CLOCK_BOOTTIME, ns.
    pub boottime_ns: U64,
    /// CLOCK_REALTIME, ns since 1970-01-01 UTC.
    pub realtime_ns: I64,
    /// CLOCK_TAI, ns.
    pub tai_ns: I64,
}

const _: () = assert!(size_of::<StoredClock>() == 40);

impl From<&ClockAnchor> for StoredClock {
    fn from(anchor: &ClockAnchor) -> Self {
        Self {
            host: anchor.host.0.into(),
            unused: [0; 4],
            monotonic_ns: anchor.monotonic_ns.into(),
            boottime_ns: anchor.boottime_ns.into(),
            realtime_ns: anchor.realtime_ns.into(),
            tai_ns: anchor.tai_ns.into(),
        }
    }
}

impl From<&StoredClock> for ClockAnchor {
    fn from(anchor: &StoredClock) -> Self {
        Self {
            host: HostId(anchor.host.get()),
            monotonic_ns: anchor.monotonic_ns.get(),
            boottime_ns: anchor.boottime_ns.get(),
            realtime_ns: anchor.realtime_ns.get(),
            tai_ns: anchor.tai_ns.get(),
        }
    }
}
