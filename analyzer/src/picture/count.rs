//! How many spans of a stage, and how many hand-offs, are under way at once: the points of counters, in bounded memory.
//!
//! The value of each point is exact. Of few spans every change is a point; of many, the numbers at moments that are equally
//! far apart are.

use std::io;

use crate::analysis::{EdgeMap, hand_off_name};
use crate::pair::{Class, Edge, Found, HandOff, Sink, Span, SpanRow};
use crate::stage::{Scope, Stage};

/// Stages, and hand-offs, that are counted; the first ones.
const MAX_COUNTED: usize = 64;
/// Changes up to which each one is kept.
const MAX_CHANGES: usize = 4096;
/// Moments of which the number is known where there are more changes.
const MOMENTS: u64 = 1 << 14;
/// Events for which there may be a point: counters are small beside what is drawn of the events.
const EVENTS_OF_POINT: u64 = 6;
/// Points that all counters together may have, however few events there are.
const FEW_POINTS: u64 = 8192;

/// A counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) name: String,
    /// When there are so many from then on, ns.
    pub(super) points: Vec<(u64, i64)>,
}

/// Counts the complete spans of stages whose keys go from thread to thread, and all hand-offs.
#[derive(Debug)]
pub(super) struct CountWatch {
    time_ns: (u64, u64),
    events: u64,
    stages: Vec<Option<CountCurve>>,
    hand_offs: EdgeMap<Option<CountCurve>>,
    counted_hand_offs: usize,
}

impl CountWatch {
    /// Counts from the first event to the last; there are so many.
    pub(super) fn new(stages: &[Stage], time_ns: (u64, u64), events: u64) -> Self {
        let mut left = MAX_COUNTED;
        let counted = stages.iter().map(|stage| {
            let is_counted = stage.key.scope != Scope::Tid && left > 0;
            left -= usize::from(is_counted);
            is_counted.then(|| CountCurve::new(time_ns))
        });
        Self {
            time_ns,
            events,
            stages: counted.collect(),
            hand_offs: EdgeMap::default(),
            counted_hand_offs: 0,
        }
    }

    /// The counters of all that was ever under way.
    pub(super) fn counters(self, stages: &[Stage]) -> Vec<Counter> {
        let of_stages = self.stages.into_iter().zip(stages);
        let of_stages = of_stages.map(|(curve, stage)| (format!("in flight: {}", stage.name), curve));
        let of_hand_offs = self
            .hand_offs
            .into_ways()
            .map(|(from, to, curve)| (format!("queue: {}", hand_off_name(from, to, stages)), curve));
        let curves: Vec<(String, CountCurve)> = of_stages
            .chain(of_hand_offs)
            .filter_map(|(name, curve)| Some((name, curve.filter(|curve| !curve.is_empty())?)))
            .collect();
        let all = (self.events / EVENTS_OF_POINT).max(FEW_POINTS);
        let most = all / (curves.len() as u64).max(1);
        curves.into_iter().map(|(name, curve)| Counter { name, points: curve.points(most) }).collect()
    }
}

impl CountWatch {
    fn count_span(&mut self, span: &SpanRow) {
        if let (Class::Complete, Some(begin), Some(end)) = (span.class, span.begin(), span.end())
            && let Some(curve) = &mut self.stages[span.stage as usize]
        {
            curve.add(begin.time_ns, end.time_ns);
        }
    }

    fn count_hand_off(&mut self, (from, to): (Edge, Edge), (left_ns, arrived_ns): (u64, u64)) {
        let (time_ns, counted) = (self.time_ns, &mut self.counted_hand_offs);
        let make = || {
            *counted += 1;
            (*counted <= MAX_COUNTED).then(|| CountCurve::new(time_ns))
        };
        if let Some(curve) = self.hand_offs.get_or_insert(from, to, make) {
            curve.add(left_ns, arrived_ns);
        }
    }
}

impl Sink for CountWatch {
    fn span(&mut self, span: &Span) -> io::Result<()> {
        self.count_span(&SpanRow::new(span));
        Ok(())
    }

    fn hand_off(&mut self, hand_off: &HandOff) -> io::Result<()> {
        let HandOff { from, to, left, arrived, .. } = *hand_off;
        self.count_hand_off((from, to), (left.time_ns, arrived.time_ns));
        Ok(())
    }

    fn found(&mut self, found: &Found) -> io::Result<()> {
        found.spans().for_each(|(span, _)| self.count_span(span));
        found.hand_offs().for_each(|it| self.count_hand_off((it.from, it.to), it.time_ns()));
        Ok(())
    }
}

/// How many of one thing are under way over time.
#[derive(Debug)]
struct CountCurve {
    from_ns: u64,
    /// From one moment to the next.
    step_ns: u64,
    /// When how many more there are, in any order; empty once there are moments.
    changes: Vec<(u64, i64)>,
    /// How many more there are at each moment than at the one before; empty while changes are kept.
    moments: Vec<i64>,
    /// The moments of the last begin and of the last end: those of the next are mostly the same.
    last: [Moment; 2],
}

/// A moment, and the times that belong to it: those after the moment before.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    index: usize,
    after_ns: u64,
    len_ns: u64,
}

