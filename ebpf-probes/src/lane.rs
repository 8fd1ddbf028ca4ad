//! The lane of a CPU: the fast way to the recorder, for events that are all numbers.
//!
//! A lane is a ring of slots in an array that the recorder maps. Only programs on this CPU write to it, so
//! one atomic addition reserves, and the last store of an event commits it: no lock, and 24 bytes for an event with one
//! argument instead of 40. Above what the clock costs, that is 20 to 30 ns an event where a kernel ring buffer takes 40
//! to 60, most of it for cache lines that another CPU has read (`recorder/examples/hit_cost.rs` measures it).
//!
//! Every slot says in its first word which lap of the ring it was written in, so the recorder sees how far the
//! events are committed and no slot is ever cleared. x86-64 keeps stores in order; another architecture needs a
//! barrier before the last one.

use core::ptr;

use aya_ebpf::helpers::bpf_ktime_get_ns;

use crate::abi::{
    CONTINUED_BIT, LANE_BYTES, LANE_MARGIN, LAP_BIT, LaneControl, MAX_ARGUMENTS, SLOT_BYTES, pack_ids,
};
use crate::ring::{self, Event};
use crate::{atomic, maps};

/// Slots of each lane, a power of two. Set by the recorder before the program is loaded.
#[unsafe(no_mangle)]
static LANE_SLOTS: u64 = 0;

/// Used slots from which on the recorder is woken. Set by the recorder before the program is loaded.
#[unsafe(no_mangle)]
static WAKE_SLOTS: u64 = u64::MAX;

/// The fill is looked at once in so many slots: waking costs far more than an event, so it must be rare even while the
/// lane is fuller than `WAKE_SLOTS`.
const WAKE_SAMPLE: u64 = 256;

/// Slots reserved in a lane.
struct Reserved {
    base: *mut u8,
    position: u64,
    slots: u64,
}

/// Puts an event with at most one argument, which was readable, in the lane. False if there is no room.
#[inline(always)]
pub fn put_small(event: &Event, word: u64) -> bool {
    let Some(reserved) = reserve(event, 1) else { return false };
    reserved.commit(event, word);
    true
}

/// Puts an event with `count` arguments in the lane. False if there is no room.
#[inline(always)]
pub fn put(event: &Event, count: u8, unreadable: u16, words: &[u64; MAX_ARGUMENTS]) -> bool {
    // The first slot holds the first argument, each further one holds two.
    let further = u64::from(count) / 2;
    let Some(reserved) = reserve(event, 1 + further) else { return false };
    let note = CONTINUED_BIT | u64::from(count) << 16 | u64::from(unreadable);
    for i in 0..MAX_ARGUMENTS / 2 {
        if i as u64 >= further {
            break;
        }
        let second = if 2 * i + 2 < MAX_ARGUMENTS { words[2 * i + 2] } else { 0 };
        reserved.write(1 + i as u64, note, words[2 * i + 1], second);
    }
    reserved.commit(event, words[0]);
    true
}

#[inline(always)]
fn reserve(event: &Event, count: u64) -> Option<Reserved> {
    let base = maps::LANES.get_ptr_mut(event.cpu)?.cast::<u8>();
    // SAFETY: the control block is at the start of every lane; the static is read volatile as the loader changes it.
    unsafe {
        let slots = ptr::read_volatile(&raw const LANE_SLOTS);
        let head = base.cast::<u64>();
        let tail = base.add(64).cast::<u64>();
        let used = head.read_volatile() - tail.read_volatile();
        // A task may be preempted between this comparison and the addition below, and others may use up the room in
        // the meantime: the margin has room for a hundred such tasks.
        if used > slots - LANE_MARGIN {
            return None;
        }
        // The addition is a barrier: a recorder that goes to sleep sees it, or this program sees that it sleeps.
        let position = atomic::fetch_add(head, count);
        let is_filling =
            position & (WAKE_SAMPLE - 1) < count && used >= ptr::read_volatile(&raw const WAKE_SLOTS);
        if is_filling || rouse(base.cast()) {
            ring::wake(event.cpu);
        }
        Some(Reserved { base, position, slots })
    }
}

/// Whether the recorder sleeps until it is woken; true once for each sleep.
///
/// # Safety
/// `control` must point to the start of a lane.
#[inline(always)]
pub unsafe fn rouse(control: *mut LaneControl) -> bool {
    // SAFETY: the control block is there, and aligned; both sides access the word only whole.
    unsafe {
        let asleep = &raw mut (*control).asleep;
        if asleep.read_volatile() == 0 {
            return false;
        }
        asleep.write_volatile(0);
    }
    true
}

impl Reserved {
    /// Writes slot `index` of the reserved ones.
    #[inline(always)]
    fn write(&self, index: u64, first: u64, second: u64, third: u64) {
        let position = self.position + index;
        // The lap's lowest bit, inverted: slots are zero before the first lap.
        let lap = if position & self.slots == 0 { LAP_BIT } else { 0 };
        let at = LANE_BYTES + (position & (self.slots - 1)) as usize * SLOT_BYTES;
        // SAFETY: the lane has LANE_BYTES and `slots` slots, which the verifier checks. Volatile keeps the order: the
        // first word says that the others are valid.
        unsafe {
            let slot = self.base.add(at).cast::<u64>();
            slot.add(1).write_volatile(second);
            slot.add(2).write_volatile(third);
            slot.write_volatile(first | lap);
        }
    }

    /// Reads the clock and writes the first slot, which makes the event visible.
    #[inline(always)]
    fn commit(&self, event: &Event, word: u64) {
        // SAFETY: the helper has no precondition.
        let time_ns = unsafe { bpf_ktime_get_ns() };
        self.write(0, time_ns, pack_ids(event.pid_tid, event.site), word);
    }
}
