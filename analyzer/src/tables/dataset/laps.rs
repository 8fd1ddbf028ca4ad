//! Laps: a key that passes its stages again, as a reused number does, is in its next lap.

use std::collections::HashMap;

use super::place::LapGroup;
use crate::pair::{Class, Span};
use crate::stage::KeyValue;

/// Keys whose laps are counted; beyond that, those of new keys are not known.
const MAX_KEYS: usize = 1 << 20;

/// The laps of the keys of a trace.
#[derive(Debug)]
pub(super) struct Laps {
    /// Where each stage belongs; `None` if its key has no laps.
    groups: Vec<Option<LapGroup>>,
    keys: HashMap<(u32, KeyValue), Lap>,
}

/// The lap that a key is in.
#[derive(Debug)]
struct Lap {
    number: i32,
    /// A bit for each stage of the group that is complete in it.
    complete: u64,
    /// Begin of the earliest of these, ns.
    since_ns: u64,
}

impl Laps {
    /// Nothing has passed yet.
    pub(super) fn new(groups: Vec<Option<LapGroup>>) -> Self {
        Self { groups, keys: HashMap::new() }
    }

    /// The lap that `span` belongs to, from 1, which comes after all that were known before it; `None` if that cannot be told.
    pub(super) fn of(&mut self, span: &Span) -> Option<i32> {
        let group = self.groups.get(span.stage as usize).copied()??;
        let at_ns = span.begin.or(span.end)?.time_ns;
        let is_pair = matches!(span.class, Class::Complete | Class::Inverted);
        let key = (group.number, span.key);
        let Some(lap) = self.keys.get_mut(&key) else {
            if self.keys.len() >= MAX_KEYS {
                return None;
            }
            let complete = if is_pair { group.bit } else { 0 };
            self.keys.insert(key, Lap { number: 1, complete, since_ns: at_ns });
            return Some(1);
        };
        if !is_pair {
            // What is left of an earlier lap becomes known late, and which one it was is not kept.
            return (lap.number == 1 || at_ns >= lap.since_ns).then_some(lap.number);
        }
        if lap.complete & group.bit == 0 {
            lap.complete |= group.bit;
            lap.since_ns = lap.since_ns.min(at_ns);
        } else {
            *lap = Lap { number: lap.number.saturating_add(1), complete: group.bit, since_ns: at_ns };
        }
        Some(lap.number)
    }
}

#[cfg(test)]
mod tests {
    use tracer_format::ThreadId;

    use super::*;
    use crate::pair::Point;

    fn span(stage: u32, class: Class, key: i64, times: (Option<u64>, Option<u64>)) -> Span {
        let point = |time_ns| Point { time_ns, thread: ThreadId(0) };
        Span {
            stage,
            class,
            reordered: false,
            key: KeyValue::new(&[key]),
            begin: times.0.map(point),
            end: times.1.map(point),
            ended_by: 0,
            near_loss: false,
        }
    }

    /// Laps of spans of two stages of one group, and a third by thread.
    fn laps(spans: &[Span]) -> Vec<Option<i32>> {
        let group = |bit| Some(LapGroup { number: 0, bit });
        let mut laps = Laps::new(vec![group(1), group(2), None]);
        spans.iter().map(|span| laps.of(span)).collect()
    }

    #[test]
    fn a_stage_that_is_complete_again_begins_the_next_lap() {
        use Class::{Complete, Inverted};
        let spans = [
            span(0, Complete, 7, (Some(10), Some(20))),
            span(1, Complete, 7, (Some(5), Some(30))),
            span(0, Complete, 8, (Some(12), Some(22))),
            span(0, Complete, 7, (Some(40), Some(50))),
            span(1, Inverted, 7, (Some(60), Some(35))),
            span(1, Complete, 7, (Some(70), Some(71))),
            span(2, Complete, 7, (Some(1), Some(2))),
        ];
        assert_eq!(laps(&spans), [Some(1), Some(1), Some(1), Some(2), Some(2), Some(3), None]);
    }

    #[test]
    fn what_was_left_of_an_earlier_lap_has_no_number() {
        use Class::{Complete, Open, OrphanEnd};
        let spans = [
            span(0, OrphanEnd, 7, (None, Some(3))),
            span(0, Complete, 7, (Some(10), Some(20))),
            span(1, Open, 7, (Some(15), None)),
            span(0, Complete, 7, (Some(40), Some(50))),
            // Begun before the second lap, known after it began.
            span(1, Open, 7, (Some(25), None)),
            span(1, Open, 7, (Some(45), None)),
        ];
        assert_eq!(laps(&spans), [Some(1), Some(1), Some(1), Some(2), None, Some(2)]);
    }
}