impl CountCurve {
    fn new((from_ns, to_ns): (u64, u64)) -> Self {
        let step_ns = to_ns.saturating_sub(from_ns) / MOMENTS + 1;
        let last = [Moment::default(); 2];
        Self { from_ns, step_ns, changes: Vec::new(), moments: Vec::new(), last }
    }

    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.moments.is_empty()
    }

    /// Something is under way from `begin_ns` on until `end_ns`; nothing is where that is not later.
    fn add(&mut self, begin_ns: u64, end_ns: u64) {
        if begin_ns >= end_ns {
            return;
        }
        if self.moments.is_empty() && self.changes.len() >= MAX_CHANGES {
            self.keep_moments();
        }
        for (side, time_ns, more) in [(0, begin_ns, 1), (1, end_ns, -1)] {
            if self.moments.is_empty() {
                self.changes.push((time_ns, more));
                continue;
            }
            if time_ns.wrapping_sub(self.last[side].after_ns).wrapping_sub(1) >= self.last[side].len_ns {
                self.last[side] = self.moment_around(time_ns);
            }
            self.moments[self.last[side].index] += more;
        }
    }

    fn moment_around(&self, time_ns: u64) -> Moment {
        let index = self.moment_from(time_ns);
        let before_ns =
            (index as u64).checked_sub(1).map(|before| self.from_ns.wrapping_add(before * self.step_ns));
        // All that is before the first moment, or after the last but one, belongs to it: that is looked for each time.
        let within = before_ns.filter(|_| index as u64 <= MOMENTS);
        within.map_or(Moment { index, ..Moment::default() }, |after_ns| Moment {
            index,
            after_ns,
            len_ns: self.step_ns,
        })
    }

    /// The first moment that is not before `time_ns`.
    fn moment_from(&self, time_ns: u64) -> usize {
        let moment = time_ns.saturating_sub(self.from_ns).div_ceil(self.step_ns);
        usize::try_from(moment.min(MOMENTS + 1)).unwrap_or_default()
    }

    fn keep_moments(&mut self) {
        let mut moments = vec![0; usize::try_from(MOMENTS).unwrap_or_default() + 2];
        for (time_ns, more) in std::mem::take(&mut self.changes) {
            moments[self.moment_from(time_ns)] += more;
        }
        self.moments = moments;
    }

    /// The numbers at about `most` moments at most, where they are not as before.
    fn points(mut self, most: u64) -> Vec<(u64, i64)> {
        if self.moments.is_empty() && self.changes.len() as u64 > most {
            self.keep_moments();
        }
        let mut numbers = Vec::new();
        let mut number = 0;
        if self.moments.is_empty() {
            self.changes.sort_unstable();
            for (time_ns, more) in self.changes {
                number += more;
                numbers.push((time_ns, number));
            }
            // Of those of one time, the last.
            numbers.reverse();
            numbers.dedup_by_key(|point| point.0);
            numbers.reverse();
        } else {
            let every = (self.moments.len() as u64).div_ceil(most.max(1));
            for (moment, more) in (0..).zip(self.moments) {
                number += more;
                if moment % every == 0 {
                    numbers.push((self.from_ns + moment * self.step_ns, number));
                }
            }
        }
        let mut before = None;
        numbers.retain(|&(_, number)| before.replace(number) != Some(number));
        if numbers.first().is_some_and(|first| first.0 > self.from_ns) {
            numbers.insert(0, (self.from_ns, 0));
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(spans: &[(u64, u64)], most: u64) -> Vec<(u64, i64)> {
        let to_ns = spans.iter().map(|span| span.1).max().unwrap_or(0);
        let mut curve = CountCurve::new((0, to_ns));
        spans.iter().for_each(|&(begin_ns, end_ns)| curve.add(begin_ns, end_ns));
        curve.points(most)
    }

    #[test]
    fn few_spans_have_a_point_for_each_change() {
        let spans = [(3, 5), (2, 5), (5, 9), (7, 7), (8, 6)];
        assert_eq!(points(&spans, 100), [(0, 0), (2, 1), (3, 2), (5, 1), (9, 0)]);
        assert_eq!(points(&[(0, 4), (4, 6)], 100), [(0, 1), (6, 0)]);
        assert_eq!(points(&[], 100), []);
    }

    proptest! {
        /// Whatever is left out, a point tells how many spans have begun and not ended then.
        #[test]
        fn a_point_is_the_number_under_way(
            spans in prop::collection::vec((0..1_000_000_u64, 0..50_000_u64), 1..6000),
            most in 1..3000_u64,
        ) {
            let spans: Vec<(u64, u64)> = spans.iter().map(|&(begin, len)| (begin, begin + len)).collect();
            let points = points(&spans, most);
            prop_assert!(points.len() as u64 <= most + 1, "{} points, {most} wanted", points.len());
            for &(time_ns, number) in &points {
                let expected = spans.iter().filter(|span| span.0 <= time_ns && time_ns < span.1).count();
                prop_assert_eq!(number, i64::try_from(expected).unwrap());
            }
        }
    }
}
