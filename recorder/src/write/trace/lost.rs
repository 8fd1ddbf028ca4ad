//! What the kernel lost of events and processes, as facts of a trace: the processes that lost events are named.

use tracer_format::{Definitions, Skipped, SkippedKind};

/// Processes that are named.
const MAX_NAMED: usize = 8;
/// Why events are lost.
const WHY: &str = "lost, because they came faster than they were taken out of the buffers of its processors";
const WHY_OTHERS: &str = "lost in the same way, of other processes";

/// What the kernel could not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Begins and ends of processes.
    pub(crate) processes: u64,
    /// Events that each process has lost, the most first; not complete if there are very many.
    pub(crate) by_process: Vec<(u32, u64)>,
}

impl Lost {
    /// The processes that have lost most of `total` events, and one fact for all others.
    pub(crate) fn named(&self, total: u64, known: &Definitions) -> Vec<Skipped> {
        let of = |count, pid, program, reason: &str| Skipped {
            kind: SkippedKind::Events,
            count,
            pid,
            program,
            reason: reason.to_owned(),
            ..Skipped::default()
        };
        let program = |pid| {
            let last = known.processes.iter().rev().find(|process| process.pid == pid);
            last.map(|process| process.program.clone()).unwrap_or_default()
        };
        let named = &self.by_process[..self.by_process.len().min(MAX_NAMED)];
        let mut facts: Vec<Skipped> =
            named.iter().map(|(pid, count)| of(*count, *pid, program(*pid).to_string(), WHY)).collect();
        let rest = total.saturating_sub(named.iter().map(|(_, count)| count).sum());
        if !facts.is_empty() && rest > 0 {
            facts.push(of(rest, 0, String::new(), WHY_OTHERS));
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::Process;

    use super::*;

    #[test]
    fn the_processes_that_lost_most_are_named_and_the_others_counted() {
        let process =
            |pid, program: &str| Process { pid, program: program.into(), ..Process::default() }.into();
        let processes = vec![process(7, "old"), process(7, "flood"), process(8, "app")];
        let known = Definitions { processes, ..Definitions::default() };
        let by_process: Vec<(u32, u64)> = (7..17).map(|pid| (pid, u64::from(100 - pid))).collect();
        let total: u64 = by_process.iter().map(|(_, count)| count).sum();
        let facts = Lost { processes: 0, by_process }.named(total + 5, &known);
        assert_eq!(facts.len(), MAX_NAMED + 1);
        let fact = |index: usize| (facts[index].count, facts[index].pid, facts[index].program.as_str());
        assert_eq!(
            [0, 1, 2, 8].map(fact),
            [(93, 7, "flood"), (92, 8, "app"), (91, 9, ""), (85 + 84 + 5, 0, "")]
        );
        assert_eq!(facts.iter().map(|fact| fact.count).sum::<u64>(), total + 5);
        assert_eq!(Lost::default().named(0, &known), []);
    }
}
