//! Processes and threads as the viewers know them: numbers that are unique, names, an order.
//!
//! Viewers know a process by its number alone. Pids that were reused, or come from two hosts, get numbers above those
//! that Linux gives.

use std::collections::HashSet;

use tracer_format::Definitions;

/// Above every pid: Linux goes to 2^22.
const FIRST_FREE: u32 = 1 << 23;

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
    /// Rank of each process from the top: in the order of the probes, as a pipeline is written down.
    pub(crate) ranks: Vec<usize>,
    /// Number of the process that shows what is missing.
    pub(crate) loss_pid: u32,
}

impl Tracks {
    pub(crate) fn new(definitions: &Definitions) -> Self {
        let mut next = FIRST_FREE;
        let mut taken = HashSet::new();
        let mut number = |wanted: u32| {
            if taken.insert(wanted) {
                return wanted;
            }
            next += 1;
            next
        };
        let pids: Vec<u32> = definitions.processes.iter().map(|process| number(process.pid)).collect();
        let mut taken_tids = HashSet::new();
        let thread = |thread: &tracer_format::Thread| {
            let pid = pids.get(thread.process.index()).copied().unwrap_or(FIRST_FREE);
            let own = definitions.process(thread.process).map_or(0, |process| process.pid);
            // The main thread goes by its process's number.
            let tid = if thread.tid == own { pid } else { thread.tid };
            if taken_tids.insert(tid) {
                return (pid, tid);
            }
            next += 1;
            taken_tids.insert(next);
            (pid, next)
        };
        let threads: Vec<(u32, u32)> = definitions.threads.iter().map(thread).collect();
        let first_probes = next + 1;
        let probes = (first_probes..).take(threads.len()).collect();
        let first_site = |program: &str| definitions.sites.iter().position(|site| site.program == program);
        let mut order: Vec<usize> = (0..pids.len()).collect();
        order.sort_by_key(|&process| {
            let site = first_site(&definitions.processes[process].program);
            (site.unwrap_or(usize::MAX), process)
        });
        let mut ranks = vec![0; pids.len()];
        order.iter().enumerate().for_each(|(rank, &process)| ranks[process] = rank + 1);
        Self { pids, threads, probes, ranks, loss_pid: FIRST_FREE }
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::{Process, ProcessId, Site, Thread};

    use super::*;

    #[test]
    fn reused_pids_get_numbers_of_their_own() {
        let process = |pid, program: &str| Process { pid, program: program.into(), ..Process::default() };
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
            sites: ["source", "sink"].map(|it| Site { program: it.into(), ..Site::default() }).to_vec(),
            ..Definitions::default()
        };
        let tracks = Tracks::new(&definitions);
        let free = FIRST_FREE;
        assert_eq!(tracks.pids, [7, 8, free + 1]);
        assert_eq!(tracks.threads, [(7, 7), (7, 70), (free + 1, free + 1), (free + 1, free + 2), (8, 8)]);
        assert_eq!(tracks.probes, [3, 4, 5, 6, 7].map(|number| free + number));
        assert_eq!(tracks.ranks, [2, 1, 3]);
        assert_eq!(tracks.loss_pid, free);
    }
}
