//! Stages that the names of probes tell.

use std::collections::{BTreeMap, BTreeSet};

use tracer_format::{Definitions, Site};

use super::definition::{ProbeName, Stage};
use super::key::Key;

/// How names tell stages: what stands before and after the stage's name in the probe that begins it, and in those that
/// may end it. The first that fits counts, the longer ones stand first.
const FORMS: [(Affixes, &[Affixes]); 6] = [
    (("beg_", ""), &[("end_", "")]),
    (("begin_", ""), &[("end_", "")]),
    (("", "__start"), &[("", "__done")]),
    (("", "__entry"), &[("", "__return")]),
    (("", "__begin"), &[("", "__end")]),
    (("", "_start"), &[("", "_done"), ("", "_end"), ("", "_stop")]),
];

/// What stands before and after a name.
type Affixes = (&'static str, &'static str);

/// The stages that the names of the probes tell, in the order of the probes that begin them.
///
/// A stage is named by what its probes' names share; with the provider before it where two stages would have one name.
#[must_use]
pub fn learn(definitions: &Definitions) -> Vec<Stage> {
    let name = |site: &Site| ProbeName { provider: site.provider.clone(), probe: site.probe.clone() };
    let probes: BTreeSet<ProbeName> = definitions.sites.iter().map(name).collect();
    let mut stages: Vec<Stage> = Vec::new();
    let mut seen = BTreeSet::new();
    for site in &definitions.sites {
        let from = name(site);
        if seen.insert(from.clone())
            && let Some((name, to)) = learn_one(&from, &probes)
        {
            stages.push(Stage::new(name, from, to, Key::seq()));
        }
    }
    for qualify in [provider_and_name, probes_of] {
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        stages.iter().for_each(|stage| *uses.entry(stage.name.clone()).or_default() += 1);
        for stage in stages.iter_mut().filter(|stage| uses[&stage.name] > 1) {
            stage.name = qualify(stage);
        }
    }
    stages
}

fn provider_and_name(stage: &Stage) -> String {
    format!("{}:{}", stage.begins[0].provider, stage.name)
}

fn probes_of(stage: &Stage) -> String {
    format!("{}..{}", stage.begins[0], stage.ends[0].probe)
}

fn learn_one(from: &ProbeName, probes: &BTreeSet<ProbeName>) -> Option<(String, ProbeName)> {
    for ((before, after), ends) in FORMS {
        let middle = from.probe.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let Some(name) = middle.filter(|name| !name.is_empty()) else { continue };
        for (before, after) in ends {
            let to = ProbeName { provider: from.provider.clone(), probe: format!("{before}{name}{after}") };
            if probes.contains(&to) {
                return Some((name.to_owned(), to));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(probes: &[&str]) -> Vec<String> {
        let site = |name: &&str| {
            let (provider, probe) = name.split_once(':').unwrap();
            Site { provider: provider.into(), probe: probe.into(), ..Site::default() }
        };
        let definitions = Definitions { sites: probes.iter().map(site).collect(), ..Definitions::default() };
        learn(&definitions).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_form_of_names_is_learned() {
        let probes = [
            "p:beg_a",
            "p:end_a",
            "p:begin_b",
            "p:end_b",
            "p:c_start",
            "p:c_done",
            "p:d_start",
            "p:d_end",
            "p:e_start",
            "p:e_stop",
            "p:f__start",
            "p:f__done",
            "p:g__entry",
            "p:g__return",
            "p:h__begin",
            "p:h__end",
            "p:i__start",
            "p:i__end",
            "p:_start",
            "p:_done",
            "q:end_a",
        ];
        let expected = [
            "a = p:beg_a -> p:end_a by seq",
            "b = p:begin_b -> p:end_b by seq",
            "c = p:c_start -> p:c_done by seq",
            "d = p:d_start -> p:d_end by seq",
            "e = p:e_start -> p:e_stop by seq",
            "f = p:f__start -> p:f__done by seq",
            "g = p:g__entry -> p:g__return by seq",
            "h = p:h__begin -> p:h__end by seq",
        ];
        // `i__start` with `i__end` fits `X_start` and `X_end` with X = `i_`.
        assert_eq!(learned(&probes)[..8], expected);
        assert_eq!(learned(&probes)[8..], ["i_ = p:i__start -> p:i__end by seq"]);
    }

    #[test]
    fn names_are_made_unique() {
        let probes = ["p:beg_a", "p:end_a", "p:begin_a", "q:beg_a", "q:end_a", "p:beg_b", "p:end_b"];
        let expected = [
            "p:beg_a..end_a = p:beg_a -> p:end_a by seq",
            "p:begin_a..end_a = p:begin_a -> p:end_a by seq",
            "q:a = q:beg_a -> q:end_a by seq",
            "b = p:beg_b -> p:end_b by seq",
        ];
        assert_eq!(learned(&probes), expected);
    }
}
