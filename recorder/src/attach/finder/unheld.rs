//! What was attached to only after a process ran it: programs that were not held, and files that a running process mapped. Each is
//! named, except those programs that the responder let go on and counts as a whole, and the files of programs that are named.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tracer_format::Skipped;

use crate::attach::missing;
use crate::kernel::mapped::MappedFile;

/// How long the responder is waited for, whose news may come after those of a program that it let go, and the news of a program, which
/// may come after those of the files that it maps. What a program maps later than that is not part of its begin.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long programs that the responder let go are gathered, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What nobody has been told of yet.
#[derive(Debug, Default)]
pub(super) struct UnheldPrograms {
    waiting: Vec<Unsaid>,
    released: Released,
    /// Files of processes of which it is not known yet whether they are recorded.
    unknown: Vec<Unsaid>,
    /// What began before may have been let go by the responder: CLOCK_MONOTONIC, ns.
    released_ns: u64,
    /// Processes that mapped a file which was not known, and when that was: the news of their begin may come after it.
    seen: HashMap<u32, u64>,
    /// Programs that were not held, by process, and when they began.
    begun: HashMap<u32, u64>,
}

/// Processes that the responder let go on: counted, and said now and then, as there may be many in a second.
#[derive(Debug, Default)]
struct Released {
    count: u64,
    /// When the last that were said were counted, and those since then: CLOCK_MONOTONIC, ns.
    times: (u64, u64),
    /// When they are said.
    due: Option<Instant>,
    /// How long they were gathered for, the last time.
    pause: Duration,
}

impl Released {
    /// Counts more, now.
    fn add(&mut self, count: u64, now_ns: u64) {
        self.count += count;
        self.times.1 = now_ns;
        if self.due.is_none() {
            self.pause = (self.pause * 2).clamp(PATIENCE, LONGEST_PAUSE);
            self.due = Some(Instant::now() + self.pause);
        }
    }

    fn take(&mut self) -> Option<Skipped> {
        self.due.take()?;
        let said = missing::released(std::mem::take(&mut self.count), self.times);
        self.times.0 = self.times.1;
        Some(said)
    }
}

/// A line that is said by then.
#[derive(Debug)]
struct Unsaid {
    until: Instant,
    /// When the file was mapped, if it is of one.
    mapped_ns: Option<u64>,
    /// Whether its process is known to be recorded.
    is_sure: bool,
    skipped: Skipped,
}

impl Unsaid {
    /// Whether it is to be said, if that is known.
    fn is_wanted(&self, is_wanted: &dyn Fn(u32) -> Option<bool>) -> Option<bool> {
        if self.is_sure { Some(true) } else { is_wanted(self.skipped.pid) }
    }
}

/// Processes that are remembered at a time.
const MAX_SEEN: usize = 4096;

impl UnheldPrograms {
    /// Adds a program that was not held and began at `time_ns`; `skipped` says so, if something of it may be missing.
    pub(super) fn add(&mut self, pid: u32, time_ns: u64, skipped: Option<Skipped>) {
        remember(&mut self.begun, pid, time_ns);
        self.forget(pid, time_ns);
        let Some(skipped) = skipped else { return };
        if time_ns <= self.released_ns {
            self.released.add(1, self.released_ns);
        } else {
            let until = Instant::now() + PATIENCE;
            self.waiting.push(Unsaid { until, mapped_ns: None, is_sure: true, skipped });
        }
    }

    /// Forgets the files that a program mapped which began at `time_ns`.
    pub(super) fn forget(&mut self, pid: u32, time_ns: u64) {
        self.waiting.retain(|it| {
            it.skipped.pid != pid || it.mapped_ns.is_none_or(|mapped| !is_of_begin(time_ns, mapped))
        });
    }

    /// Adds a file that a process mapped at that time, before it was attached to, and whether that process is known to be recorded.
    pub(super) fn add_late(&mut self, (mapped_ns, is_sure): (u64, bool), skipped: Skipped) {
        if self.begun.get(&skipped.pid).is_none_or(|begun| !is_of_begin(*begun, mapped_ns)) {
            let until = Instant::now() + PATIENCE;
            self.waiting.push(Unsaid { until, mapped_ns: Some(mapped_ns), is_sure, skipped });
        }
    }

