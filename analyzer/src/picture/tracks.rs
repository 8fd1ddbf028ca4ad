//! Processes and threads as the viewers know them: numbers that are unique.
//!
//! Viewers know a process by its number alone. Pids that were reused, come from two hosts, or are none that viewers take, get
//! numbers above those that Linux gives, which no process or thread of the trace has.

use std::collections::HashSet;

use tracer_format::Definitions;

/// Above every pid: Linux goes to 2^22.
const FIRST_FREE: u32 = 1 << 23;

/// Numbers that nothing in a trace has, from [`FIRST_FREE`] on.
#[derive(Debug)]
struct Free {
    own: HashSet<u32>,
    next: u32,
}

impl Free {
    fn of(definitions: &Definitions) -> Self {
        let pids = definitions.processes.iter().map(|process| process.pid);
        let tids = definitions.threads.iter().map(|thread| thread.tid);
        let own = pids.chain(tids).filter(|number| *number >= FIRST_FREE).collect();
        Self { own, next: FIRST_FREE }
    }

    fn take(&mut self) -> u32 {
        loop {
            let number = self.next;
            self.next += 1;
            if !self.own.contains(&number) {
                return number;
            }
        }
    }
}

/// Whether viewers take it for a process or a thread: 0 is the idle one, and those above do not fit.
fn is_usual(number: u32) -> bool {
    (1..=i32::MAX.unsigned_abs()).contains(&number)
}

/// Numbers for the viewers.
#[derive(Debug)]
pub(crate) struct Tracks {
    /// Number of each process.
    pub(crate) pids: Vec<u32>,
    /// Numbers of each thread and of its process.
    pub(crate) threads: Vec<(u32, u32)>,
    /// Number of the track with each thread's probes: viewers bind flow arrows to what came last on a track, and that
    /// must be a stage.
    pub(crate) probes: Vec<u32>,
    /// Number of the process that shows what is missing.
    pub(crate) loss_pid: u32,
    /// Number of the process that shows what to look at first.
    pub(crate) overview_pid: u32,
    /// Number of the process that has a track for each buffer, where that is asked for.
    pub(crate) buffers_pid: u32,
    free: Free,
}

/// Places of processes from the top: what to look at first, what is missing, buffers, then those of the trace.
pub(crate) const OVERVIEW_RANK: usize = 0;
pub(crate) const LOSS_RANK: usize = 1;
pub(crate) const BUFFERS_RANK: usize = 2;
pub(crate) const FIRST_RANK: usize = 3;

impl Tracks {
    pub(crate) fn new(definitions: &Definitions) -> Self {
        let mut free = Free::of(definitions);
        let loss_pid = free.take();
        let mut taken = HashSet::new();
        let mut number =
            |wanted: u32| if is_usual(wanted) && taken.insert(wanted) { wanted } else { free.take() };
        let pids: Vec<u32> = definitions.processes.iter().map(|process| number(process.pid)).collect();
        let mut taken_tids = HashSet::new();
        let thread = |thread: &tracer_format::Thread| {
            let pid = pids.get(thread.process.index()).copied().unwrap_or(loss_pid);
            let own = definitions.process(thread.process).map_or(0, |process| process.pid);
            // The main thread goes by its process's number.
            let tid = if thread.tid == own { pid } else { thread.tid };
            (pid, if is_usual(tid) && taken_tids.insert(tid) { tid } else { free.take() })
        };
        let threads: Vec<(u32, u32)> = definitions.threads.iter().map(thread).collect();
        let probes = threads.iter().map(|_| free.take()).collect();
        let [overview_pid, buffers_pid] = [free.take(), free.take()];
        Self { pids, threads, probes, loss_pid, overview_pid, buffers_pid, free }
    }

    /// A number that nothing else has.
    pub(crate) fn take(&mut self) -> u32 {
        self.free.take()
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::{Process, ProcessId, Thread};

    use super::*;

    #[test]
    fn reused_pids_get_numbers_of_their_own() {
        let process =
            |pid, program: &str| Process { pid, program: program.into(), ..Process::default() }.into();
        let thread = |process, tid| Thread { process, tid };
        let definitions = Definitions {
            processes: vec![process(7, "sink"), process(8, "source"), process(7, "sink")],
            threads: vec![
                thread(ProcessId(0), 7),
                thread(ProcessId(0), 70),
                thread(ProcessId(2), 7),
                thread(ProcessId(2), 70),
                thread(ProcessId(1), 8),
            ],
            ..Definitions::default()
        };
        let tracks = Tracks::new(&definitions);
        let free = FIRST_FREE;
        assert_eq!(tracks.pids, [7, 8, free + 1]);
        assert_eq!(tracks.threads, [(7, 7), (7, 70), (free + 1, free + 1), (free + 1, free + 2), (8, 8)]);
        assert_eq!(tracks.probes, [3, 4, 5, 6, 7].map(|number| free + number));
        assert_eq!(tracks.loss_pid, free);
        assert_eq!([tracks.overview_pid, tracks.buffers_pid], [free + 8, free + 9]);
    }

    #[test]
    fn numbers_are_none_of_the_trace() {
        let process = |pid| Process { pid, ..Process::default() }.into();
        let thread = |process, tid| Thread { process: ProcessId(process), tid };
        let free = FIRST_FREE;
        let definitions = Definitions {
            processes: [7, 7, free, free + 2, 0, u32::MAX].map(process).to_vec(),
            threads: vec![thread(0, 7), thread(1, 7), thread(2, free), thread(3, free + 5), thread(4, 0)],
            ..Definitions::default()
        };
        let tracks = Tracks::new(&definitions);
        assert_eq!(tracks.loss_pid, free + 1);
        assert_eq!(tracks.pids, [7, free + 3, free, free + 2, free + 4, free + 6]);
        let tids: Vec<u32> = tracks.threads.iter().map(|thread| thread.1).collect();
        assert_eq!(tids, [7, free + 3, free, free + 5, free + 4]);
        assert_eq!(tracks.probes, [7, 8, 9, 10, 11].map(|number| free + number));
    }
}
