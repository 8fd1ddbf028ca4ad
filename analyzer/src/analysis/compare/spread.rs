//! Runs as the unit: what differs from run to run of one build is no change.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::rank::variance;

/// Runs on each side from which their spread says something.
pub(crate) const MIN_RUNS: usize = 3;

/// The difference of the means of two lists of runs (Welch).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// New minus base.
    pub(crate) difference: f64,
    /// Standard error of it.
    error: f64,
    /// Degrees of freedom.
    freedom: f64,
}

impl Spread {
    /// Of one figure of each run; `None` with fewer than [`MIN_RUNS`] on a side.
    pub(crate) fn new(base: &[f64], new: &[f64]) -> Option<Self> {
        if base.len() < MIN_RUNS || new.len() < MIN_RUNS {
            return None;
        }
        let of = |runs: &[f64]| {
            let count = runs.len() as f64;
            (runs.iter().sum::<f64>() / count, variance(runs) / count, count - 1.0)
        };
        let ((base, base_error, base_freedom), (new, new_error, new_freedom)) = (of(base), of(new));
        let both = base_error + new_error;
        let freedom = both.powi(2) / (base_error.powi(2) / base_freedom + new_error.powi(2) / new_freedom);
        // Runs that agree to the last bit have no spread.
        let freedom = if freedom.is_finite() { freedom } else { base_freedom + new_freedom };
        Some(Self { difference: new - base, error: both.sqrt(), freedom })
    }

    /// Half the width of the range that holds the true difference with this confidence.
    pub(crate) fn reach(&self, confidence: f64) -> f64 {
        self.quantile(f64::midpoint(confidence, 1.0)) * self.error
    }

    /// Whether the difference has the sign of `direction` with 95 % confidence.
    pub(crate) fn is_sure(&self, direction: f64) -> bool {
        self.difference * direction.signum() > self.quantile(0.95) * self.error
    }

    fn quantile(&self, share: f64) -> f64 {
        StudentsT::new(0.0, 1.0, self.freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_that_of_welch() {
        // Worked out by hand: means 2 and 5, variances 1 and 4, three runs each; 2.94 degrees of freedom.
        let spread = Spread::new(&[1.0, 2.0, 3.0], &[3.0, 5.0, 7.0]).expect("three runs each");
        assert!((spread.difference - 3.0).abs() < 1e-12);
        assert!((spread.error - (5.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((spread.freedom - 50.0 / 17.0).abs() < 1e-9, "{}", spread.freedom);
        assert!((4.0..4.4).contains(&spread.reach(0.95)), "{}", spread.reach(0.95));
        assert!(!spread.is_sure(-1.0));
        assert!(Spread::new(&[1.0, 2.0], &[1.0, 2.0, 3.0]).is_none());
    }

    #[test]
    fn runs_that_agree_leave_no_doubt() {
        let spread = Spread::new(&[1.0; 3], &[2.0; 3]).expect("three runs each");
        assert!(spread.is_sure(1.0) && spread.reach(0.99).abs() < 1e-12);
    }
}
