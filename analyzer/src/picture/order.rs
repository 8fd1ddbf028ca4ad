//! The order of processes from the top: as buffers pass them.

use std::collections::{HashMap, HashSet};
use std::io;

use tracer_format::{Definitions, ThreadId};

use crate::pair::{Edge, Found, Side, Sink, Span, SpanRow};

/// Which threads begin and end spans of which stages.
#[derive(Debug)]
pub(super) struct EdgeThreads {
    /// By thread, and by the lowest bits of the stage, those stages whose begin and whose end was seen last: mostly they come again.
    last: Vec<[[Option<u32>; 2]; LAST]>,
    seen: HashSet<(Edge, ThreadId)>,
}

/// Stages of a thread that are looked at before all that were seen.
const LAST: usize = 4;

impl EdgeThreads {
    /// Nothing yet of so many threads.
    pub(super) fn new(threads: usize) -> Self {
        Self { last: vec![[[None; 2]; LAST]; threads], seen: HashSet::new() }
    }

    fn look_at(&mut self, span: &SpanRow) {
        let stage = span.stage;
        for (side, point) in [(Side::Begin, span.begin()), (Side::End, span.end())] {
            let Some(point) = point else { continue };
            let Some(last) = self.last.get_mut(point.thread.index()) else { continue };
            let last = &mut last[stage as usize % LAST][usize::from(side == Side::End)];
            if *last != Some(stage) {
                *last = Some(stage);
                self.seen.insert((Edge { stage, side }, point.thread));
            }
        }
    }

    /// The place of each process, from 0 on: that of its first probe along `path`; then those without, by the order of the sites.
    pub(super) fn ranks(&self, definitions: &Definitions, path: &[Edge]) -> Vec<usize> {
        let count = definitions.processes.len();
        let mut along = vec![usize::MAX; count];
        for &(edge, thread) in &self.seen {
            let place = path.iter().position(|&on_path| on_path == edge);
            let process = definitions.thread(thread).map(|thread| thread.process.index());
            if let (Some(place), Some(known)) = (place, process.and_then(|process| along.get_mut(process))) {
                *known = place.min(*known);
            }
        }
        let mut sites: HashMap<&str, usize> = HashMap::new();
        for (number, site) in definitions.sites.iter().enumerate() {
            sites.entry(&site.program).or_insert(number);
        }
        let site = |process: usize| {
            sites.get(&definitions.processes[process].program[..]).copied().unwrap_or(usize::MAX)
        };
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_cached_key(|&process| (along[process], site(process), process));
        let mut ranks = vec![0; count];
        order.iter().enumerate().for_each(|(rank, &process)| ranks[process] = rank);
        ranks
    }
}

impl Sink for EdgeThreads {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.look_at(&SpanRow::new(span));
        Ok(())
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        found.spans().for_each(|(span, _)| self.look_at(span));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::{Process, ProcessId, Site, Thread};

    use super::*;
    use crate::pair::{Class, Point};
    use crate::stage::KeyValue;

    #[test]
    fn processes_stand_as_buffers_pass_them() {
        let process = |program: &str| Process { program: program.into(), ..Process::default() }.into();
        let site = |program: &str| Site { program: program.into(), ..Site::default() }.into();
        let definitions = Definitions {
            processes: ["idle", "sink", "worker", "source", "worker", "other"].map(process).to_vec(),
            threads: (0..6).map(|number| Thread { process: ProcessId(number), tid: 10 + number }).collect(),
            sites: ["other", "worker", "sink", "source"].map(site).to_vec(),
            ..Definitions::default()
        };
        let mut threads = EdgeThreads::new(definitions.threads.len());
        let mut span = |stage, begin, end| {
            let point = |thread| Some(Point { time_ns: 1, thread: ThreadId(thread) });
            let (begin, end) = (point(begin), point(end));
            let (key, class) = (KeyValue::new(&[1]), Class::Complete);
            let rest =
                Span { stage, class, reordered: false, key, begin, end, ended_by: 0, near_loss: false };
            threads.span(&rest).unwrap();
        };
        // A stage from source to sink, and one in the workers.
        [(0, 3, 1), (1, 4, 4), (1, 2, 2), (1, 4, 4)].into_iter().for_each(|(stage, a, b)| span(stage, a, b));
        let edge = |stage, side| Edge { stage, side };
        let path = [edge(0, Side::Begin), edge(1, Side::Begin), edge(1, Side::End), edge(0, Side::End)];
        assert_eq!(threads.ranks(&definitions, &path), [5, 3, 1, 0, 2, 4]);
        // Without a path, by the sites.
        assert_eq!(threads.ranks(&definitions, &[]), [5, 3, 1, 4, 2, 0]);
    }
}
