//! The maps of the program. The recorder creates them, with its own sizes, before it loads the program.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;

use aya_ebpf::bindings::bpf_map_def;
use aya_ebpf::bindings::bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS;
use aya_ebpf::helpers::generated::bpf_map_lookup_elem;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, RingBuf};

use crate::abi::{LaneControl, SCRATCH_PAYLOAD_BYTES, SITE_PAGE_BITS, STRING_ROOM, SiteSpec};

/// What to read at a site, by its cookie: pages of `SiteSpec`, which the recorder adds as it needs them.
#[map]
static SITES: MapOfMaps = MapOfMaps::array();

/// Process ids to record, when `PID_FILTER` is set.
#[map]
pub static PIDS: HashMap<u32, u8> = HashMap::with_max_entries(1, 0);

/// The lane of each CPU; its slots follow the control block.
#[map]
pub static LANES: Array<LaneControl> = Array::with_max_entries(1, 0);

/// Lost events of each site, on each CPU: pages of `u64`.
#[map]
static SITE_DROPS: MapOfMaps = MapOfMaps::array();

/// Lost events of each process that lost some; of very many, those that lost some last.
#[map]
pub static PID_DROPS: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1, 0);

/// Where sites with strings assemble their event: `SCRATCH_PER_CPU` of them for each CPU.
#[map]
pub static SCRATCH: Array<Scratch> = Array::with_max_entries(1, 0);

/// Where strings are copied only to have their memory brought in; nothing reads it.
#[map]
pub static SINK: Array<[u8; STRING_ROOM]> = Array::with_max_entries(1, 0);

/// One ring buffer for each CPU, for events with strings and for what the lane has no room for.
#[map]
pub static RINGS: MapOfMaps = MapOfMaps::array();

/// What happens to processes, of all CPUs: rare beside what fires, and it must not be lost among that.
#[map]
pub static PROCESSES: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Events that `PROCESSES` had no room for.
#[map]
pub static PROCESS_DROPS: Array<u64> = Array::with_max_entries(1, 0);

/// What to read at a site.
#[inline(always)]
pub fn site_spec(site: u32) -> Option<&'static SiteSpec> {
    // SAFETY: a value of an inner map of `SITES` is a `SiteSpec`; the recorder sets it before the site is attached.
    unsafe { of_page(&SITES, site).cast::<SiteSpec>().as_ref() }
}

/// The counter of lost events of a site on this CPU; null if there is none.
#[inline(always)]
pub fn site_drops(site: u32) -> *mut u64 {
    of_page(&SITE_DROPS, site).cast()
}

/// The value of a site in its page; null if there is no such page.
#[inline(always)]
fn of_page(pages: &MapOfMaps, site: u32) -> *mut c_void {
    let (page, place) = (site >> SITE_PAGE_BITS, site & ((1 << SITE_PAGE_BITS) - 1));
    // SAFETY: the keys of both maps are u32; the helper returns the inner map, then a value of it, or null.
    unsafe {
        let inner = bpf_map_lookup_elem(pages.as_ptr(), (&raw const page).cast());
        if inner.is_null() {
            return ptr::null_mut();
        }
        bpf_map_lookup_elem(inner, (&raw const place).cast())
    }
}

/// A buffer with room for the largest event.
#[repr(C)]
pub struct Scratch {
    /// 1 while a program uses this buffer.
    pub taken: u64,
    /// The words of the event, then the bytes of its strings.
    pub payload: [u64; SCRATCH_PAYLOAD_BYTES / 8],
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
