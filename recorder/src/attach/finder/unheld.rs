//! Programs that ran before they were looked at: each is named, except those that the responder let go on and counts as a whole.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tracer_format::Skipped;

/// How long the count of the responder is waited for, which may come after the news of a program that is in it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Programs that nobody has been told of yet.
#[derive(Debug, Default)]
pub(super) struct UnheldPrograms {
    /// Each with the time by which it is named.
    waiting: Vec<(Instant, Skipped)>,
    /// What began before is in the last count: CLOCK_MONOTONIC, ns.
    counted_ns: u64,
    /// Processes that mapped a file which was not known, and when that was: the news of their begin may come after it.
    seen: HashMap<u32, u64>,
}

/// Processes that are remembered at a time.
const MAX_SEEN: usize = 4096;

impl UnheldPrograms {
    /// Adds a program that began at `time_ns`; gives how long to wait before [`take_due`](Self::take_due).
    pub(super) fn add(&mut self, time_ns: u64, skipped: Skipped) -> Duration {
        if time_ns > self.counted_ns {
            self.waiting.push((Instant::now() + PATIENCE, skipped));
        }
        PATIENCE
    }

    /// Process `pid` has mapped a file with probes that was not known, before `now_ns`.
    pub(super) fn seen(&mut self, pid: u32, now_ns: u64) {
        if self.seen.len() >= MAX_SEEN {
            self.seen.clear();
        }
        self.seen.insert(pid, now_ns);
    }

    /// Whether process `pid` had mapped such a file when it was told that it began at `time_ns`; that is forgotten.
    pub(super) fn was_seen(&mut self, pid: u32, time_ns: u64) -> bool {
        self.seen.remove(&pid).is_some_and(|seen| time_ns <= seen)
    }

    /// The responder has counted what it let go on, until now.
    pub(super) fn counted(&mut self, now_ns: u64) {
        self.waiting.clear();
        self.counted_ns = now_ns;
    }

    /// Programs to be named by then.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Skipped> {
        let due = self.waiting.partition_point(|(at, _)| *at <= now);
        self.waiting.drain(..due).map(|(_, skipped)| skipped).collect()
    }

    /// All programs that are left, at the end.
    pub(super) fn take_all(&mut self) -> Vec<Skipped> {
        std::mem::take(&mut self.waiting).into_iter().map(|(_, skipped)| skipped).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_named_unless_they_are_in_a_count() {
        let program = |pid| Skipped { pid, ..Skipped::default() };
        let mut unheld = UnheldPrograms::default();
        let wait = unheld.add(5, program(1));
        assert!(unheld.take_due(Instant::now()).is_empty());
        assert_eq!(unheld.take_due(Instant::now() + wait), [program(1)]);
        unheld.add(6, program(2));
        unheld.counted(10);
        unheld.add(9, program(3));
        unheld.add(11, program(4));
        assert_eq!(unheld.take_all(), [program(4)]);
        assert!(unheld.take_all().is_empty());
    }

    #[test]
    fn what_a_process_mapped_is_news_of_the_program_that_it_runs_only() {
        let mut unheld = UnheldPrograms::default();
        unheld.seen(1, 10);
        assert!(!unheld.was_seen(2, 5));
        assert!(unheld.was_seen(1, 9), "told late");
        assert!(!unheld.was_seen(1, 9), "once");
        unheld.seen(1, 10);
        assert!(!unheld.was_seen(1, 11), "another program");
    }
}
