//! The place of a stage: on the path of the buffers, and among the stages that count laps together.

use std::collections::HashMap;

use crate::analysis::diagnosis::Diagnosis;
use crate::pair::Side;
use crate::stage::{Key, Scope, Stage};

/// Stages of a group at most: one bit each.
const GROUP_STAGES: u32 = 64;

/// Where a stage belongs: the group, and its bit there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LapGroup {
    pub(super) number: u32,
    pub(super) bit: u64,
}

/// The group of each stage: those of one provider with one key. The key of a thread has no laps: its spans nest, or are calls.
pub(super) fn groups(stages: &[Stage]) -> Vec<Option<LapGroup>> {
    let mut found: HashMap<(&str, &Key), (u32, u32)> = HashMap::new();
    let mut numbers = 0..;
    let mut groups = Vec::with_capacity(stages.len());
    for Stage { key, begins, .. } in stages {
        if key.scope == Scope::Tid || key.parts.is_empty() {
            groups.push(None);
            continue;
        }
        let (number, members) = found
            .entry((&begins[0].provider, key))
            .and_modify(|(number, members)| {
                *members += 1;
                if *members == GROUP_STAGES {
                    (*number, *members) = (numbers.next().unwrap_or(u32::MAX), 0);
                }
            })
            .or_insert_with(|| (numbers.next().unwrap_or(u32::MAX), 0));
        groups.push(Some(LapGroup { number: *number, bit: 1 << *members }));
    }
    groups
}

/// For each of so many stages, which one it is on its path, from 1, in the order of the begins; `None` if it is on none.
pub(super) fn positions(stages: usize, diagnosis: &Diagnosis) -> Vec<Option<i32>> {
    let mut positions = vec![None; stages];
    for path in std::iter::once(diagnosis).chain(&diagnosis.others) {
        let begins = path.route.edges.iter().filter(|edge| edge.side == Side::Begin);
        for (number, edge) in (1..).zip(begins) {
            positions[edge.stage as usize].get_or_insert(number);
        }
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::ProbeName;

    #[test]
    fn stages_of_one_key_and_provider_count_laps_together() {
        let stage = |name: &str, provider: &str, key: &str| {
            let probe = |probe: &str| ProbeName { provider: provider.to_owned(), probe: probe.to_owned() };
            Stage::new(name.to_owned(), probe("b"), probe("e"), key.parse().unwrap())
        };
        let mut stages = vec![stage("a", "p", "seq"), stage("b", "q", "seq"), stage("c", "p", "tid,seq")];
        stages.extend((0..64).map(|n| stage(&n.to_string(), "p", "seq")));
        let groups = groups(&stages);
        let [a, b, c] = [groups[0], groups[1], groups[2]];
        assert_eq!(
            (a, b, c),
            (Some(LapGroup { number: 0, bit: 1 }), Some(LapGroup { number: 1, bit: 1 }), None)
        );
        assert_eq!(groups[3], Some(LapGroup { number: 0, bit: 2 }));
        // The 65th of its group begins another.
        assert_eq!(groups[66], Some(LapGroup { number: 2, bit: 1 }));
    }
}
