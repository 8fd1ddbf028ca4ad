//! Stages: intervals between two probes with the same key, learned from names or given.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use tracer_format::{Definitions, StageDef};

use crate::key::KeyParts;
use crate::{Error, Result};

/// A probe by its names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeName {
    /// Provider.
    pub provider: String,
    /// Probe.
    pub probe: String,
}

impl fmt::Display for ProbeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.probe)
    }
}

/// An interval between two probes with the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Name, unique in an analysis.
    pub name: String,
    /// Probe that begins it.
    pub from: ProbeName,
    /// Probe that ends it.
    pub to: ProbeName,
    /// What the two events must have in common.
    pub key: KeyParts,
}

/// `NAME = PROVIDER:FROM -> PROVIDER:TO by KEY`; without `by` the key is `seq`.
impl FromStr for Stage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::Usage {
            what: "stage",
            found: text.to_owned(),
            expected: "NAME = PROVIDER:FROM -> PROVIDER:TO by KEY, such as \
                       \"total = camera:grab -> display:show by seq\""
                .to_owned(),
        };
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (from, rest) = rest.split_once("->").ok_or_else(wrong)?;
        let (to, key) = match rest.split_once(" by ") {
            Some((to, key)) => (to, key.parse()?),
            None => (rest, KeyParts::default()),
        };
        let name = name.trim().to_owned();
        let (from, to) = (probe_name(from).ok_or_else(wrong)?, probe_name(to).ok_or_else(wrong)?);
        if name.is_empty() { Err(wrong()) } else { Ok(Self { name, from, to, key }) }
    }
}

fn probe_name(text: &str) -> Option<ProbeName> {
    let (provider, probe) = text.trim().split_once(':')?;
    let is_name = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
    let name = || ProbeName { provider: provider.to_owned(), probe: probe.to_owned() };
    (is_name(provider) && is_name(probe)).then(name)
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} -> {} by {}", self.name, self.from, self.to, self.key)
    }
}

impl TryFrom<&StageDef> for Stage {
    type Error = Error;

    fn try_from(stored: &StageDef) -> Result<Self> {
        format!("{} = {} -> {} by {}", stored.name, stored.from, stored.to, stored.key).parse()
    }
}

impl From<&Stage> for StageDef {
    fn from(stage: &Stage) -> Self {
        Self {
            name: stage.name.clone(),
            from: stage.from.to_string(),
            to: stage.to.to_string(),
            key: stage.key.to_string(),
        }
    }
}

/// The stages to analyze: those given; else those that the recording was given; else those that the names tell.
///
/// # Errors
/// [`Error::Usage`] if two stages have one name, or a stage in the trace is not one.
pub fn choose(given: &[Stage], definitions: &Definitions) -> Result<Vec<Stage>> {
    let stages = if !given.is_empty() {
        given.to_vec()
    } else if !definitions.stages.is_empty() {
        definitions.stages.iter().map(Stage::try_from).collect::<Result<_>>()?
    } else {
        learn(definitions)
    };
    let mut names = BTreeSet::new();
    match stages.iter().find(|stage| !names.insert(&stage.name)) {
        Some(stage) => Err(Error::Usage {
            what: "stage",
            found: stage.to_string(),
            expected: "a name that no other stage has".to_owned(),
        }),
        None => Ok(stages),
    }
}

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
    let name =
        |site: &tracer_format::Site| ProbeName { provider: site.provider.clone(), probe: site.probe.clone() };
    let probes: BTreeSet<ProbeName> = definitions.sites.iter().map(name).collect();
    let mut stages: Vec<Stage> = Vec::new();
    let mut seen = BTreeSet::new();
    for site in &definitions.sites {
        let from = name(site);
        if seen.insert(from.clone())
            && let Some((name, to)) = learn_one(&from, &probes)
        {
            stages.push(Stage { name, from, to, key: KeyParts::default() });
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
    format!("{}:{}", stage.from.provider, stage.name)
}

fn probes_of(stage: &Stage) -> String {
    format!("{}..{}", stage.from, stage.to.probe)
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
    use tracer_format::Site;

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

    #[test]
    fn stages_are_written_as_they_are_read() {
        for text in ["total = a:x -> b:y by seq,pid", "x y = a:b -> a:b by arg3,tid,seq,pid"] {
            let stage: Stage = text.parse().unwrap();
            assert_eq!(stage.to_string(), text);
            assert_eq!(Stage::try_from(&StageDef::from(&stage)).unwrap(), stage);
        }
        let short: Stage = " t=a:x->b:y ".parse().unwrap();
        assert_eq!(short.to_string(), "t = a:x -> b:y by seq");
    }

    #[test]
    fn wrong_stages_say_what_is_right() {
        for text in ["", "x", "x = a:b", "x = a -> b:c", " = a:b -> c:d", "x = a: -> c:d", "x = a:b c -> c:d"]
        {
            let error = text.parse::<Stage>().unwrap_err().to_string();
            let expected = format!("stage \"{text}\": expected NAME = PROVIDER:FROM -> PROVIDER:TO by KEY, ");
            assert!(error.starts_with(&expected), "{error}");
        }
        for key in ["", "arg", "arg12", "seq,", "name", "seq,pid,tid,arg1,arg2"] {
            let error = format!("x = a:b -> c:d by {key}").parse::<Stage>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("key \"{key}\": expected seq, ")), "{error}");
        }
    }

    #[test]
    fn two_stages_cannot_have_one_name() {
        let stage: Stage = "x = a:b -> c:d".parse().unwrap();
        let error = choose(&[stage.clone(), stage], &Definitions::default()).unwrap_err().to_string();
        assert!(error.ends_with("expected a name that no other stage has"), "{error}");
    }
}
