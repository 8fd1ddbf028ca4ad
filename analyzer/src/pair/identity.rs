//! Which threads, processes and parents are the same: a pid alone does not tell, it is used again.
//!
//! A process is known by host, pid and start time, so it stays the same when it runs another program. A parent is the
//! process that had the parent's pid when the child started.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tracer_format::{Definitions, HostId, Process, ThreadId};

use crate::stage::Scope;

/// Numbers for the threads of a trace and for what they belong to; they stay as they are while definitions are added.
#[derive(Debug, Default)]
pub(super) struct Identities {
    /// Of each thread.
    threads: Vec<Ids>,
    /// Where the life of each thread's process stands.
    life_of: Vec<u32>,
    /// Of each process.
    processes: Vec<ProcessIds>,
    known_threads: HashMap<(i64, u32), i64>,
    /// By host, pid and start: the lives of a pid stand side by side.
    known_processes: BTreeMap<(HostId, u32, u64), i64>,
    known_parents: HashMap<(HostId, u32, u64), i64>,
    known_programs: HashMap<Arc<str>, u32>,
    /// The number that is shown for each: tid, pid, pid of the parent.
    tids: Vec<i64>,
    pids: Vec<i64>,
    parent_pids: Vec<i64>,
    /// Times of each process's first and last event, by its number; `u64::MAX` and 0 before there is one.
    lives: Vec<(u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Ids {
    thread: i64,
    process: i64,
    parent: i64,
    program: u32,
}

#[derive(Debug, Clone, Copy)]
struct ProcessIds {
    process: i64,
    parent: i64,
    program: u32,
}

impl Identities {
    /// Takes the threads and processes that were added to `definitions`.
    pub(super) fn define(&mut self, definitions: &Definitions) {
        for process in definitions.processes.iter().skip(self.processes.len()) {
            let ids = self.process(process);
            self.processes.push(ids);
        }
        for thread in definitions.threads.iter().skip(self.threads.len()) {
            let known = self.processes.get(thread.process.index()).copied();
            let of =
                known.unwrap_or_else(|| self.process(&Process { host: HostId::NONE, ..Process::default() }));
            let next = number(self.tids.len());
            let id = *self.known_threads.entry((of.process, thread.tid)).or_insert(next);
            if id == next {
                self.tids.push(thread.tid.into());
            }
            self.life_of.push(u32::try_from(of.process).unwrap_or(u32::MAX));
            self.threads.push(Ids {
                thread: id,
                process: of.process,
                parent: of.parent,
                program: of.program,
            });
        }
    }

    fn process(&mut self, process: &Process) -> ProcessIds {
        let next = number(self.pids.len());
        let id = *self.known_processes.entry((process.host, process.pid, process.start_ns)).or_insert(next);
        if id == next {
            self.pids.push(process.pid.into());
            self.lives.push((u64::MAX, 0));
        }
        let parent = |start_ns| (process.host, process.parent_pid, start_ns);
        let before = self.known_processes.range(parent(0)..=parent(process.start_ns)).next_back();
        let parent_start_ns = before.map_or(0, |(&(_, _, start_ns), _)| start_ns);
        let next = number(self.parent_pids.len());
        let parent = *self.known_parents.entry(parent(parent_start_ns)).or_insert(next);
        if parent == next {
            self.parent_pids.push(process.parent_pid.into());
        }
        let next = u32::try_from(self.known_programs.len()).unwrap_or(u32::MAX);
        let program = *self.known_programs.entry(process.program.clone()).or_insert(next);
        ProcessIds { process: id, parent, program }
    }

    /// The number that stands for what `thread` belongs to in `scope`.
    pub(super) fn of(&self, thread: ThreadId, scope: Scope) -> Option<i64> {
        let ids = self.threads.get(thread.index())?;
        Some(match scope {
            Scope::Tid => ids.thread,
            Scope::Pid => ids.process,
            Scope::Ppid => ids.parent,
            Scope::Trace => 0,
        })
    }

    /// The number that is shown for `id`: the tid, pid or parent's pid.
    pub(super) fn shown(&self, id: i64, scope: Scope) -> i64 {
        let numbers = match scope {
            Scope::Tid => &self.tids,
            Scope::Pid => &self.pids,
            Scope::Ppid | Scope::Trace => &self.parent_pids,
        };
        numbers.get(position(id)).copied().unwrap_or(id)
    }

    /// Notes that `thread` fired at `time_ns`.
    #[inline]
    pub(super) fn fired(&mut self, thread: ThreadId, time_ns: u64) {
        let life = self.life_of.get(thread.index());
        if let Some(life) = life.and_then(|&life| self.lives.get_mut(life as usize)) {
            life.0 = life.0.min(time_ns);
            life.1 = time_ns;
        }
    }

    /// Whether `old` and `new` are threads of two lives of one program: the process of `old` fired nothing since that of
    /// `new` fired first.
    pub(super) fn is_next_life(&self, old: ThreadId, new: ThreadId) -> bool {
        let (Some(old), Some(new)) = (self.threads.get(old.index()), self.threads.get(new.index())) else {
            return false;
        };
        if old.process == new.process || old.program != new.program {
            return false;
        }
        let life = |process: i64| self.lives[position(process)];
        life(old.process).1 < life(new.process).0
    }
}

fn number(index: usize) -> i64 {
    i64::try_from(index).expect("there is memory for less than 2^63")
}

fn position(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use tracer_format::{ProcessId, Thread};

    use super::*;

    fn process(pid: u32, start_ns: u64, parent_pid: u32) -> Arc<Process> {
        Process { pid, start_ns, parent_pid, program: "p".into(), ..Process::default() }.into()
    }

    #[test]
    fn lives_of_one_pid_are_told_apart_and_an_exec_is_none() {
        let processes = vec![
            process(7, 10, 1),
            process(7, 20, 1),
            process(7, 20, 1),
            process(8, 30, 7),
            process(9, 15, 7),
        ];
        let threads = (0..5)
            .map(|process| Thread { process: ProcessId(process), tid: if process < 3 { 7 } else { 70 } });
        let definitions = Definitions { processes, threads: threads.collect(), ..Definitions::default() };
        let mut identities = Identities::default();
        identities.define(&definitions);
        let of =
            |scope| (0..5).map(|thread| identities.of(ThreadId(thread), scope).unwrap()).collect::<Vec<_>>();
        assert_eq!(of(Scope::Pid), [0, 1, 1, 2, 3]);
        assert_eq!(of(Scope::Tid), [0, 1, 1, 2, 3]);
        // The parents of the last two are the two lives of 7.
        assert_eq!(of(Scope::Ppid), [0, 0, 0, 1, 2]);
        assert_eq!([0, 1, 2].map(|id| identities.shown(id, Scope::Ppid)), [1, 7, 7]);
        assert_eq!([0, 3].map(|id| identities.shown(id, Scope::Tid)), [7, 70]);
        assert_eq!(identities.of(ThreadId(5), Scope::Tid), None);
    }

    #[test]
    fn a_life_is_over_when_nothing_fires_after_the_next_began() {
        let definitions = Definitions {
            processes: vec![process(1, 0, 0), process(2, 0, 0)],
            threads: [0, 0, 1]
                .map(|process| Thread { process: ProcessId(process), tid: 5 + process })
                .to_vec(),
            ..Definitions::default()
        };
        let mut identities = Identities::default();
        identities.define(&definitions);
        for (thread, time_ns) in [(0, 10), (1, 20), (2, 30)] {
            identities.fired(ThreadId(thread), time_ns);
        }
        assert!(
            identities.is_next_life(ThreadId(0), ThreadId(2))
                && !identities.is_next_life(ThreadId(2), ThreadId(0))
                && !identities.is_next_life(ThreadId(0), ThreadId(1))
        );
        identities.fired(ThreadId(1), 40);
        assert!(!identities.is_next_life(ThreadId(0), ThreadId(2)));
    }
}
