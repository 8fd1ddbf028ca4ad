//! The reader's end of the lanes: rings of small slots, one for each CPU, in memory that the program writes directly.
//!
//! Layout and protocol are those of `ebpf-probes/src/lane.rs` and `abi.rs`. The counters of lost events are in the
//! lanes too.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::abi::{
    CONTINUED_BIT, HEADER_BYTES, ID_BITS, LANE_BYTES, LAP_BIT, LaneControl, MAX_ARGUMENTS, SITE_BITS, SLOT_BYTES,
};
use crate::bpf::Map;
use crate::ring::Progress;

/// The lanes of all CPUs, mapped.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    map: Arc<MmapRaw>,
    /// Bytes of one lane.
    stride: usize,
    /// Slots of one lane, a power of two.
    slots: u64,
}

/// Bytes of a lane with so many slots.
pub(crate) fn lane_bytes(slots: u32) -> u32 {
    LANE_BYTES as u32 + slots * SLOT_BYTES as u32
}

/// Words of an event's length and header in a batch.
const HEAD_WORDS: usize = 1 + HEADER_BYTES / 8;
/// Words of the largest event.
const MAX_WORDS: usize = HEAD_WORDS + MAX_ARGUMENTS;

impl Lanes {
    /// Maps the map of `cpus` lanes with `slots` slots each.
    ///
    /// # Errors
    /// When the memory cannot be mapped.
    pub(crate) fn map(map: &Map, slots: u32) -> io::Result<Self> {
        let stride = lane_bytes(slots) as usize;
        let fd = map.as_fd().try_clone_to_owned()?;
        let map = MmapOptions::new().len(stride * map.entries() as usize).map_raw(&fd)?;
        Ok(Self { map: Arc::new(map), stride, slots: u64::from(slots) })
    }

    /// Number of lanes.
    pub(crate) fn cpus(&self) -> usize {
        self.map.len() / self.stride
    }

    /// Used share of a lane, 0 to 1.
    pub(crate) fn fill(&self, cpu: usize) -> f64 {
        let used = self.control(cpu, HEAD).load(Ordering::Relaxed) - self.control(cpu, TAIL).load(Ordering::Relaxed);
        used as f64 / self.slots as f64
    }

    /// Moves committed events to the end of `words`, as if they came from a ring buffer, until the lane is empty, the
    /// next event is not committed, or `words` would exceed `limit_words`.
    pub(crate) fn drain(&self, cpu: usize, words: &mut Vec<u64>, limit_words: usize) -> Progress {
        let head = self.control(cpu, HEAD).load(Ordering::Acquire);
        let start = self.control(cpu, TAIL).load(Ordering::Relaxed);
        let mut tail = start;
        let mut progress = Progress::Complete;
        while tail < head {
            if words.len() + MAX_WORDS > limit_words {
                progress = Progress::Full;
                break;
            }
            let Some(first) = self.slot(cpu, tail) else {
                progress = Progress::Busy;
                break;
            };
            tail += 1;
            // A slot that continues an event whose first slot was read before: cannot be, as events are read whole.
            if first[0] & CONTINUED_BIT != 0 {
                continue;
            }
            tail += self.move_event(cpu, tail, &first, words);
        }
        if tail != start {
            // Release: the slots are read before the program may write them again.
            self.control(cpu, TAIL).store(tail, Ordering::Release);
        }
        progress
    }

    /// Appends the event that begins with slot `first` and continues at `next`; returns the number of further slots.
    fn move_event(&self, cpu: usize, next: u64, first: &[u64; 3], words: &mut Vec<u64>) -> u64 {
        let [time_ns, ids, word] = *first;
        let begin = words.len();
        let pid = ids >> (ID_BITS + SITE_BITS);
        let tid = ids >> SITE_BITS & ((1 << ID_BITS) - 1);
        let site = ids & ((1 << SITE_BITS) - 1);
        words.extend_from_slice(&[(HEADER_BYTES + 8) as u64, time_ns, pid << 32 | tid, site | 1 << 56, word]);
        let mut further = 0;
        // The slots of an event are committed before its first one, so one that is not belongs to the next event.
        while let Some([note, second, third]) = self.slot(cpu, next + further)
            && note & CONTINUED_BIT != 0
            && further < MAX_ARGUMENTS as u64 / 2
        {
            further += 1;
            words.extend_from_slice(&[second, third]);
            let count = (note >> 16 & 0xff).min(MAX_ARGUMENTS as u64);
            let unreadable = note & 0xffff;
            words[begin + 3] = site | unreadable << 32 | count << 56;
        }
        if further > 0 {
            let count = (words[begin + 3] >> 56) as usize;
            words.truncate(begin + HEAD_WORDS + count);
            words[begin] = ((words.len() - begin - 1) * 8) as u64;
        }
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
pub(crate) const LOST_SEEN: usize = std::mem::offset_of!(LaneControl, lost_seen) / 8;
pub(crate) const LOST: usize = std::mem::offset_of!(LaneControl, lost) / 8;
pub(crate) const LOST_FIRST: usize = std::mem::offset_of!(LaneControl, lost_first_ns) / 8;
pub(crate) const LOST_LAST: usize = std::mem::offset_of!(LaneControl, lost_last_ns) / 8;

const _: () = assert!(LANE_BYTES.is_multiple_of(8) && SLOT_BYTES == 24);
