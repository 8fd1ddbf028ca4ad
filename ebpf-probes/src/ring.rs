//! The ring buffer of a CPU: for events with strings, and for those that its lane has no room for. When the ring is full
//! too, the event is counted as lost.

use core::ptr;

use aya_ebpf::bindings::{BPF_NOEXIST, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::{
    bpf_ktime_get_ns, bpf_map_lookup_elem, bpf_ringbuf_discard, bpf_ringbuf_query, bpf_ringbuf_reserve,
    bpf_ringbuf_submit,
};

use crate::abi::{EventHeader, HEADER_BYTES, KIND_SITE, MAX_ARGUMENTS};
use crate::{atomic, lane, maps};

/// Bytes in a ring from which on the recorder is woken. Set by the recorder before the program is loaded.
#[unsafe(no_mangle)]
static WAKE_BYTES: u64 = u64::MAX;

/// The fill of the ring is looked at when the time has these bits clear: about once in 64 events. Waking costs far
/// more than an event, so it must be rare even while the ring is fuller than `WAKE_BYTES`.
const WAKE_SAMPLE: u64 = 63;

/// What is known of an event before its arguments.
pub struct Event {
    /// Process id in the upper half, thread id in the lower.
    pub pid_tid: u64,
    pub site: u32,
    pub cpu: u32,
}

impl Event {
    /// Submits an event with at most one argument, which was readable.
    #[inline(always)]
    pub fn submit_small(&self, count: u8, word: u64) {
        if lane::put_small(self, word) {
            return;
        }
        let Some(slot) = self.reserve::<{ HEADER_BYTES + 8 }>() else { return };
        // SAFETY: `slot.at` has room for the header and one word.
        unsafe { slot.at.add(HEADER_BYTES).cast::<u64>().write(word) };
        slot.submit(self, count, 0);
    }

    /// Submits an event with any number of arguments.
    #[inline(always)]
    pub fn submit(&self, count: u8, unreadable: u16, words: &[u64; MAX_ARGUMENTS]) {
        // Without a second slot there is no place for the mask.
        if (count > 1 || unreadable == 0) && lane::put(self, count, unreadable, words) {
            return;
        }
        let Some(slot) = self.reserve::<{ HEADER_BYTES + MAX_ARGUMENTS * 8 }>() else { return };
        // SAFETY: `slot.at` has room for the header and all words.
        let target = unsafe { slot.at.add(HEADER_BYTES).cast::<u64>() };
        for (i, word) in words.iter().enumerate() {
            // SAFETY: i < MAX_ARGUMENTS.
            unsafe { target.add(i).write(*word) };
        }
        slot.submit(self, count, unreadable);
    }

    /// Reserves `BYTES` in the ring of this CPU. Without room the event is counted as lost.
    #[inline(always)]
    pub fn reserve<const BYTES: usize>(&self) -> Option<Slot> {
        let cpu = self.cpu;
        // SAFETY: the map's key is a u32; the helper returns the inner map or null.
        let ring = unsafe { bpf_map_lookup_elem(maps::RINGS.as_ptr(), (&raw const cpu).cast()) };
        if ring.is_null() {
            return None;
        }
        // SAFETY: `ring` is a ring buffer map; the verifier knows it by the type of the outer map.
        let at = unsafe { bpf_ringbuf_reserve(ring, BYTES as u64, 0) }.cast::<u8>();
        if at.is_null() {
            lose(self.cpu, self.site, (self.pid_tid >> 32) as u32);
            return None;
        }
        Some(Slot { ring, at })
    }
}

/// Reserved space in a ring; must be submitted on every path, which the verifier checks.
pub struct Slot {
    ring: *mut core::ffi::c_void,
    pub at: *mut u8,
}

impl Slot {
    /// Reads the clock, writes the header and submits.
    #[inline(always)]
    pub fn submit(self, event: &Event, count: u8, unreadable: u16) {
        // SAFETY: the helper has no precondition.
        let time_ns = unsafe { bpf_ktime_get_ns() };
        let header = EventHeader {
            time_ns,
            tid: event.pid_tid as u32,
            pid: (event.pid_tid >> 32) as u32,
            site: event.site,
            unreadable,
            kind: KIND_SITE,
            count,
        };
        let mut flags = BPF_RB_NO_WAKEUP;
        if time_ns & WAKE_SAMPLE == 0 {
            // SAFETY: `ring` is a ring buffer map; the static is initialised, and volatile as the loader changes it.
            unsafe {
                let fill_bytes = bpf_ringbuf_query(self.ring, u64::from(BPF_RB_AVAIL_DATA));
                if fill_bytes >= ptr::read_volatile(&raw const WAKE_BYTES) {
                    flags = BPF_RB_FORCE_WAKEUP;
                }
            }
        }
        // SAFETY: every slot has room for a header, and `at` came from reserve and was not submitted before.
        unsafe {
            self.at.cast::<EventHeader>().write(header);
            // A barrier: a recorder that goes to sleep sees the event, or this program sees that it sleeps.
            bpf_ringbuf_submit(self.at.cast(), u64::from(flags));
            if maps::LANES.get_ptr_mut(event.cpu).is_some_and(|control| lane::rouse(control)) {
                wake(event.cpu);
            }
        }
    }
}

/// Wakes the recorder, by a discarded event in the ring of this CPU.
#[inline(never)]
pub fn wake(cpu: u32) {
    // SAFETY: the map's key is a u32; the helper returns the inner map or null. What is reserved is discarded.
    unsafe {
        let ring = bpf_map_lookup_elem(maps::RINGS.as_ptr(), (&raw const cpu).cast());
        if ring.is_null() {
            return;
        }
        let at = bpf_ringbuf_reserve(ring, 8, 0);
        if !at.is_null() {
            bpf_ringbuf_discard(at, u64::from(BPF_RB_FORCE_WAKEUP));
        }
    }
}

/// Counts one lost event, for its CPU with the time, for its site and for its process.
#[inline(never)]
pub fn lose(cpu: u32, site: u32, pid: u32) {
    // SAFETY: the helper has no precondition.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    let Some(state) = maps::LANES.get_ptr_mut(cpu) else { return };
    let of_site = maps::site_drops(site);
    if of_site.is_null() {
        return;
    }
    count(pid);
    // SAFETY: both point to aligned map values, which stay valid while the program runs. The counters are atomic
    // because another task may preempt this one on the same CPU; the times are single stores.
    unsafe {
        atomic::fetch_add(of_site, 1);
        let before = atomic::fetch_add(&raw mut (*state).lost, 1);
        if before == (&raw const (*state).lost_seen).read_volatile() {
            (&raw mut (*state).lost_first_ns).write_volatile(now_ns);
        }
        (&raw mut (*state).lost_last_ns).write_volatile(now_ns);
    }
}

/// Counts one lost event of a process.
#[inline(always)]
fn count(pid: u32) {
    if !add(pid) && maps::PID_DROPS.insert(pid, 1, BPF_NOEXIST.into()).is_err() {
        // Another CPU was faster.
        add(pid);
    }
}

/// Adds to the lost events of a process; false if there were none.
#[inline(always)]
fn add(pid: u32) -> bool {
    let Some(count) = maps::PID_DROPS.get_ptr_mut(&pid) else { return false };
    // SAFETY: an aligned map value, which stays valid while the program runs.
    unsafe { atomic::fetch_add(count, 1) };
    true
}
