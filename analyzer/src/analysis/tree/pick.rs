//! Spans of one place in the tree that stand for its percentiles, and how its spans took longer over time; in bounded memory.

use super::thinning::Thinning;
use crate::analysis::Latency;
use crate::pair::Point;

/// Spans that are kept, spread evenly over all; and of the slowest.
const KEPT: usize = 64;
const SLOWEST: usize = 16;
/// Slices of the time.
pub(super) const SLICES: usize = 11;

/// A span that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picked {
    pub(super) begin: Point,
    pub(super) latency_ns: i64,
}

/// Some spans of one place.
#[derive(Debug, Clone, Default)]
pub(super) struct Picks {
    thinning: Thinning,
    kept: Vec<Picked>,
    slowest: Vec<Picked>,
    /// A span that took no longer is none of the slowest.
    floor_ns: i64,
    /// Sum and count of the latencies in each slice of the time.
    slices: [(f64, u64); SLICES],
}

/// Position of a time among the slices of all.
fn slice_of(time_ns: u64, (from_ns, to_ns): (u64, u64)) -> usize {
    let share = time_ns.saturating_sub(from_ns) as f64 / (to_ns.saturating_sub(from_ns) as f64 + 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limited below")]
    let at = (share * SLICES as f64) as usize;
    at.min(SLICES - 1)
}

impl Picks {
    pub(super) fn add(&mut self, span: Picked, time_ns: (u64, u64)) {
        let (sum_ns, count) = &mut self.slices[slice_of(span.begin.time_ns, time_ns)];
        (*sum_ns, *count) = (*sum_ns + span.latency_ns as f64, *count + 1);
        self.keep(span);
        self.keep_slow(span);
    }

    fn keep(&mut self, span: Picked) {
        if self.thinning.wants(span.begin.time_ns) {
            self.kept.push(span);
            self.thinning.thin(&mut self.kept, KEPT, |span| span.begin.time_ns);
        }
    }

    fn keep_slow(&mut self, span: Picked) {
        if self.slowest.len() < SLOWEST {
            self.slowest.push(span);
        } else if span.latency_ns > self.floor_ns
            && let Some(least) = self.slowest.iter_mut().min_by_key(|least| least.latency_ns)
        {
            *least = span;
        } else {
            return;
        }
        if self.slowest.len() == SLOWEST {
            self.floor_ns = self.slowest.iter().map(|it| it.latency_ns).min().unwrap_or_default();
        }
    }

    /// Takes those of another place of the same stage.
    pub(super) fn merge(&mut self, other: &Self) {
        for (own, more) in self.slices.iter_mut().zip(&other.slices) {
            *own = (own.0 + more.0, own.1 + more.1);
        }
        self.thinning = self.thinning.max(other.thinning);
        self.kept.retain(|span| self.thinning.wants(span.begin.time_ns));
        other.kept.iter().for_each(|&span| self.keep(span));
        other.slowest.iter().for_each(|&span| self.keep_slow(span));
    }

    /// The spans that are nearest to the 50th, 90th and 99th percentile, and the slowest; `None` without any.
    pub(super) fn examples(&self, latency: &Latency) -> Option<[Picked; 4]> {
        let summary = latency.summary()?;
        let all = || self.kept.iter().chain(&self.slowest);
        let nearest = |value_ns: i64| all().min_by_key(|it| it.latency_ns.abs_diff(value_ns)).copied();
        Some([nearest(summary.p50)?, nearest(summary.p90)?, nearest(summary.p99)?, nearest(summary.max)?])
    }

    /// The mean of each slice, ns; `None` for one without spans.
    pub(super) fn means_ns(&self) -> Vec<Option<f64>> {
        self.slices.iter().map(|&(sum_ns, count)| (count > 0).then(|| sum_ns / count as f64)).collect()
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::ThreadId;

    use super::*;

    fn span(begin_ns: u64, latency_ns: i64) -> Picked {
        Picked { begin: Point { time_ns: begin_ns, thread: ThreadId(0) }, latency_ns }
    }

    #[test]
    fn percentiles_have_spans_and_slices_have_means() {
        let (mut whole, mut latency) = (Picks::default(), Latency::default());
        let mut parts = [Picks::default(), Picks::default()];
        for number in 0..1000_u64 {
            let span = span(number * 10, 100 + i64::try_from(number).unwrap());
            whole.add(span, (0, 10_999));
            parts[usize::from(number >= 500)].add(span, (0, 10_999));
            latency.add(span.latency_ns);
        }
        let [mut first, second] = parts;
        first.merge(&second);
        for picks in [whole, first] {
            let [p50, p90, p99, max] = picks.examples(&latency).unwrap().map(|it| it.latency_ns);
            assert!(p50.abs_diff(599) < 40 && p90.abs_diff(999) < 40, "{p50} {p90}");
            assert_eq!((p99, max), (1089, 1099));
            let means = picks.means_ns();
            assert_eq!((means[0], means[9], means[10]), (Some(149.5), Some(1049.5), None));
            assert!(picks.kept.len() <= KEPT && picks.slowest.len() == SLOWEST);
        }
    }
}
