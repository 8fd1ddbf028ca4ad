//! The reader's end of the lanes: rings of small slots, one for each CPU, in memory that the program writes directly.
//!
//! Layout and protocol are those of `ebpf-probes/src/lane.rs` and `abi.rs`. The counters of lost events are in the
//! lanes too.
#![expect(
    clippy::cast_possible_truncation,
    reason = "on the 64-bit machines that record, usize holds any position"
)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::abi::{
    CONTINUED_BIT, ID_BITS, KIND_SITE, LANE_BYTES, LAP_BIT, LaneControl, MAX_ARGUMENTS, SITE_BITS, SLOT_BYTES,
};
use crate::drain::batch::Part;
use crate::drain::ring::Reach;
use crate::kernel::bpf::Map;
use crate::kernel::program::lane_bytes;
use crate::kernel::raw::RawHead;
use tracer_format::SiteId;

/// The lanes of all CPUs, mapped.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    map: Arc<MmapRaw>,
    /// Bytes of one lane.
    stride: usize,
    /// Slots of one lane, a power of two.
    slots: u64,
}

/// Words of the largest event in a part.
const MAX_WORDS: usize = size_of::<RawHead>() / 8 + MAX_ARGUMENTS;

impl Lanes {
    /// Maps the map of `cpus` lanes with `slots` slots each.
    ///
    /// # Errors
    /// When the memory cannot be mapped.
    pub(crate) fn map(map: &Map, slots: u32) -> io::Result<Self> {
        let stride = lane_bytes(slots) as usize;
        let fd = map.as_fd().try_clone_to_owned()?;
        let map = MmapOptions::new().len(stride * map.entries() as usize).map_raw(&fd)?;
        // As with a ring, helpers do without.
        map.advise(Advice::DontFork)?;
        Ok(Self { map: Arc::new(map), stride, slots: u64::from(slots) })
    }

    /// Number of lanes.
    pub(crate) fn cpus(&self) -> usize {
        self.map.len() / self.stride
    }

    /// Used share of a lane, 0 to 1.
    pub(crate) fn fill(&self, cpu: usize) -> f64 {
        let used =
            self.control(cpu, HEAD).load(Ordering::Relaxed) - self.control(cpu, TAIL).load(Ordering::Relaxed);
        used as f64 / self.slots as f64
    }

    /// Slots that were ever reserved in a lane.
    pub(crate) fn written(&self, cpu: usize) -> u64 {
        self.control(cpu, HEAD).load(Ordering::Acquire)
    }

    /// Slots that were ever moved out of a lane.
    pub(crate) fn read(&self, cpu: usize) -> u64 {
        self.control(cpu, TAIL).load(Ordering::Relaxed)
    }

    /// Whether nothing is reserved in a lane.
    pub(crate) fn is_empty(&self, cpu: usize) -> bool {
        self.control(cpu, HEAD).load(Ordering::Relaxed) == self.control(cpu, TAIL).load(Ordering::Relaxed)
    }

    /// Firings that wait for memory of their process.
    pub(crate) fn waiting(&self) -> u64 {
        (0..self.cpus()).map(|cpu| self.control(cpu, WAITING).load(Ordering::Relaxed)).sum()
    }

    /// Says whether the next event on any CPU is to wake the recorder.
    pub(crate) fn set_asleep(&self, is_asleep: bool) {
        (0..self.cpus())
            .for_each(|cpu| self.control(cpu, ASLEEP).store(u64::from(is_asleep), Ordering::Relaxed));
        // The program adds to the head, then reads this: either it sees that the recorder sleeps, or the recorder sees the event.
        fence(Ordering::SeqCst);
    }

    /// Moves committed events to the end of `part`, until the lane is empty, the next event is not committed, or `part`
    /// would exceed `limit_words`.
    pub(crate) fn drain(&self, cpu: usize, part: &mut Part, limit_words: usize) -> Reach {
        let head = self.control(cpu, HEAD).load(Ordering::Acquire);
        let start = self.control(cpu, TAIL).load(Ordering::Relaxed);
        let mut tail = start;
        let mut reach = Reach::Complete;
        while tail < head {
            if part.size_words() + MAX_WORDS > limit_words {
                reach = Reach::Full;
                break;
            }
            let Some(first) = self.slot(cpu, tail) else {
                reach = Reach::Busy;
                break;
            };
            tail += 1;
            // A slot that continues an event whose first slot was read before: cannot be, as events are read whole.
            if first[0] & CONTINUED_BIT != 0 {
                continue;
            }
            tail += self.move_event(cpu, tail, &first, part);
        }
        if tail != start {
            // Release: the slots are read before the program may write them again.
            self.control(cpu, TAIL).store(tail, Ordering::Release);
        }
        reach
    }

