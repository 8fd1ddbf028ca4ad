//! The time of nested spans without the spans inside of them.

use crate::pair::Point;

/// Spans that may be open on a thread; of those inside of more, no time is taken from the ones around.
const MAX_OPEN: usize = 1 << 12;

/// The spans of one nested stage that are open on each thread, innermost last: when each began, and the time of what was
/// inside of it, ns.
#[derive(Debug, Default)]
pub(super) struct Openings {
    threads: Vec<Vec<(u64, u64)>>,
}

impl Openings {
    pub(super) fn begin(&mut self, at: Point) {
        let thread = at.thread.index();
        if thread >= self.threads.len() {
            self.threads.resize_with(thread + 1, Vec::new);
        }
        let open = &mut self.threads[thread];
        if open.len() < MAX_OPEN {
            open.push((at.time_ns, 0));
        }
    }

    /// The span that began at `begin` is open no more; it took `len_ns`, if it has an end. Gives its own time.
    pub(super) fn end(&mut self, begin: Point, len_ns: Option<u64>) -> u64 {
        let Some(open) = self.threads.get_mut(begin.thread.index()) else {
            return len_ns.unwrap_or_default();
        };
        let at = open.iter().rposition(|&(begin_ns, _)| begin_ns == begin.time_ns);
        let inside_ns = at.map_or(0, |at| open.remove(at).1);
        let around = at.and_then(|at| at.checked_sub(1)).and_then(|at| open.get_mut(at));
        if let Some((_, around_ns)) = around {
            *around_ns = around_ns.saturating_add(len_ns.unwrap_or(inside_ns));
        }
        len_ns.unwrap_or_default().saturating_sub(inside_ns)
    }
}
