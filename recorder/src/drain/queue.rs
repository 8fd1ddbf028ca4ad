//! What one thread hands to another. The threads that collect and write have a priority that keeps all others of a processor
//! waiting, so they must never spin for a thread that was interrupted, as the channels of the standard library do for a
//! moment: here a thread that has to wait sleeps.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A queue between threads; the first that closes it ends it for all.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    urgent: VecDeque<T>,
    /// Whether the item that was taken last was urgent.
    was_urgent: bool,
    is_closed: bool,
}

impl<T> State<T> {
    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.urgent.is_empty()
    }

    /// Urgent items and others by turns, so that many of one kind do not keep back the other.
    fn take(&mut self) -> Option<T> {
        self.was_urgent = !self.urgent.is_empty() && (!self.was_urgent || self.items.is_empty());
        if self.was_urgent { self.urgent.pop_front() } else { self.items.pop_front() }
    }
}

/// What [`Queue::pop_until`] gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Popped<T> {
    /// The next item.
    Item(T),
    /// There is none yet.
    Empty,
    /// There is none and will be none.
    Closed,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                urgent: VecDeque::new(),
                was_urgent: false,
                is_closed: false,
            }),
            changed: Condvar::new(),
        }
    }
}

impl<T> Queue<T> {
    /// Adds an item; false, and the item is dropped, if the queue is closed.
    pub(crate) fn push(&self, item: T) -> bool {
        self.add(item, |state| &mut state.items)
    }

    /// The same, for an item that is not to wait until all that were added before are taken.
    pub(crate) fn push_urgent(&self, item: T) -> bool {
        self.add(item, |state| &mut state.urgent)
    }

    /// Puts the rest of an item back that was taken and is not urgent: it is the next of these, also after the end.
    pub(crate) fn put_back(&self, item: T) {
        self.lock().items.push_front(item);
    }

    fn add(&self, item: T, items: impl Fn(&mut State<T>) -> &mut VecDeque<T>) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            return false;
        }
        items(&mut state).push_back(item);
        // Not under the lock: the other thread may run at once, and would wait for it.
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Takes the next item; waits for one until the queue is closed.
    pub(crate) fn pop(&self) -> Option<T> {
        let waits = |state: &mut State<T>| state.is_empty() && !state.is_closed;
        let state = self.changed.wait_while(self.lock(), waits);
        state.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes the next item; waits for one until `until`, or not at all when that has passed.
    pub(crate) fn pop_until(&self, until: Instant) -> Popped<T> {
        let waits = |state: &mut State<T>| state.is_empty() && !state.is_closed;
        let left = until.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(self.lock(), left, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match state.take() {
            Some(item) => Popped::Item(item),
            None if state.is_closed => Popped::Closed,
            None => Popped::Empty,
        }
    }

    /// Lets nothing more in. What is in it can be taken still.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Whether nothing more comes in.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Closes the queue when this is dropped, also by a panic.
    pub(crate) fn closing(&self) -> Closing<'_, T> {
        Closing(self)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a queue when this is dropped.
#[derive(Debug)]
pub(crate) struct Closing<'q, T>(&'q Queue<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_in_order_and_after_the_end() {
        let queue = Queue::default();
        assert_eq!(queue.pop_until(Instant::now()), Popped::<u32>::Empty);
        assert!(queue.push(1) && queue.push(2));
        assert_eq!(queue.pop_until(Instant::now()), Popped::Item(1));
        drop(queue.closing());
        assert!(!queue.push(3), "nothing comes in after the end");
        assert_eq!((queue.pop(), queue.pop()), (Some(2), None));
        assert_eq!(queue.pop_until(Instant::now()), Popped::Closed);
    }

    #[test]
    fn urgent_items_come_out_in_turn_with_others() {
        let queue = Queue::default();
        (1..=3).for_each(|item| assert!(queue.push(item)));
        (11..=15).for_each(|item| assert!(queue.push_urgent(item)));
        queue.close();
        let all: Vec<u32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(all, [11, 1, 12, 2, 13, 3, 14, 15]);
    }

    #[test]
    fn what_is_put_back_is_the_next_after_what_is_urgent() {
        let queue = Queue::default();
        (1..=2).for_each(|item| assert!(queue.push(item)));
        assert_eq!(queue.pop(), Some(1));
        assert!(queue.push_urgent(11));
        queue.close();
        queue.put_back(1);
        let all: Vec<u32> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(all, [11, 1, 2]);
    }

    #[test]
    fn a_thread_that_waits_is_woken_by_an_item_and_by_the_end() {
        let queue = Queue::default();
        let sum: u32 = std::thread::scope(|scope| {
            let taking = scope.spawn(|| std::iter::from_fn(|| queue.pop()).sum());
            (1..=1000).for_each(|item| assert!(queue.push(item)));
            queue.close();
            taking.join().expect("no panic")
        });
        assert_eq!(sum, 500_500);
    }
}
