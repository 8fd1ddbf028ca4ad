//! When the looking thread looks at what: at single processes, at the files that the user named, and at all processes.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// Looks at single processes that wait, at most; instead of more of them, all processes are looked at.
const MAX_LOOKS: usize = 4096;
/// Those of one process.
const MAX_LOOKS_OF_PROCESS: usize = 4;
/// Where the kernel does not tell what processes map, all are looked at this often, for libraries that are loaded later, and on
/// machines with thousands of processes less often, so that it takes no more than a twentieth of a processor. Named files
/// are looked at as often: they may be built again.
const INTERVAL: Duration = Duration::from_millis(200);
const SHARE: u32 = 20;
/// What that may take at a time beyond its share: a build writes many files one after the other.
const BURST: Duration = Duration::from_secs(2);
/// Where it tells: for what it does not tell of, such as processors that were switched on meanwhile.
const RARE_INTERVAL: Duration = Duration::from_secs(60);
const RARE_SHARE: u32 = 1000;

/// When what is looked at.
#[derive(Debug)]
pub(super) struct Agenda {
    /// Processes, the earliest first.
    looks: BTreeSet<(Instant, u32)>,
    /// Those among them that are looked at because of what was seen a moment before.
    doubted: BTreeSet<u32>,
    /// When each of them is looked at.
    by_process: HashMap<u32, BTreeSet<Instant>>,
    /// When all processes are looked at.
    scan_at: Instant,
    /// When the share will have paid for what they took, whatever asked for it: it may be a program that does so for nothing.
    paid_at: Instant,
    /// When named files are looked at, if there are any.
    named_at: Option<Instant>,
    /// Whether the kernel tells what processes map.
    is_told: bool,
}

impl Agenda {
    pub(super) fn new(is_told: bool, has_named: bool) -> Self {
        let now = Instant::now();
        Self {
            looks: BTreeSet::new(),
            doubted: BTreeSet::new(),
            by_process: HashMap::new(),
            // Programs that began since the last look were not held yet.
            scan_at: if is_told { now + RARE_INTERVAL } else { now },
            paid_at: now,
            named_at: has_named.then(|| now + INTERVAL),
            is_told,
        }
    }

    /// When there is something to do.
    pub(super) fn next(&self) -> Instant {
        let look = self.looks.first().map(|(at, _)| *at);
        look.into_iter().chain(self.named_at).fold(self.scan_at.max(self.rested_at()), Instant::min)
    }

    /// Looks at process `pid` after that time.
    pub(super) fn look(&mut self, pid: u32, after: Duration) {
        if self.looks.len() >= MAX_LOOKS {
            return self.scan(after);
        }
        let mut at = Instant::now() + after;
        let times = self.by_process.entry(pid).or_default();
        if times.len() >= MAX_LOOKS_OF_PROCESS
            && let Some(last) = times.pop_last()
        {
            // It is put off, and sees what both would have seen.
            self.looks.remove(&(last, pid));
            at = at.max(last);
        }
        times.insert(at);
        self.looks.insert((at, pid));
    }

    /// Looks at process `pid` after that time, and at the end if that comes first.
    pub(super) fn look_again(&mut self, pid: u32, after: Duration) {
        self.doubted.insert(pid);
        self.look(pid, after);
    }

