//! How times of a source become those of the trace that it is copied to.

/// What to add to times, in steps: where the clock of the source was set, or stood still while its machine slept, other traces'
/// clocks went on differently.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shift {
    /// From which time of the source on what is added, ascending; the first serves before it too.
    steps: Vec<(u64, i64)>,
}

impl Shift {
    /// `steps` are ascending: from which time of the source on, and what is added.
    #[must_use]
    pub fn in_steps(steps: Vec<(u64, i64)>) -> Self {
        Self { steps }
    }

    /// What is added to a time.
    #[must_use]
    pub fn of(&self, time_ns: u64) -> i64 {
        match &self.steps[..] {
            [] => 0,
            [(_, shift_ns)] => *shift_ns,
            steps => steps[steps.partition_point(|step| step.0 <= time_ns).saturating_sub(1)].1,
        }
    }

    /// The time in the new trace.
    #[must_use]
    pub fn apply(&self, time_ns: u64) -> u64 {
        time_ns.saturating_add_signed(self.of(time_ns))
    }
}

/// The same for all times.
impl From<i64> for Shift {
    fn from(shift_ns: i64) -> Self {
        Self { steps: vec![(0, shift_ns)] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_shifted_by_the_step_that_it_is_behind() {
        let shift = Shift::in_steps(vec![(10, 5), (20, -7)]);
        assert_eq!([0, 10, 19, 20, 30].map(|time_ns| shift.apply(time_ns)), [5, 15, 24, 13, 23]);
        assert_eq!((Shift::from(-3).apply(10), Shift::default().apply(10)), (7, 10));
    }
}
