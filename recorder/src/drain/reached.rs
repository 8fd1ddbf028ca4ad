//! Until when everything of a CPU was moved out of its buffers, however much comes meanwhile.

/// A time, and what was in the buffers of one CPU then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// `CLOCK_MONOTONIC` ns, read before the positions: what has an earlier time is reserved by then.
    pub(super) now_ns: u64,
    pub(super) positions: Positions,
}

/// How much was ever written to the buffers of one CPU, or read from them: slots of the lane, bytes of the ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Positions {
    pub(super) lane: u64,
    pub(super) ring: u64,
}

/// How far one CPU is.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Every event of this CPU before this time has been moved; ns.
    complete_ns: u64,
    /// What was written by some time, and is not all read.
    asked: Option<Mark>,
}

impl Reached {
    /// Every event of this CPU before this time has been moved; `CLOCK_MONOTONIC` ns.
    pub(super) fn complete_ns(&self) -> u64 {
        self.complete_ns
    }

    /// Notes what was written by `mark`, and that everything before `read` was moved after that.
    ///
    /// A buffer that is written to faster than it is read is never empty, so an older mark counts as well.
    pub(super) fn note(&mut self, mark: Mark, read: Positions) {
        let is_read = |mark: &Mark| mark.positions.lane <= read.lane && mark.positions.ring <= read.ring;
        if is_read(&mark) {
            (self.complete_ns, self.asked) = (mark.now_ns, None);
            return;
        }
        if let Some(asked) = self.asked.take_if(|asked| is_read(asked)) {
            self.complete_ns = asked.now_ns;
        }
        self.asked.get_or_insert(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lane: u64, ring: u64) -> Positions {
        Positions { lane, ring }
    }

    #[test]
    fn what_is_never_empty_is_complete_to_some_time_all_the_same() {
        let mut reached = Reached::default();
        let mut complete = Vec::new();
        // Ten are written in the time in which eight are read.
        for turn in 0..5 {
            reached.note(Mark { now_ns: turn, positions: at(10 + 10 * turn, 3) }, at(8 + 8 * turn, 3));
            complete.push(reached.complete_ns());
        }
        assert_eq!(complete, [0, 0, 1, 2, 3], "a turn behind, whatever is left");
    }

    #[test]
    fn what_is_empty_is_complete_at_once_and_one_buffer_of_two_is_not_enough() {
        let mut reached = Reached::default();
        reached.note(Mark { now_ns: 5, positions: at(1, 16) }, at(1, 8));
        assert_eq!(reached.complete_ns(), 0);
        reached.note(Mark { now_ns: 6, positions: at(2, 24) }, at(1, 24));
        assert_eq!(reached.complete_ns(), 5);
        reached.note(Mark { now_ns: 7, positions: at(2, 24) }, at(2, 24));
        assert_eq!(reached.complete_ns(), 7);
        // The mark of 6 was forgotten with that.
        reached.note(Mark { now_ns: 9, positions: at(4, 24) }, at(3, 24));
        assert_eq!(reached.complete_ns(), 7);
    }
}