    /// Processes that were to be looked at again and have not been.
    pub(super) fn take_doubted(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.doubted)
    }

    /// Looks at all processes after that time, or before.
    pub(super) fn scan(&mut self, after: Duration) {
        self.scan_at = self.scan_at.min(Instant::now() + after);
    }

    /// Looks at all processes as often as if nothing was told.
    pub(super) fn scan_often(&mut self) {
        self.scan(INTERVAL);
    }

    /// A process that is to be looked at by now.
    pub(super) fn take_look(&mut self, now: Instant) -> Option<u32> {
        let (at, pid) = *self.looks.first().filter(|(at, _)| *at <= now)?;
        self.looks.pop_first();
        self.doubted.remove(&pid);
        if let Some(times) = self.by_process.get_mut(&pid) {
            times.remove(&at);
            if times.is_empty() {
                self.by_process.remove(&pid);
            }
        }
        Some(pid)
    }

    /// Whether a process is to be looked at by now.
    pub(super) fn is_look_due(&self, now: Instant) -> bool {
        self.looks.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Whether named files are to be looked at by now; they are then.
    pub(super) fn take_named(&mut self, now: Instant) -> bool {
        let is_due = self.named_at.is_some_and(|at| at <= now);
        if is_due {
            self.named_at = Some(now + INTERVAL);
        }
        is_due
    }

    /// Whether all processes are to be looked at by now.
    pub(super) fn is_scan_due(&self, now: Instant) -> bool {
        self.scan_at <= now && self.is_rested(now)
    }

    /// Whether looking at all processes has taken so little of late that it may be done once more.
    pub(super) fn is_rested(&self, now: Instant) -> bool {
        self.rested_at() <= now
    }

    fn rested_at(&self) -> Instant {
        // A machine that has just started has no such time.
        self.paid_at.checked_sub(BURST * SHARE).unwrap_or(self.paid_at)
    }

    /// Something was looked for in all processes, which took so long.
    pub(super) fn rest(&mut self, took: Duration) {
        self.paid_at = self.paid_at.max(Instant::now()) + took * SHARE;
    }

    /// All processes were looked at, which took so long.
    pub(super) fn scanned(&mut self, took: Duration) {
        self.doubted.clear();
        let interval =
            if self.is_told { RARE_INTERVAL.max(took * RARE_SHARE) } else { INTERVAL.max(took * SHARE) };
        self.scan_at = Instant::now() + interval;
        self.rest(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_given_once_and_in_order() {
        let mut agenda = Agenda::new(true, false);
        let now = Instant::now() + Duration::from_secs(1);
        agenda.look(2, Duration::from_millis(20));
        agenda.look(1, Duration::from_millis(10));
        agenda.look(3, Duration::from_secs(30));
        assert!(agenda.next() < now);
        assert_eq!([(); 3].map(|()| agenda.take_look(now)), [Some(1), Some(2), None]);
        assert!(agenda.next() > now && !agenda.take_named(now), "nothing was named");
        assert_eq!(agenda.take_look(now + Duration::from_secs(60)), Some(3), "it was kept");
    }

    #[test]
    fn all_is_looked_at_often_only_where_nothing_is_told() {
        let soon = Instant::now() + Duration::from_secs(10);
        let mut untold = Agenda::new(false, true);
        assert!(untold.is_scan_due(soon) && untold.take_named(soon) && !untold.take_named(soon));
        untold.scanned(Duration::from_secs(1));
        assert!(!untold.is_scan_due(soon), "no more than a twentieth of the time");
        let mut told = Agenda::new(true, false);
        told.scanned(Duration::ZERO);
        assert!(!told.is_scan_due(soon));
        told.scan_often();
        assert!(told.is_scan_due(soon));
    }

    #[test]
    fn no_look_is_dropped() {
        let mut agenda = Agenda::new(true, false);
        let soon = Instant::now() + Duration::from_secs(10);
        (0..).take(MAX_LOOKS).for_each(|pid| agenda.look(pid, Duration::ZERO));
        assert!(!agenda.is_scan_due(soon));
        agenda.look(u32::MAX, Duration::ZERO);
        assert!(agenda.is_scan_due(soon));
    }

    #[test]
    fn looking_at_all_takes_a_share_whatever_asks_for_it() {
        let mut agenda = Agenda::new(true, false);
        let scanned = |agenda: &mut Agenda, took| {
            agenda.scanned(took);
            agenda.scan(Duration::ZERO);
        };
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        scanned(&mut agenda, BURST / 2);
        assert!(agenda.is_scan_due(after(1)), "some at a time are no burden");
        scanned(&mut agenda, BURST / 2 + Duration::from_secs(1));
        assert!(!agenda.is_scan_due(after(1)) && agenda.is_scan_due(after(21)));
        assert!(agenda.next() > after(1));
    }

    #[test]
    fn one_process_has_few_looks_and_the_last_of_them_is_seen() {
        let mut agenda = Agenda::new(true, false);
        for n in 0..1000 {
            agenda.look(7, Duration::from_millis(n));
        }
        agenda.look(8, Duration::ZERO);
        let mut taken = Vec::new();
        while let Some(pid) = agenda.take_look(Instant::now() + Duration::from_millis(900)) {
            taken.push(pid);
        }
        assert_eq!(taken.iter().filter(|pid| **pid == 7).count(), MAX_LOOKS_OF_PROCESS - 1);
        assert_eq!(taken.iter().filter(|pid| **pid == 8).count(), 1);
        assert_eq!(agenda.take_look(Instant::now() + Duration::from_secs(60)), Some(7));
        assert!(agenda.by_process.is_empty());
    }
}