    /// A process has mapped a file: a look that was not because of that may have found it before this was told.
    pub(super) fn mapped(&mut self, file: &MappedFile) {
        let is_same = |it: &&mut Unsaid| {
            let skipped = &it.skipped;
            it.mapped_ns.is_some()
                && (skipped.from_ns, skipped.pid) == (0, file.pid)
                && Path::new(&skipped.path) == file.path
        };
        for unsaid in self.waiting.iter_mut().filter(is_same) {
            unsaid.mapped_ns = Some(file.time_ns);
            unsaid.skipped.from_ns = file.time_ns;
            unsaid.skipped.reason = missing::late_reason(file.time_ns, unsaid.skipped.until_ns);
        }
    }

    /// Process `pid` has mapped a file with probes that was not known, before `now_ns`.
    pub(super) fn seen(&mut self, pid: u32, now_ns: u64) {
        remember(&mut self.seen, pid, now_ns);
    }

    /// Whether process `pid` had mapped such a file when it was told that it began at `time_ns`; that is forgotten.
    pub(super) fn was_seen(&mut self, pid: u32, time_ns: u64) -> bool {
        self.seen.remove(&pid).is_some_and(|seen| time_ns <= seen)
    }

    /// The responder has let processes go on, until now: those of which that is known, and so many others.
    pub(super) fn note_released(&mut self, of_unknown: u64, now_ns: u64) {
        let before = self.waiting.len();
        self.waiting.retain(|it| it.mapped_ns.is_some());
        let count = of_unknown + (before - self.waiting.len()) as u64;
        if count > 0 {
            self.released.add(count, now_ns);
        }
        self.released_ns = now_ns;
    }

    /// When something is to be named.
    pub(super) fn next(&self) -> impl Iterator<Item = Instant> {
        self.waiting.first().map(|first| first.until).into_iter().chain(self.released.due)
    }

    /// What is to be named by then; `is_wanted` tells of processes that were not known to be recorded. Where it is not known yet, as that
    /// they were forked is told late, it is named at the end.
    pub(super) fn take_due(&mut self, now: Instant, is_wanted: &dyn Fn(u32) -> Option<bool>) -> Vec<Skipped> {
        let due = self.waiting.partition_point(|it| it.until <= now);
        let (mut named, mut unknown) = (Vec::new(), Vec::new());
        for unsaid in self.waiting.drain(..due) {
            match unsaid.is_wanted(is_wanted) {
                Some(true) => named.push(unsaid.skipped),
                Some(false) => {}
                None => unknown.push(unsaid),
            }
        }
        if self.released.due.is_some_and(|due| due <= now) {
            named.extend(self.released.take());
        }
        let room = MAX_SEEN.saturating_sub(self.unknown.len());
        self.unknown.extend(unknown.into_iter().take(room));
        named
    }

    /// All that is left, at the end.
    pub(super) fn take_all(&mut self, is_wanted: &dyn Fn(u32) -> Option<bool>) -> Vec<Skipped> {
        let mut left = std::mem::take(&mut self.unknown);
        left.append(&mut self.waiting);
        left.retain(|it| it.is_wanted(is_wanted) == Some(true));
        left.into_iter().map(|it| it.skipped).chain(self.released.take()).collect()
    }
}

/// Whether a file was mapped when the program had just begun.
fn is_of_begin(begun_ns: u64, mapped_ns: u64) -> bool {
    mapped_ns.checked_sub(begun_ns).is_some_and(|after| Duration::from_nanos(after) < PATIENCE)
}

