//! Events that the program had no room for: read from its maps as gaps with a CPU, a time range and a count.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::drain::lane::{LOST, LOST_FIRST, LOST_LAST, LOST_SEEN, Lanes};
use crate::kernel::sites::Sites;
use tracer_format::SiteId;

/// Events of one site that were lost on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The CPU whose ring was full.
    pub cpu: u16,
    /// The site.
    pub site: SiteId,
    /// Not later than the first loss, `CLOCK_MONOTONIC` ns.
    pub first_ns: u64,
    /// Not earlier than the last loss, `CLOCK_MONOTONIC` ns.
    pub last_ns: u64,
    /// Events lost.
    pub count: u64,
}

/// Reads what was lost since the last call.
#[derive(Debug)]
pub struct LossReader {
    lanes: Lanes,
    /// Count and last time of each CPU when it was last read.
    before: Vec<(u64, u64)>,
    sites: Arc<Sites>,
    /// Counts of each site so far, `cpus` for each.
    counted: Vec<u64>,
    /// Of one site, as the system call returns it.
    value: Vec<u8>,
}

impl LossReader {
    /// Takes the counters of the program: of the CPUs in `lanes`, of its `sites`.
    pub(crate) fn new(lanes: Lanes, sites: Arc<Sites>) -> Self {
        let cpus = lanes.cpus();
        Self { lanes, before: vec![(0, 0); cpus], sites, counted: Vec::new(), value: vec![0; cpus * 8] }
    }

    /// Whether anything was lost since [`LossReader::read`]; costs no system call.
    #[must_use]
    pub fn any(&self) -> bool {
        (0..self.before.len())
            .any(|cpu| self.lanes.control(cpu, LOST).load(Ordering::Relaxed) != self.before[cpu].0)
    }

    /// Appends what sites 0 to `sites` lost since the last call.
    ///
    /// # Errors
    /// When a counter cannot be read.
    pub fn read(&mut self, sites: u32, losses: &mut Vec<Loss>) -> io::Result<()> {
        let cpus = self.before.len();
        let ranges: Vec<(u64, u64)> = (0..cpus).map(|cpu| self.range(cpu)).collect();
        self.counted.resize(sites as usize * cpus, 0);
        for site in 0..sites {
            self.sites.drops(SiteId(site), &mut self.value)?;
            for (cpu, range) in (0..).zip(&ranges) {
                let bytes = self.value[usize::from(cpu) * 8..][..8].try_into().expect("eight bytes");
                let count = u64::from_le_bytes(bytes);
                let counted = &mut self.counted[site as usize * cpus + usize::from(cpu)];
                if count != *counted {
                    losses.push(Loss {
                        cpu,
                        site: SiteId(site),
                        first_ns: range.0,
                        last_ns: range.1,
                        count: count - *counted,
                    });
                    *counted = count;
                }
            }
        }
        Ok(())
    }

    /// The times between which a CPU lost events since the last call; it begins a new range.
    fn range(&mut self, cpu: usize) -> (u64, u64) {
        let (count_before, last_before) = self.before[cpu];
        let count = self.lanes.control(cpu, LOST).load(Ordering::Acquire);
        let first = self.lanes.control(cpu, LOST_FIRST).load(Ordering::Relaxed);
        let last = self.lanes.control(cpu, LOST_LAST).load(Ordering::Relaxed);
        // The program stores the first time when it finds `lost` equal to `lost_seen`. If it counted on between our
        // read of `lost` and the store of `lost_seen` last time, there was no such moment, and the end of the range before holds.
        let first = first.max(last_before).min(last);
        self.lanes.control(cpu, LOST_SEEN).store(count, Ordering::Release);
        if count != count_before {
            self.before[cpu] = (count, last);
        }
        (first, last)
    }
}