    /// Appends the event that begins with slot `first` and continues at `next`; returns the number of further slots.
    fn move_event(&self, cpu: usize, next: u64, first: &[u64; 3], part: &mut Part) -> u64 {
        let [time_ns, ids, word] = *first;
        let words = part.words();
        let start = words.len();
        let mut head = RawHead {
            time_ns,
            pid: (ids >> (ID_BITS + SITE_BITS)) as u32,
            tid: (ids >> SITE_BITS & ((1 << ID_BITS) - 1)) as u32,
            site: SiteId((ids & ((1 << SITE_BITS) - 1)) as u32),
            start: start as u32,
            len: 1,
            unreadable: 0,
            kind: KIND_SITE,
            count: 1,
        };
        words.push(word);
        let mut further = 0;
        // The slots of an event are committed before its first one, so one that is not belongs to the next event.
        while let Some([note, second, third]) = self.slot(cpu, next + further)
            && note & CONTINUED_BIT != 0
            && further < MAX_ARGUMENTS as u64 / 2
        {
            further += 1;
            words.extend_from_slice(&[second, third]);
            head.count = (note >> 16 & 0xff).min(MAX_ARGUMENTS as u64) as u8;
            head.unreadable = (note & 0xffff) as u16;
        }
        if further > 0 {
            words.truncate(start + usize::from(head.count));
            head.count = (words.len() - start) as u8;
            head.len = u16::from(head.count);
        }
        part.append(head);
        further
    }

    /// The slot at `position`, without its lap; `None` if it is not committed.
    fn slot(&self, cpu: usize, position: u64) -> Option<[u64; 3]> {
        let at = LANE_BYTES + (position & (self.slots - 1)) as usize * SLOT_BYTES;
        let lap = if position & self.slots == 0 { LAP_BIT } else { 0 };
        // Acquire: the program stores this word last.
        let first = self.word(cpu, at / 8).load(Ordering::Acquire);
        if first & LAP_BIT != lap {
            return None;
        }
        let second = self.word(cpu, at / 8 + 1).load(Ordering::Relaxed);
        let third = self.word(cpu, at / 8 + 2).load(Ordering::Relaxed);
        Some([first & !LAP_BIT, second, third])
    }

    /// Word `index` of a lane, which begins with the words of [`LaneControl`].
    pub(crate) fn control(&self, cpu: usize, index: usize) -> &AtomicU64 {
        self.word(cpu, index)
    }

    fn word(&self, cpu: usize, index: usize) -> &AtomicU64 {
        let at = cpu * self.stride + index * 8;
        assert!(at + 8 <= self.map.len(), "inside the mapping");
        // SAFETY: inside the mapping (asserted), which lives as long as `self`; aligned, as the mapping and the stride
        // are. Both sides access the word only whole.
        unsafe { &*self.map.as_ptr().add(at).cast::<AtomicU64>() }
    }
}

/// Words of a [`LaneControl`].
pub(crate) const HEAD: usize = std::mem::offset_of!(LaneControl, head) / 8;
const TAIL: usize = std::mem::offset_of!(LaneControl, tail) / 8;
const ASLEEP: usize = std::mem::offset_of!(LaneControl, asleep) / 8;
pub(crate) const LOST_SEEN: usize = std::mem::offset_of!(LaneControl, lost_seen) / 8;
pub(crate) const LOST: usize = std::mem::offset_of!(LaneControl, lost) / 8;
pub(crate) const LOST_FIRST: usize = std::mem::offset_of!(LaneControl, lost_first_ns) / 8;
pub(crate) const LOST_LAST: usize = std::mem::offset_of!(LaneControl, lost_last_ns) / 8;
const WAITING: usize = std::mem::offset_of!(LaneControl, waiting) / 8;

const _: () = assert!(LANE_BYTES.is_multiple_of(8) && SLOT_BYTES == 24);