fn remember(times: &mut HashMap<u32, u64>, pid: u32, time_ns: u64) {
    if times.len() >= MAX_SEEN {
        times.clear();
    }
    times.insert(pid, time_ns);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(pid: u32) -> Skipped {
        Skipped { pid, ..Skipped::default() }
    }

    #[test]
    fn programs_are_named_unless_the_responder_let_them_go() {
        let mut unheld = UnheldPrograms::default();
        unheld.add(1, 5, Some(program(1)));
        assert!(unheld.take_due(Instant::now(), &|_| Some(false)).is_empty());
        let next = unheld.next().next().expect("it waits");
        assert_eq!(unheld.take_due(next, &|_| Some(false)), [program(1)]);
        unheld.add(2, 6, Some(program(2)));
        unheld.note_released(0, 10);
        unheld.add(3, 9, Some(program(3)));
        unheld.add(4, 11, Some(program(4)));
        // One of which nothing is missing.
        unheld.add(5, 9, None);
        assert_eq!(unheld.take_all(&|_| Some(false)), [program(4), missing::released(2, (0, 10))]);
        unheld.note_released(0, 20);
        assert!(unheld.take_all(&|_| Some(false)).is_empty() && unheld.next().next().is_none());
        unheld.note_released(7, 30);
        assert_eq!(unheld.take_all(&|_| None), [missing::released(7, (10, 30))]);
    }

    #[test]
    fn files_are_named_unless_they_are_of_a_program_that_was_not_held() {
        let second = 1_000_000_000;
        let mut unheld = UnheldPrograms::default();
        // Told before its program, and after it.
        unheld.add_late((6, true), program(1));
        unheld.add(1, 5, Some(program(1)));
        unheld.add_late((7, true), program(1));
        assert_eq!(unheld.take_all(&|_| Some(false)).len(), 1);
        // By a program that was held, by the one before it, and long after the begin.
        for (pid, mapped_ns) in [(2, 6), (1, 4), (1, 3 * second)] {
            unheld.add_late((mapped_ns, true), program(pid));
            unheld.note_released(0, 4 * second);
            assert_eq!(unheld.take_all(&|_| Some(false)), [program(pid)], "{mapped_ns}");
        }
        // One that is in a count.
        unheld.add_late((4 * second, true), program(3));
        unheld.add(3, 4 * second, None);
        assert!(unheld.take_all(&|_| Some(false)).is_empty());
        // Whether these are recorded is told later.
        unheld.add_late((6, false), program(4));
        unheld.add_late((6, false), program(5));
        let next = unheld.next().next().expect("they wait");
        assert!(unheld.take_due(next + PATIENCE, &|_| None).is_empty());
        assert_eq!(unheld.take_all(&|pid| Some(pid == 4)), [program(4)]);
        unheld.add_late((6, false), program(5));
        assert!(unheld.take_all(&|_| None).is_empty(), "nothing tells that it is recorded");
    }

    #[test]
    fn programs_that_were_let_go_are_gathered_and_none_is_left_out() {
        let mut unheld = UnheldPrograms::default();
        [(3, 10), (1, 20), (1, 30)].into_iter().for_each(|(count, at)| unheld.released.add(count, at));
        assert!(unheld.take_due(Instant::now(), &|_| None).is_empty());
        let due = unheld.next().next().expect("they wait");
        assert_eq!(unheld.take_due(due, &|_| None), [missing::released(5, (0, 30))]);
        // As many as before are others.
        unheld.released.add(5, 40);
        assert!(unheld.next().next().expect("they wait") > due + PATIENCE, "less often");
        assert_eq!(unheld.take_all(&|_| None), [missing::released(5, (30, 40))]);
        assert!(unheld.take_all(&|_| None).is_empty());
    }

    #[test]
    fn a_file_that_was_found_by_chance_gets_its_time_when_that_is_told() {
        let mut unheld = UnheldPrograms::default();
        let found = Skipped { path: "/lib/a.so".into(), until_ns: 3_500_000, ..program(1) };
        unheld.add_late((3_500_000, true), found);
        let file = |pid, path: &str| MappedFile {
            pid,
            range: (0, 1),
            time_ns: 1_000_000,
            path: path.into(),
            inode: 5,
        };
        [file(2, "/lib/a.so"), file(1, "/lib/b.so")].iter().for_each(|other| unheld.mapped(other));
        unheld.mapped(&file(1, "/lib/a.so"));
        let said = unheld.take_all(&|_| Some(false));
        assert_eq!(said[0].from_ns, 1_000_000);
        assert!(said[0].reason.starts_with("attached to 2.5 ms after"), "{}", said[0].reason);
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
