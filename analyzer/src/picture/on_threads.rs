//! Spans on threads, by stage: whether a further one nests with all of them.
//!
//! Spans come in the order of their ends. Of a stage all of whose spans ended before a new one begins, there is nothing to look at,
//! so the stages of a thread are kept with those first that ended last.

use tracer_format::ThreadId;

use crate::stage::key_index::KeyIndex;

/// Spans of a stage remembered on a thread; one that begins before those that were forgotten counts as overlapping.
const REMEMBERED: usize = 1 << 16;

/// The spans on all threads.
#[derive(Debug)]
pub(super) struct OnThreads {
    /// Position plus one of the stage that ended last on each thread; 0 if there is none.
    last: Vec<u32>,
    stages: Vec<StageOnThread>,
    index: KeyIndex,
}

/// The spans of a stage on a thread.
#[derive(Debug)]
struct StageOnThread {
    thread: ThreadId,
    stage: u32,
    spans: Spans,
    /// Positions plus one of the stages of the thread that ended after it, and before it.
    later: u32,
    earlier: u32,
}

/// Spans that are inside of no other so far: begins and ends ascend.
#[derive(Debug, Default)]
struct Spans {
    spans: Vec<(u64, u64)>,
    /// End of the last span that was forgotten.
    forgotten_ns: u64,
}

impl Spans {
    /// Whether a span that begins at `begin_ns` and ends after all these overlaps none of them without being around it.
    fn allow(&self, begin_ns: u64) -> bool {
        let before = self.spans.partition_point(|span| span.0 <= begin_ns).checked_sub(1);
        let (last_ns, end_ns) = before.map_or((0, self.forgotten_ns), |last| self.spans[last]);
        // Of two that begin together, viewers may take the shorter for the outer one.
        end_ns <= begin_ns && (last_ns < begin_ns || before.is_none())
    }

    fn push(&mut self, begin_ns: u64, end_ns: u64) {
        while self.spans.last().is_some_and(|span| span.0 > begin_ns) {
            self.spans.pop();
        }
        if self.spans.len() == REMEMBERED {
            self.forgotten_ns = self.spans[REMEMBERED / 2 - 1].1;
            self.spans.drain(..REMEMBERED / 2);
        }
        self.spans.push((begin_ns, end_ns));
    }

    fn last_end_ns(&self) -> u64 {
        self.spans.last().map_or(self.forgotten_ns, |span| span.1)
    }
}

impl OnThreads {
    /// No spans yet on so many threads.
    pub(super) fn new(threads: usize) -> Self {
        Self { last: vec![0; threads], stages: Vec::new(), index: KeyIndex::default() }
    }

    /// Whether the span nests with those of its thread; remembers it if it does.
    pub(super) fn fits(&mut self, stage: u32, thread: ThreadId, begin_ns: u64, end_ns: u64) -> bool {
        let Some(&(mut next)) = self.last.get(thread.index()) else { return false };
        while let Some(at) = (next as usize).checked_sub(1)
            && self.stages[at].spans.last_end_ns() > begin_ns
        {
            if !self.stages[at].spans.allow(begin_ns) {
                return false;
            }
            next = self.stages[at].earlier;
        }
        let at = self.place(stage, thread);
        self.stages[at].spans.push(begin_ns, end_ns);
        self.move_up(at);
        true
    }

    /// The position of a stage on a thread, made if there is none.
    fn place(&mut self, stage: u32, thread: ThreadId) -> usize {
        let hasher = self.index.hasher();
        let key = |thread: ThreadId, stage: u32| hasher.hash(&[thread.0.into(), stage.into()]);
        let stages = &self.stages;
        let is = |at: usize| stages[at].stage == stage && stages[at].thread == thread;
        if let Some(at) = self.index.find(key(thread, stage), is) {
            return at;
        }
        let at = self.stages.len();
        self.stages.push(StageOnThread { thread, stage, spans: Spans::default(), later: 0, earlier: 0 });
        let stages = &self.stages;
        self.index.enter(at, |at| key(stages[at].thread, stages[at].stage));
        at
    }

    /// What stands at `at` ended last on its thread.
    fn move_up(&mut self, at: usize) {
        let thread = self.stages[at].thread.index();
        let own = u32::try_from(at + 1).expect("there are less than 2^32 places");
        if self.last[thread] != own {
            self.take_out(at);
            let before = std::mem::replace(&mut self.last[thread], own);
            self.stages[at].earlier = before;
            if let Some(before) = (before as usize).checked_sub(1) {
                self.stages[before].later = own;
            }
        }
    }

    /// Takes what stands at `at` out of the order of its thread.
    fn take_out(&mut self, at: usize) {
        let StageOnThread { thread, later, earlier, .. } = self.stages[at];
        match (later as usize).checked_sub(1) {
            Some(later) => self.stages[later].earlier = earlier,
            None if self.last[thread.index()] as usize == at + 1 => self.last[thread.index()] = earlier,
            // It is new.
            None => {}
        }
        if let Some(earlier) = (earlier as usize).checked_sub(1) {
            self.stages[earlier].later = later;
        }
        (self.stages[at].later, self.stages[at].earlier) = (0, 0);
    }

    /// Forgets the spans of a stage: they are not on threads.
    pub(super) fn forget(&mut self, stage: u32) {
        for at in 0..self.stages.len() {
            if self.stages[at].stage == stage {
                self.take_out(at);
                self.stages[at].spans = Spans::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Looking at all stages of the thread gives the same.
        #[test]
        fn stages_that_ended_before_need_no_look(
            spans in prop::collection::vec((0..6_u32, 0..2_u32, 0..9_u64, 1..12_u64, 0..40_u32), 1..120),
        ) {
            let mut on_threads = OnThreads::new(2);
            let mut all: Vec<Vec<(u32, Spans)>> = vec![Vec::new(), Vec::new()];
            let mut end_ns = 20;
            for (stage, thread, step_ns, len_ns, forgotten) in spans {
                end_ns += step_ns;
                let begin_ns = end_ns - len_ns;
                let known = &mut all[thread as usize];
                let expected = known.iter().all(|(_, spans)| spans.allow(begin_ns));
                if expected {
                    let own = known.iter().position(|(other, _)| *other == stage).unwrap_or_else(|| {
                        known.push((stage, Spans::default()));
                        known.len() - 1
                    });
                    known[own].1.push(begin_ns, end_ns);
                }
                prop_assert_eq!(on_threads.fits(stage, ThreadId(thread), begin_ns, end_ns), expected);
                if forgotten < 6 {
                    on_threads.forget(forgotten);
                    all.iter_mut().for_each(|known| known.retain(|(stage, _)| *stage != forgotten));
                }
            }
        }
    }
}
