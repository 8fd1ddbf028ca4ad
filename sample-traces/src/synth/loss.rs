//! Bursts of lost events, as full ring buffers make them: each on one processor, reported as one gap for each site.

use super::spread::exponential;
use crate::random::Random;
use tracer_format::{Gap, HostId, SiteId};

/// Mean number of events that one burst loses.
const BURST_EVENTS: f64 = 256.0;

/// Chooses the events that are lost and makes the gaps that report them.
#[derive(Debug)]
pub(super) struct Loss {
    random: Random,
    /// Mean number of events from the start of a burst to that of the next; infinite if nothing is lost.
    distance: f64,
    /// Events until the next burst begins.
    until: u64,
    /// Bursts that go on.
    bursts: Vec<Burst>,
}

#[derive(Debug)]
struct Burst {
    cpu: u16,
    /// Events of the processor that are still to be lost.
    left: u64,
    /// One gap for each site of which events were lost.
    gaps: Vec<Gap>,
}

impl Loss {
    /// Loses `part` of the events.
    pub(super) fn new(part: f64, seed: u64) -> Self {
        let mut loss = Self {
            random: Random::for_buffer(seed, u64::MAX),
            distance: BURST_EVENTS / part,
            until: u64::MAX,
            bursts: Vec::new(),
        };
        loss.until = loss.next_distance();
        loss
    }

    fn next_distance(&mut self) -> u64 {
        exponential(self.distance, &mut self.random).max(1)
    }

    /// Whether the next event is lost. Gaps whose burst is over are appended to `over`.
    pub(super) fn takes(&mut self, time_ns: u64, cpu: u16, site: SiteId, over: &mut Vec<Gap>) -> bool {
        self.until -= 1;
        if self.until == 0 {
            self.begin(cpu);
        }
        if self.bursts.is_empty() {
            return false;
        }
        let Some(at) = self.bursts.iter().position(|burst| burst.cpu == cpu) else { return false };
        let burst = &mut self.bursts[at];
        burst.add(time_ns, site);
        burst.left -= 1;
        if burst.left == 0 {
            over.append(&mut self.bursts.swap_remove(at).gaps);
        }
        true
    }

    /// The next event that fires on `cpu` is the first of a burst; one that goes on there becomes longer.
    fn begin(&mut self, cpu: u16) {
        self.until = self.next_distance();
        let more = exponential(BURST_EVENTS, &mut self.random).max(1);
        match self.bursts.iter_mut().find(|burst| burst.cpu == cpu) {
            Some(burst) => burst.left += more,
            None => self.bursts.push(Burst { cpu, left: more, gaps: Vec::new() }),
        }
    }

    /// The gaps of bursts that the end of the trace cuts off.
    pub(super) fn finish(self) -> impl Iterator<Item = Gap> {
        self.bursts.into_iter().flat_map(|burst| burst.gaps)
    }
}

impl Burst {
    fn add(&mut self, time_ns: u64, site: SiteId) {
        match self.gaps.iter_mut().find(|gap| gap.site == site) {
            Some(gap) => {
                gap.to_ns = time_ns;
                gap.count += 1;
            }
            None => {
                let gap =
                    Gap { host: HostId(0), cpu: self.cpu, site, from_ns: time_ns, to_ns: time_ns, count: 1 };
                self.gaps.push(gap);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_report_every_lost_event_on_its_processor_and_in_its_time() {
        for part in [0.02, 0.1, 0.9] {
            let (mut loss, mut over, mut lost) = (Loss::new(part, 3), Vec::new(), Vec::new());
            for time_ns in 0..1_000_000_u64 {
                let (cpu, site) = ((time_ns % 3) as u16, SiteId((time_ns / 3 % 6) as u32));
                if loss.takes(time_ns, cpu, site, &mut over) {
                    lost.push((cpu, site, time_ns));
                }
            }
            over.extend(loss.finish());
            assert_eq!(over.iter().map(|gap| gap.count).sum::<u64>(), lost.len() as u64);
            for gap in &over {
                let inside = |&&(cpu, site, time_ns): &&(u16, SiteId, u64)| {
                    (cpu, site) == (gap.cpu, gap.site) && (gap.from_ns..=gap.to_ns).contains(&time_ns)
                };
                assert_eq!(lost.iter().filter(inside).count() as u64, gap.count, "{gap:?}");
            }
            let found = lost.len() as f64 / 1e6;
            assert!((found / part - 1.0).abs() < 0.25, "{found} instead of {part}");
        }
    }

    #[test]
    fn without_loss_nothing_is_lost() {
        let mut loss = Loss::new(0.0, 3);
        assert!((0..100_000).all(|time_ns| !loss.takes(time_ns, 0, SiteId(0), &mut Vec::new())));
    }
}
