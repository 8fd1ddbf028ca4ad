//! Values of events whose spans are not known yet.

use std::collections::{HashMap, VecDeque};

use tracer_format::ThreadId;

use crate::pair::Point;

/// Values that wait, at most; beyond that the oldest are given up.
const MOST: usize = 1 << 16;

/// An event that a value belongs to: of one table, at one moment of a thread.
type EventPlace = (u32, ThreadId, u64);

/// Values by the event that they stand at.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// `None` where one moment has two values.
    values: HashMap<EventPlace, Option<Value>>,
    order: VecDeque<EventPlace>,
}

/// The number of a value in its table; `None` if the table had no room for it.
pub(super) type Value = Option<usize>;

impl Waiting {
    pub(super) fn add(&mut self, table: u32, at: Point, value: Value) {
        let place = (table, at.thread, at.time_ns);
        match self.values.insert(place, Some(value)) {
            None => self.order.push_back(place),
            Some(known) if known == Some(value) => {}
            Some(_) => {
                self.values.insert(place, None);
            }
        }
        while let Some(oldest) = self.order.front() {
            if self.values.contains_key(oldest) && self.order.len() <= MOST {
                break;
            }
            self.values.remove(oldest);
            self.order.pop_front();
        }
    }

    /// The value of an event, which is not asked for again; `None` if it is not known.
    pub(super) fn take(&mut self, table: u32, at: Point) -> Option<Value> {
        self.values.remove(&(table, at.thread, at.time_ns)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_once_and_two_at_one_moment_are_none() {
        let mut waiting = Waiting::default();
        let at = |time_ns| Point { time_ns, thread: ThreadId(1) };
        waiting.add(0, at(1), Some(7));
        assert_eq!((waiting.take(0, at(1)), waiting.take(0, at(1))), (Some(Some(7)), None));
        waiting.add(0, at(2), Some(7));
        waiting.add(0, at(2), Some(7));
        waiting.add(1, at(2), None);
        assert_eq!((waiting.take(0, at(2)), waiting.take(1, at(2))), (Some(Some(7)), Some(None)));
        waiting.add(0, at(3), Some(7));
        waiting.add(0, at(3), Some(8));
        assert_eq!(waiting.take(0, at(3)), None);
    }

    #[test]
    fn the_oldest_are_given_up() {
        let mut waiting = Waiting::default();
        let at = |time_ns| Point { time_ns, thread: ThreadId(1) };
        (0..=MOST as u64).for_each(|time_ns| waiting.add(0, at(time_ns), Some(1)));
        assert_eq!((waiting.take(0, at(0)), waiting.take(0, at(1))), (None, Some(Some(1))));
        assert_eq!(waiting.order.len(), MOST);
    }
}