#[cfg(test)]
mod tests {
    use memmap2::MmapMut;

    use super::*;
    use crate::abi::pack_ids;

    const SLOTS: u64 = 8;

    /// One lane in plain memory, and the words that a program writes to it.
    fn lane() -> Lanes {
        let stride = lane_bytes(SLOTS as u32) as usize;
        let map = MmapMut::map_anon(stride).expect("memory");
        Lanes { map: Arc::new(MmapRaw::from(map)), stride, slots: SLOTS }
    }

    fn write(lanes: &Lanes, position: u64, [first, second, third]: [u64; 3]) {
        let at = LANE_BYTES / 8 + (position % SLOTS) as usize * 3;
        let lap = if (position / SLOTS).is_multiple_of(2) { LAP_BIT } else { 0 };
        lanes.control(0, at + 1).store(second, Ordering::Relaxed);
        lanes.control(0, at + 2).store(third, Ordering::Relaxed);
        lanes.control(0, at).store(first | lap, Ordering::Relaxed);
    }

    fn reserve(lanes: &Lanes, count: u64) -> u64 {
        lanes.control(0, HEAD).fetch_add(count, Ordering::Relaxed)
    }

    fn note(count: u64, unreadable: u64) -> u64 {
        CONTINUED_BIT | count << 16 | unreadable
    }

    fn times(part: &Part) -> Vec<u64> {
        part.events(0).map(|event| event.time_ns).collect()
    }

    #[test]
    fn events_of_any_length_come_out() {
        let lanes = lane();
        let ids = pack_ids(7 << 32 | 9, 3);
        let at = reserve(&lanes, 4);
        write(&lanes, at, [100, ids, 11]);
        write(&lanes, at + 2, [note(4, 0b0100), 22, 33]);
        write(&lanes, at + 3, [note(4, 0b0100), 44, 0]);
        write(&lanes, at + 1, [200, ids, 11]);
        let mut part = Part::new(0);
        assert_eq!(lanes.drain(0, &mut part, 1000), Reach::Complete);
        let one = part.event(0);
        assert_eq!((one.time_ns, one.pid, one.tid, one.site, one.words), (100, 7, 9, SiteId(3), &[11][..]));
        let four = part.event(1);
        assert_eq!((four.unreadable, four.words), (0b0100, &[11, 22, 33, 44][..]));
        assert_eq!((part.len(), part.size_words()), (2, 2 * 4 + 5));
    }

    #[test]
    fn what_is_reserved_but_not_committed_holds_the_rest_back() {
        let lanes = lane();
        reserve(&lanes, 2);
        write(&lanes, 1, [200, 0, 0]);
        let mut part = Part::new(0);
        assert_eq!(lanes.drain(0, &mut part, 1000), Reach::Busy);
        assert!(part.is_empty());
        write(&lanes, 0, [100, 0, 0]);
        assert_eq!(lanes.drain(0, &mut part, 1000), Reach::Complete);
        assert_eq!(times(&part), [100, 200]);
    }

    #[test]
    fn slots_of_the_lap_before_are_not_taken_for_new_ones() {
        let lanes = lane();
        let mut part = Part::new(0);
        for lap in 0..4 {
            let at = reserve(&lanes, SLOTS);
            assert_eq!(lanes.drain(0, &mut part, 1000), Reach::Busy, "lap {lap}");
            (0..SLOTS).for_each(|i| write(&lanes, at + i, [lap * SLOTS + i, 0, 0]));
            assert_eq!(lanes.drain(0, &mut part, 1000), Reach::Complete, "lap {lap}");
        }
        assert_eq!(times(&part), (0..4 * SLOTS).collect::<Vec<u64>>());
    }

    #[test]
    fn a_full_batch_leaves_events_in_the_lane() {
        let lanes = lane();
        reserve(&lanes, 2);
        write(&lanes, 0, [100, 0, 0]);
        write(&lanes, 1, [200, 0, 0]);
        let mut part = Part::new(0);
        assert_eq!(lanes.drain(0, &mut part, MAX_WORDS), Reach::Full);
        assert_eq!(times(&part), [100]);
        assert_eq!(lanes.drain(0, &mut part, 1000), Reach::Complete);
        assert_eq!(times(&part), [100, 200]);
    }
}
