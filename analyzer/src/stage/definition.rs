//! A stage: an interval between two probes with the same key.

use std::fmt;
use std::str::FromStr;

use tracer_format::Site;
use tracer_format::grammar::Malformed;
use tracer_format::limits::MAX_NAME_BYTES;

use super::key::{Key, KeyPart, Scope};
use super::lasting::Lasting;
use crate::{Error, Result};

/// A probe by its names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeName {
    /// Provider.
    pub provider: String,
    /// Probe.
    pub probe: String,
}

impl ProbeName {
    /// Whether the site is one of this probe.
    #[must_use]
    pub fn is_of(&self, site: &Site) -> bool {
        *self.provider == *site.provider && *self.probe == *site.probe
    }
}

impl fmt::Display for ProbeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.probe)
    }
}

/// An interval from one probe to another, for events that have a key in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Name, unique in an analysis.
    pub name: String,
    /// Probes that begin it; at least one.
    pub begins: Vec<ProbeName>,
    /// Probes that end it, of which one is enough; at least one.
    pub ends: Vec<ProbeName>,
    /// What the two events must have in common.
    pub key: Key,
    /// Whether a begin while the stage is open for the same thread opens it once more inside of the first; keys of one
    /// thread only. Else the later begin tells that the earlier one has no end.
    pub nested: bool,
    /// An argument in which begin and end agree: an end without a begin of the same value is an orphan, and begins that were
    /// left without an end are passed over. Nested stages only.
    pub unwinding: Option<u8>,
    /// If one probe tells of it when it ends: the argument that says how long it took. That probe begins and ends it then.
    pub lasting: Option<Lasting>,
}

impl Stage {
    /// A stage with one begin, one end, and nothing known of its events but the key.
    #[must_use]
    pub fn new(name: String, begin: ProbeName, end: ProbeName, key: Key) -> Self {
        let nested = key.scope == Scope::Tid;
        Self { name, begins: vec![begin], ends: vec![end], key, nested, unwinding: None, lasting: None }
    }

    /// The probes that begin it, as `--stage` takes them.
    #[must_use]
    pub fn begins_text(&self) -> String {
        alternatives_text(&self.begins)
    }

    /// The probes that end it, as `--stage` takes them.
    #[must_use]
    pub fn ends_text(&self) -> String {
        alternatives_text(&self.ends)
    }

    /// How its events are matched, as it stands behind `by`: the key, and for keys of one thread whether it nests.
    #[must_use]
    pub fn key_text(&self) -> String {
        match (self.key.scope, self.nested, self.unwinding) {
            (Scope::Tid, true, Some(arg)) => format!("{} unwinding arg{arg}", self.key),
            (Scope::Tid, false, _) => format!("{} flat", self.key),
            _ => self.key.to_string(),
        }
    }
}

/// `NAME = PROVIDER:FROM -> PROVIDER:TO by KEY`; without `by` the key is `seq`.
///
/// Alternatives are written `PROVIDER:PROBE|PROBE`. A key of one thread may be followed by `flat`, or by `unwinding argN`.
/// Or `NAME = PROVIDER:PROBE lasting argN us by KEY`; the unit is `ns`, `us`, `ms` or `s`, without `by` the key is `tid`.
impl FromStr for Stage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let expected = "NAME = PROVIDER:FROM -> PROVIDER:TO by KEY, such as \
                            \"total = camera:grab -> display:show by seq\"";
            let malformed = Malformed::new("stage", text, expected);
            let is_long = text.split_once('=').is_some_and(|(name, _)| name.trim().len() > MAX_NAME_BYTES);
            let problem = format!("its name is longer than {MAX_NAME_BYTES} bytes");
            Error::Usage(if is_long { malformed.because(problem) } else { malformed })
        };
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        if let Some((probe, lasting)) = rest.split_once(" lasting ").filter(|_| !rest.contains("->")) {
            return lasting_stage(name, probe, lasting).unwrap_or_else(|| Err(wrong()));
        }
        let (begins, rest) = rest.split_once("->").ok_or_else(wrong)?;
        let (ends, by) = match rest.split_once(" by ") {
            Some((ends, by)) => (ends, Some(by)),
            None => (rest, None),
        };
        let (key, nested, unwinding) = by.map_or_else(|| Ok((Key::seq(), false, None)), matching)?;
        let name = stage_name(name).ok_or_else(wrong)?;
        let begins = alternatives(begins).ok_or_else(wrong)?;
        let ends = alternatives(ends).ok_or_else(wrong)?;
        Ok(Self { name, begins, ends, key, nested, unwinding, lasting: None })
    }
}

/// A name, as a trace may hold it: not empty, and of a length that every table and picture has room for.
fn stage_name(text: &str) -> Option<String> {
    let name = text.trim();
    (1..=MAX_NAME_BYTES).contains(&name.len()).then(|| name.to_owned())
}

/// A stage of one probe, of what stands before and behind `lasting`; `None` if that is no such stage.
fn lasting_stage(name: &str, probe: &str, rest: &str) -> Option<Result<Stage>> {
    let (lasting, by) = rest.split_once(" by ").map_or((rest, None), |(lasting, by)| (lasting, Some(by)));
    let lasting: Lasting = lasting.parse().ok()?;
    let probes = alternatives(probe)?;
    let name = stage_name(name)?;
    let thread = Key { scope: Scope::Tid, parts: Vec::new() };
    let key = by.map_or_else(|| Ok(thread), |by| matching(by).map(|(key, ..)| key));
    Some(key.map(|key| Stage {
        name,
        begins: probes.clone(),
        ends: probes,
        key,
        nested: false,
        unwinding: None,
        lasting: Some(lasting),
    }))
}

