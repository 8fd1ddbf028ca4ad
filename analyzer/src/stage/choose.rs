//! Which stages an analysis has.

use std::collections::{BTreeMap, BTreeSet};

use tracer_format::Definitions;
use tracer_format::grammar::Malformed;

use super::draft::Draft;
use super::learn::learn;
use super::roles::{Roles, SiteUses};
use crate::{Error, Result};

/// Stages of one analysis. The largest programs have some hundreds; what is kept and compared grows with their square.
const MAX_STAGES: usize = 2048;
/// Probes that begin and end them, over all stages.
const MAX_PROBES: usize = 16_384;
const PROBES: &str = "probes that begin and end the stages";
/// Stages that one probe begins: each of its events begins as many spans.
const MAX_STAGES_OF_PROBE: usize = 64;
/// What the sites of these probes are to the stages: a site with other arguments is another thing, in each of its stages.
const MAX_USES: usize = 1 << 16;
const USES: &str = "forms of the arguments of such probes, for each of their stages";

/// The stages to analyze: those given; else those that the recording was given; else those that the names tell.
///
/// # Errors
/// [`Error::Usage`] if two stages that are given have one name; [`Error::StoredStage`] if two of the trace have, or one is none;
/// [`Error::TooMany`] if there are very many.
pub fn choose(given: &[Draft], definitions: &Definitions) -> Result<Vec<Draft>> {
    let stages = if !given.is_empty() {
        given.to_vec()
    } else if !definitions.stages.is_empty() {
        stored(definitions)?
    } else {
        learn(definitions)
    };
    check(&stages, definitions)?;
    let mut names = BTreeSet::new();
    match stages.iter().find(|draft| !names.insert(&draft.stage.name)) {
        Some(stage) => {
            let malformed = Malformed::new("stage", &stage.to_string(), "a name that no other stage has");
            Err(if given.is_empty() { Error::StoredStage(malformed) } else { malformed.into() })
        }
        None => Ok(stages),
    }
}

/// The stages that the recording was given.
fn stored(definitions: &Definitions) -> Result<Vec<Draft>> {
    limit("stages", definitions.stages.len(), MAX_STAGES)?;
    let (mut stages, mut probes) = (Vec::new(), 0);
    for stored in &definitions.stages {
        let draft = Draft::try_from(stored)?;
        probes += draft.stage.begins.len() + draft.stage.ends.len();
        limit(PROBES, probes, MAX_PROBES)?;
        stages.push(draft);
    }
    Ok(stages)
}

fn limit(what: &'static str, found: usize, max: usize) -> Result<()> {
    if found > max { Err(Error::TooMany { what, found, max }) } else { Ok(()) }
}

/// Refuses so many stages that their number is meant to do harm.
fn check(stages: &[Draft], definitions: &Definitions) -> Result<()> {
    let mut begun = BTreeMap::new();
    for begin in stages.iter().flat_map(|draft| &draft.stage.begins) {
        *begun.entry((&begin.provider, &begin.probe)).or_insert(0) += 1;
    }
    let most = begun.into_values().max().unwrap_or(0);
    let probes = stages.iter().map(|draft| draft.stage.begins.len() + draft.stage.ends.len()).sum();
    limit("stages", stages.len(), MAX_STAGES)?;
    limit(PROBES, probes, MAX_PROBES)?;
    limit("stages that begin at one probe", most, MAX_STAGES_OF_PROBE)?;
    let roles = Roles::new(stages.iter().map(|draft| &draft.stage));
    let uses = SiteUses::new(&definitions.sites, &roles, |_, roles| vec![(); roles.len()]);
    limit(USES, uses.len() as usize, MAX_USES)
}

#[cfg(test)]
mod tests {
    use tracer_format::StageDef;

    use super::*;

    fn stages(count: usize, begins: usize) -> Vec<Draft> {
        (0..count).map(|n| format!("s{n} = a:b{} -> c:d", n % begins).parse().unwrap()).collect()
    }

    #[test]
    fn very_many_stages_are_refused() {
        let choose = |stages: Vec<Draft>| choose(&stages, &Definitions::default()).map(|stages| stages.len());
        assert_eq!(choose(stages(MAX_STAGES, 64)).unwrap(), MAX_STAGES);
        let error = choose(stages(MAX_STAGES + 1, 64)).unwrap_err().to_string();
        assert!(error.starts_with("stages: 2049, at most 2048 are worked out"), "{error}");
        let ends = format!("s = a:b -> c{}", ":d|c".repeat(MAX_PROBES));
        let error = choose(vec![ends.replace("|c:", "|").parse().unwrap()]).unwrap_err().to_string();
        assert!(error.starts_with("probes that begin and end the stages: 16386, at most 16384"), "{error}");
        assert_eq!(choose(stages(MAX_STAGES_OF_PROBE, 1)).unwrap(), MAX_STAGES_OF_PROBE);
        let error = choose(stages(MAX_STAGES_OF_PROBE + 1, 1)).unwrap_err().to_string();
        assert!(error.starts_with("stages that begin at one probe: 65, at most 64"), "{error}");
    }

    #[test]
    fn two_stages_cannot_have_one_name() {
        let stage: Draft = "x = a:b -> c:d".parse().unwrap();
        let error = choose(&[stage.clone(), stage], &Definitions::default()).unwrap_err().to_string();
        assert!(error.ends_with("expected a name that no other stage has"), "{error}");
    }

    #[test]
    fn what_is_wrong_with_the_stages_of_a_trace_is_no_mistake_of_the_caller() {
        let of = |stages: &[(&str, &str)]| {
            let stored = |&(name, to): &(&str, &str)| StageDef {
                name: name.to_owned(),
                from: "a:b".to_owned(),
                to: to.to_owned(),
                key: String::new(),
            };
            let definitions =
                Definitions { stages: stages.iter().map(stored).collect(), ..Definitions::default() };
            choose(&[], &definitions)
        };
        assert_eq!(of(&[("x", "a:c")]).unwrap().len(), 1);
        for stages in
            [[("x", "a:c"), ("x", "a:d")], [("x", "a:c"), ("y", "no probe")], [("x", "a:c"), ("", "a:d")]]
        {
            let error = of(&stages).unwrap_err();
            assert!(matches!(error, Error::StoredStage(_)), "{error}");
            assert!(error.to_string().starts_with("the trace has a stage that is none: "), "{error}");
        }
    }
}
