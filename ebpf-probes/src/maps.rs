//! The maps of the program. The recorder creates them, with its own sizes, before it loads the program.

use core::cell::UnsafeCell;
use core::ffi::c_void;

use aya_ebpf::bindings::bpf_map_def;
use aya_ebpf::bindings::bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, RingBuf};

use crate::abi::{LaneControl, MAX_PAYLOAD_BYTES, SiteSpec};

/// What to read at a site, by its cookie.
#[map]
pub static SITES: Array<SiteSpec> = Array::with_max_entries(1, 0);

/// Process ids to record, when `PID_FILTER` is set.
#[map]
pub static PIDS: HashMap<u32, u8> = HashMap::with_max_entries(1, 0);

/// The lane of each CPU; its slots follow the control block.
#[map]
pub static LANES: Array<LaneControl> = Array::with_max_entries(1, 0);

/// Lost events of each site, on each CPU.
#[map]
pub static SITE_DROPS: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Where sites with strings assemble their event: `SCRATCH_PER_CPU` of them for each CPU.
#[map]
pub static SCRATCH: Array<Scratch> = Array::with_max_entries(1, 0);

/// One ring buffer for each CPU, for events with strings and for what the lane has no room for.
#[map]
pub static RINGS: MapOfMaps = MapOfMaps::array();

/// What happens to processes, of all CPUs: rare beside what fires, and it must not be lost among that.
#[map]
pub static PROCESSES: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Events that `PROCESSES` had no room for.
#[map]
pub static PROCESS_DROPS: Array<u64> = Array::with_max_entries(1, 0);

/// A buffer with room for the largest event.
#[repr(C)]
pub struct Scratch {
    /// 1 while a program uses this buffer.
    pub taken: u64,
    /// The words of the event, then the bytes of its strings.
    pub payload: [u64; MAX_PAYLOAD_BYTES / 8],
}

/// An array whose values are maps; aya-ebpf has it only with BTF, which would fix the size of the inner map.
#[repr(transparent)]
pub struct MapOfMaps(UnsafeCell<bpf_map_def>);

// SAFETY: the static is a definition for the loader and is never read or written by the program; the kernel
// synchronises access to the map it stands for.
unsafe impl Sync for MapOfMaps {}

impl MapOfMaps {
    const fn array() -> Self {
        Self(UnsafeCell::new(bpf_map_def {
            type_: BPF_MAP_TYPE_ARRAY_OF_MAPS,
            key_size: 4,
            value_size: 4,
            max_entries: 1,
            map_flags: 0,
            id: 0,
            pinning: 0,
        }))
    }

    /// The address that the loader replaces by the map.
    pub fn as_ptr(&self) -> *mut c_void {
        self.0.get().cast()
    }
}