/// What stands behind `by`: the key, whether the stage nests, and the argument that unwinds it.
fn matching(text: &str) -> Result<(Key, bool, Option<u8>)> {
    let text = text.trim();
    if let Some(key) = text.strip_suffix(" flat") {
        let key: Key = key.parse()?;
        return if key.scope == Scope::Tid {
            Ok((key, false, None))
        } else {
            text.parse().map(|key| (key, false, None))
        };
    }
    if let Some((key, argument)) = text.split_once(" unwinding ") {
        let (key, argument): (Key, Key) = (key.parse()?, argument.parse()?);
        if let (Scope::Tid, Scope::Trace, [KeyPart::Arg(arg)]) =
            (key.scope, argument.scope, &argument.parts[..])
        {
            return Ok((key, true, Some(*arg)));
        }
    }
    let key: Key = text.parse()?;
    let nested = key.scope == Scope::Tid;
    Ok((key, nested, None))
}

/// `PROVIDER:PROBE`, or several alternatives with `|` between: `PROVIDER:PROBE|PROBE`, `PROVIDER:PROBE|PROVIDER:PROBE`.
fn alternatives(text: &str) -> Option<Vec<ProbeName>> {
    let is_name = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
    let mut probes: Vec<ProbeName> = Vec::new();
    for alternative in text.trim().split('|') {
        let (provider, probe) = match (alternative.split_once(':'), probes.last()) {
            (Some((provider, probe)), _) => (provider.to_owned(), probe),
            (None, Some(last)) => (last.provider.clone(), alternative),
            (None, None) => return None,
        };
        if !is_name(&provider) || !is_name(probe) {
            return None;
        }
        probes.push(ProbeName { provider, probe: probe.to_owned() });
    }
    Some(probes)
}

fn alternatives_text(probes: &[ProbeName]) -> String {
    let mut text = String::new();
    let mut provider = None;
    for probe in probes {
        if !text.is_empty() {
            text.push('|');
        }
        // A probe with a colon in its name would be read as a provider and its probe.
        if provider == Some(&probe.provider) && !probe.probe.contains(':') {
            text.push_str(&probe.probe);
        } else {
            text.push_str(&probe.to_string());
        }
        provider = Some(&probe.provider);
    }
    text
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lasting {
            None => write!(f, "{} = {} -> {}", self.name, self.begins_text(), self.ends_text()),
            Some(lasting) => write!(f, "{} = {} lasting {lasting}", self.name, self.ends_text()),
        }?;
        write!(f, " by {}", self.key_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_written_as_they_are_read() {
        for text in [
            "total = a:x -> b:y by pid,seq",
            "x y = a:b -> a:b by tid,arg3,seq,str",
            "method = a:b|c|d:c -> a:b|c by ppid,arg0=arg1",
            "flat = a:b -> a:c by tid flat",
            "unwound = a:b -> a:c by tid unwinding arg3",
            "odd = a:b -> a:c|a:d:e|f|a:g:h by seq",
            "told = a:b|c lasting arg1 us by tid flat",
            "told = a:b lasting arg0 ns by pid,arg1",
        ] {
            let stage: Stage = text.parse().unwrap();
            assert_eq!(stage.to_string(), text);
        }
        let short: Stage = " t=a:x->b:y ".parse().unwrap();
        assert_eq!(short.to_string(), "t = a:x -> b:y by seq");
        let told: Stage = "t = a:x lasting arg2".parse().unwrap();
        assert_eq!(told.to_string(), "t = a:x lasting arg2 ns by tid flat");
        let scope_first: Stage = "t = a:x -> b:y by arg1, pid, tid".parse().unwrap();
        assert_eq!(scope_first.to_string(), "t = a:x -> b:y by tid,arg1");
    }

    #[test]
    fn wrong_stages_say_what_is_right() {
        for text in [
            "",
            "x",
            "x = a:b",
            "x = a -> b:c",
            " = a:b -> c:d",
            "x = a: -> c:d",
            "x = a:b c -> c:d",
            "x = a:b|-> c:d",
            "x = a:b lasting",
            "x = a:b lasting 7 ns",
            "x = a lasting arg1 ns",
            " = a:b lasting arg1 ns",
            "x = a:b lasting arg1 h by seq",
        ] {
            let error = text.parse::<Stage>().unwrap_err().to_string();
            let expected = format!("stage \"{text}\": expected NAME = PROVIDER:FROM -> PROVIDER:TO by KEY, ");
            assert!(error.starts_with(&expected), "{error}");
        }
        for key in [
            "",
            "arg",
            "arg12",
            "seq,",
            "name",
            "seq,pid,tid,arg1,arg2",
            "arg0=",
            "seq flat",
            "pid unwinding arg1",
        ] {
            let error = format!("x = a:b -> c:d by {key}").parse::<Stage>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("key \"{key}\": expected seq, ")), "{error}");
        }
    }
}
