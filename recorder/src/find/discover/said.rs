//! What was said already: nothing is told twice, and the problems of one user do not take the room of another's.

use std::collections::{HashMap, HashSet};

/// Problems that are named, of the processes of one user other than root.
const MAX_OF_USER: usize = 1000;
/// Problems that are named, in all.
const MAX: usize = 10_000;

/// What was said already.
#[derive(Debug, Default)]
pub(super) struct Said {
    texts: HashSet<String>,
    of_user: HashMap<u32, usize>,
    is_full: bool,
}

/// What is to be done with a problem.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Saying {
    /// It is told.
    Tell,
    /// Nothing.
    Known,
    /// This is told instead, once: there are too many to name them all.
    Cut(String),
}

impl Said {
    /// Whether a text was not said before. It was from now on.
    pub(super) fn insert(&mut self, text: String) -> bool {
        self.texts.len() < MAX && self.texts.insert(text)
    }

    /// What is to be done with a problem of the processes of a user.
    pub(super) fn judge(&mut self, text: String, user: impl FnOnce() -> u32) -> Saying {
        if self.texts.contains(&text) {
            return Saying::Known;
        }
        let user = user();
        let count = self.of_user.entry(user).or_default();
        *count += 1;
        if user != 0 && *count > MAX_OF_USER {
            let cut =
                format!("more than {MAX_OF_USER} problems of processes of user {user}: others are not named");
            return if *count == MAX_OF_USER + 1 { Saying::Cut(cut) } else { Saying::Known };
        }
        if self.insert(text) {
            return Saying::Tell;
        }
        if std::mem::replace(&mut self.is_full, true) {
            return Saying::Known;
        }
        Saying::Cut(format!("more than {MAX} problems: others are not named"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many problems of a user are told, and how many are told instead.
    fn tell(told: &mut Said, user: u32, count: usize) -> (usize, usize) {
        let verdicts: Vec<Saying> = (0..count).map(|n| told.judge(format!("{user} {n}"), || user)).collect();
        let is_cut = |verdict: &&Saying| matches!(verdict, Saying::Cut(_));
        (
            verdicts.iter().filter(|verdict| **verdict == Saying::Tell).count(),
            verdicts.iter().filter(is_cut).count(),
        )
    }

    #[test]
    fn each_problem_is_told_once_and_those_of_one_user_leave_room_for_others() {
        let mut told = Said::default();
        assert_eq!(told.judge("x".into(), || 7), Saying::Tell);
        assert_eq!(told.judge("x".into(), || 8), Saying::Known);
        assert_eq!(tell(&mut told, 1000, MAX_OF_USER), (MAX_OF_USER, 0));
        assert_eq!(tell(&mut told, 1001, 2 * MAX_OF_USER), (MAX_OF_USER, 1));
        assert_eq!(tell(&mut told, 0, MAX), (MAX - 2 * MAX_OF_USER - 1, 1), "said once that there are more");
        assert!(matches!(told.judge("y".into(), || 9), Saying::Known));
    }
}
