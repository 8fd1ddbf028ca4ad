//! What was said already: nothing is told twice, and the problems of one user do not take the room of another's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use tracer_format::log::escape;
use tracer_format::{Skipped, SkippedKind};

use crate::find::facts::Facts;
use crate::host::process;

/// Problems that are named, of the processes of one user other than root.
const MAX_OF_USER: usize = 1000;
/// Problems that are named, in all.
const MAX: usize = 10_000;
/// Problems that are counted beyond that.
const MAX_COUNTED: usize = 100_000;

/// What was said already.
#[derive(Debug, Default)]
pub(super) struct Said {
    texts: HashSet<String>,
    /// Files and what is wrong with each, by its hash: a file may be seen through several paths.
    of_file: HashSet<(Facts, u64)>,
    of_user: HashMap<u32, usize>,
    /// What was not named, by user, each counted once by its hash.
    unnamed: BTreeMap<u32, HashSet<u64>>,
    counted: usize,
    hasher: RandomState,
}

/// What is to be done with a problem.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Saying {
    /// It is told.
    Tell,
    /// Nothing: it was told, or is counted.
    Known,
    /// This is told instead, once for each user: there are too many to name them all.
    Cut(String),
}

impl Said {
    /// Whether this was said of a file under another path. It was, from now on.
    pub(super) fn knows(&mut self, facts: &Facts, reason: &str) -> bool {
        let problem = (*facts, self.hasher.hash_one(reason));
        self.of_file.contains(&problem) || self.of_file.len() < MAX && !self.of_file.insert(problem)
    }

    /// What is to be done with a problem of the processes of a user.
    pub(super) fn judge(&mut self, text: String, user: impl FnOnce() -> u32) -> Saying {
        if self.texts.contains(&text) {
            return Saying::Known;
        }
        let user = user();
        let count = self.of_user.entry(user).or_default();
        if self.texts.len() < MAX && (user == 0 || *count < MAX_OF_USER) {
            *count += 1;
            self.texts.insert(text);
            return Saying::Tell;
        }
        if self.counted >= MAX_COUNTED {
            return Saying::Known;
        }
        let is_first = !self.unnamed.contains_key(&user);
        let is_new = self.unnamed.entry(user).or_default().insert(self.hasher.hash_one(&text));
        self.counted += usize::from(is_new);
        if !is_first {
            return Saying::Known;
        }
        Saying::Cut(format!(
            "too many problems of {}: further ones are counted, and told at the end",
            process::those_of(user)
        ))
    }

    /// How many problems were not named.
    pub(super) fn close(&mut self) -> Vec<Skipped> {
        let is_all = self.counted < MAX_COUNTED;
        let at_least = if is_all { "" } else { ", at least" };
        let unnamed = std::mem::take(&mut self.unnamed).into_iter();
        let fact = |(user, problems): (u32, HashSet<u64>)| Skipped {
            kind: SkippedKind::Files,
            count: problems.len() as u64,
            reason: format!(
                "of {}, with problems that are not named{at_least}: there are too many",
                process::those_of(user)
            ),
            ..Skipped::default()
        };
        unnamed.map(fact).collect()
    }
}

/// Processes in words, the first few by id and name; `None` if there are none.
pub(super) fn listed(processes: &[(u32, String)]) -> Option<String> {
    const MAX_LISTED: usize = 8;
    let shown = processes.iter().take(MAX_LISTED).map(|(pid, name)| format!("{pid} ({})", escape(name)));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match processes.len() {
        0 => None,
        1 => Some(format!("process {shown}")),
        count if count <= MAX_LISTED => Some(format!("processes {shown}")),
        count => Some(format!("processes {shown} and {} more", count - MAX_LISTED)),
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
        assert_eq!(told.close(), []);
        for _ in 0..2 {
            tell(&mut told, 1001, 2 * MAX_OF_USER);
        }
        assert_eq!(tell(&mut told, 0, MAX), (MAX - 2 * MAX_OF_USER - 1, 1), "said once that there are more");
        assert!(matches!(told.judge("y".into(), || 9), Saying::Cut(_)));
        let counts: Vec<u64> = told.close().iter().map(|fact| fact.count).collect();
        assert_eq!(counts, [2 * MAX_OF_USER as u64 + 1, 1, MAX_OF_USER as u64], "of users 0, 9 and 1001");
    }

    #[test]
    fn what_is_counted_has_a_limit_that_is_said() {
        let mut told = Said::default();
        tell(&mut told, 5, MAX_OF_USER + MAX_COUNTED + 1);
        let facts = told.close();
        assert_eq!((facts.len(), facts[0].count), (1, MAX_COUNTED as u64));
        assert!(facts[0].reason.contains("at least"));
    }

    #[test]
    fn processes_are_named_unless_there_are_many() {
        let some = |count: u32| (1..=count).map(|pid| (pid, format!("p{pid}\x1b"))).collect::<Vec<_>>();
        assert_eq!(listed(&some(0)), None);
        assert_eq!(listed(&some(1)).unwrap(), "process 1 (p1\\x1b)");
        assert_eq!(listed(&some(2)).unwrap(), "processes 1 (p1\\x1b), 2 (p2\\x1b)");
        assert!(listed(&some(10)).unwrap().ends_with(", 8 (p8\\x1b) and 2 more"));
    }
}
