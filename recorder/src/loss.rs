//! Events that the program could not put in a ring: read from its maps as gaps with a CPU, a time range and a count.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapMut, MmapOptions};

use crate::abi::DropState;
use crate::bpf::Map;
use crate::error::{Error, Result};
use crate::program::Program;

/// Events of one site that were lost on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The CPU whose ring was full.
    pub cpu: u16,
    /// The site.
    pub site: u32,
    /// Not later than the first loss, `CLOCK_MONOTONIC` ns.
    pub first_ns: u64,
    /// Not earlier than the last loss, `CLOCK_MONOTONIC` ns.
    pub last_ns: u64,
    /// Events lost.
    pub count: u64,
}

/// Reads what was lost since it was last asked.
#[derive(Debug)]
pub struct LossReader {
    states: MmapMut,
    cpus: usize,
    /// Count and last time of each CPU when it was last read.
    before: Vec<(u64, u64)>,
    site_drops: Map,
    /// Counts of each site so far, `cpus` for each.
    counted: Vec<u64>,
    /// Of one site, as the system call returns it.
    value: Vec<u8>,
}

impl LossReader {
    /// Maps the counters of `program`.
    ///
    /// # Errors
    /// [`Error::System`] when they cannot be mapped.
    pub fn new(program: &Program) -> Result<Self> {
        let cpus = program.cpus();
        let system = |source| Error::System { doing: "map a BPF map", source };
        let fd = program.drops.as_fd().try_clone_to_owned().map_err(system)?;
        // SAFETY: the memory is shared with the kernel's program. It is only accessed atomically, word by word, through
        // `word` below.
        let states =
            unsafe { MmapOptions::new().len(cpus * size_of::<DropState>()).map_mut(&fd) }.map_err(system)?;
        Ok(Self {
            states,
            cpus,
            before: vec![(0, 0); cpus],
            site_drops: program.site_drops.try_clone().map_err(system)?,
            counted: Vec::new(),
            value: vec![0; cpus * 8],
        })
    }

    /// Whether anything was lost since [`LossReader::read`]; costs no system call.
    #[must_use]
    pub fn any(&self) -> bool {
        (0..self.cpus).any(|cpu| self.word(cpu, COUNT).load(Ordering::Relaxed) != self.before[cpu].0)
    }

    /// Appends what sites 0 to `sites` lost since the last call.
    ///
    /// # Errors
    /// When a counter cannot be read.
    pub fn read(&mut self, sites: u32, losses: &mut Vec<Loss>) -> io::Result<()> {
        let ranges: Vec<(u64, u64)> = (0..self.cpus).map(|cpu| self.range(cpu)).collect();
        self.counted.resize(sites as usize * self.cpus, 0);
        for site in 0..sites {
            self.site_drops.lookup(&site.to_le_bytes(), &mut self.value)?;
            for (cpu, range) in (0..).zip(&ranges) {
                let bytes = self.value[usize::from(cpu) * 8..][..8].try_into().expect("eight bytes");
                let count = u64::from_le_bytes(bytes);
                let counted = &mut self.counted[site as usize * self.cpus + usize::from(cpu)];
                if count != *counted {
                    losses.push(Loss { cpu, site, first_ns: range.0, last_ns: range.1, count: count - *counted });
                    *counted = count;
                }
            }
        }
        Ok(())
    }

    /// The times between which a CPU lost events since the last call; it begins a new range.
    fn range(&mut self, cpu: usize) -> (u64, u64) {
        let (count_before, last_before) = self.before[cpu];
        let count = self.word(cpu, COUNT).load(Ordering::Acquire);
        let first = self.word(cpu, FIRST).load(Ordering::Relaxed);
        let last = self.word(cpu, LAST).load(Ordering::Relaxed);
        // The program stores `first_ns` when it finds `count` equal to `seen`. If it counted on between our read of
        // `count` and the store of `seen` last time, there was no such moment, and the end of the range before holds.
        let first = first.max(last_before).min(last);
        self.word(cpu, SEEN).store(count, Ordering::Release);
        if count != count_before {
            self.before[cpu] = (count, last);
        }
        (first, last)
    }

    /// Word `index` of the state of `cpu`.
    fn word(&self, cpu: usize, index: usize) -> &AtomicU64 {
        assert!(cpu < self.cpus && index < size_of::<DropState>() / 8, "inside the mapping");
        // SAFETY: inside the mapping (asserted) and aligned; both sides access the word only whole.
        unsafe { &*self.states.as_ptr().cast::<AtomicU64>().add(cpu * size_of::<DropState>() / 8 + index) }
    }
}

/// Words of a [`DropState`].
const COUNT: usize = std::mem::offset_of!(DropState, count) / 8;
const FIRST: usize = std::mem::offset_of!(DropState, first_ns) / 8;
const LAST: usize = std::mem::offset_of!(DropState, last_ns) / 8;
const SEEN: usize = std::mem::offset_of!(DropState, seen) / 8;
