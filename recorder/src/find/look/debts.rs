//! How long files of each user keep what looks at them waiting: for a burst, and after that for a tenth of the time, so that files of
//! others are looked at. One that answers slowly, again and again, needs no more than one that does not answer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long files of a user may keep it waiting at a time.
const BURST: Duration = Duration::from_secs(2);
/// After that, one of so many seconds.
const SHARE: u32 = 10;

/// What users other than root have waited for, less what time has forgiven.
#[derive(Debug, Default)]
pub(crate) struct Debts(HashMap<u32, Debt>);

#[derive(Debug)]
struct Debt {
    waited: Duration,
    at: Instant,
}

impl Debt {
    /// What is left of it.
    fn left(&self, now: Instant) -> Duration {
        self.waited.saturating_sub(now.saturating_duration_since(self.at) / SHARE)
    }
}

impl Debts {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes that a file of a user was waited for.
    pub(crate) fn add(&mut self, user: u32, waited: Duration, now: Instant) {
        if user == 0 || waited.is_zero() {
            return;
        }
        self.0.retain(|_, debt| !debt.left(now).is_zero());
        let debt = self.0.entry(user).or_insert(Debt { waited: Duration::ZERO, at: now });
        *debt = Debt { waited: debt.left(now) + waited, at: now };
    }

    /// Whether files of a user have to wait until those of others were looked at.
    pub(crate) fn is_over(&self, user: u32, now: Instant) -> bool {
        self.0.get(&user).is_some_and(|debt| debt.left(now) > BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_gets_a_burst_and_then_a_share() {
        let (mut debts, now) = (Debts::default(), Instant::now());
        let second = Duration::from_secs(1);
        debts.add(7, 2 * second, now);
        assert!(!debts.is_over(7, now));
        debts.add(7, second, now);
        assert!(debts.is_over(7, now) && !debts.is_over(8, now));
        assert!(debts.is_over(7, now + 9 * second) && !debts.is_over(7, now + 10 * second));
        debts.add(8, second, now + 31 * second);
        assert_eq!(debts.0.len(), 1, "what is forgiven is forgotten");
        debts.add(0, 100 * second, now);
        assert!(!debts.is_over(0, now));
    }
}
