//! Stages that the names of probes tell.

mod vocabulary;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use tracer_format::{Definitions, Site};

use super::definition::{ProbeName, Stage};
use super::draft::Draft;
use super::key::Key;
use vocabulary::Vocabulary;

pub(crate) use words::{is_word_of_names, pieces};

/// The stages that the names of the probes tell, in the order of the probes that begin them.
///
/// A stage is named by what its probes' names share, or by the provider where that is nothing; with the provider before it where two
/// stages would have one name.
#[must_use]
pub fn learn(definitions: &Definitions) -> Vec<Draft> {
    let mut by_provider: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for site in &definitions.sites {
        by_provider.entry(&site.provider).or_default().insert(&site.probe);
    }
    let by_provider: BTreeMap<&str, Vocabulary<'_>> =
        by_provider.into_iter().map(|(provider, probes)| (provider, Vocabulary::new(probes))).collect();
    let mut stages: Vec<Stage> = Vec::new();
    let mut seen = BTreeSet::new();
    for site in &definitions.sites {
        let Site { provider, probe, .. } = &**site;
        if !seen.insert((provider, probe)) {
            continue;
        }
        let Some((name, ends)) = by_provider[&provider[..]].ends_of(probe) else { continue };
        let name = if name.is_empty() { provider.to_string() } else { name };
        let named = |probe: &str| ProbeName { provider: provider.to_string(), probe: probe.to_owned() };
        let ends: Vec<ProbeName> = ends.into_iter().map(named).collect();
        stages.push(Stage { ends, ..Stage::new(name, named(probe), named(probe), Key::seq()) });
    }
    for qualify in [provider_and_name, probes_of] {
        let mut uses: BTreeMap<String, usize> = BTreeMap::new();
        stages.iter().for_each(|stage| *uses.entry(stage.name.clone()).or_default() += 1);
        for stage in stages.iter_mut().filter(|stage| uses[&stage.name] > 1) {
            stage.name = qualify(stage);
        }
    }
    stages.into_iter().map(|stage| Draft { stage, has_key: false }).collect()
}

fn provider_and_name(stage: &Stage) -> String {
    let ProbeName { provider, probe } = &stage.begins[0];
    let name = if stage.name == *provider { probe } else { &stage.name };
    format!("{provider}:{name}")
}

fn probes_of(stage: &Stage) -> String {
    format!("{}..{}", stage.begins[0], stage.ends[0].probe)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn learned(probes: &[&str]) -> Vec<String> {
        let site = |name: &&str| {
            let (provider, probe) = name.split_once(':').unwrap();
            Arc::new(Site { provider: provider.into(), probe: probe.into(), ..Site::default() })
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
            "a = p:beg_a -> p:end_a",
            "b = p:begin_b -> p:end_b",
            "c = p:c_start -> p:c_done",
            "d = p:d_start -> p:d_end",
            "e = p:e_start -> p:e_stop",
            "f = p:f__start -> p:f__done",
            "g = p:g__entry -> p:g__return",
            "h = p:h__begin -> p:h__end",
        ];
        assert_eq!(learned(&probes)[..8], expected);
        assert_eq!(learned(&probes)[8..], ["i = p:i__start -> p:i__end", "p = p:_start -> p:_done"]);
    }

    #[test]
    fn bare_words_are_named_by_their_provider() {
        assert_eq!(learned(&["gc:start", "gc:done"]), ["gc = gc:start -> gc:done"]);
        let expected = ["p:lock = p:lock -> p:unlock", "p:open = p:open -> p:close"];
        assert_eq!(learned(&["p:lock", "p:unlock", "p:open", "p:close"]), expected);
    }

    #[test]
    fn names_are_made_unique() {
        let probes = ["p:beg_a", "p:end_a", "p:begin_a", "q:beg_a", "q:end_a", "p:beg_b", "p:end_b"];
        let expected = [
            "p:beg_a..end_a = p:beg_a -> p:end_a",
            "p:begin_a..end_a = p:begin_a -> p:end_a",
            "q:a = q:beg_a -> q:end_a",
            "b = p:beg_b -> p:end_b",
        ];
        assert_eq!(learned(&probes), expected);
    }
}
