//! Which probes: `-e 'PROVIDER:PROBE'` and `--key 'PROVIDER:PROBE=argN'`, with globs.

use std::fmt;
use std::str::FromStr;

use glob::Pattern;

use super::Malformed;
use crate::limits::MAX_ARGUMENTS;

/// Probes to record, and which of their arguments are strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Provider and probe.
    pub probe: ProbePattern,
    /// Bit N: argument N is the address of a C string, which is to be recorded instead of the address.
    pub strings: u16,
}

/// A probe's argument that is its key (sequence number).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyArgument {
    /// Provider and probe.
    pub probe: ProbePattern,
    /// Position of the argument, from 0.
    pub argument: u8,
}

/// Globs for provider and probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePattern {
    /// Provider.
    pub provider: Pattern,
    /// Probe, without the provider.
    pub probe: Pattern,
}

impl ProbePattern {
    /// Whether a probe is meant.
    #[must_use]
    pub fn matches(&self, provider: &str, probe: &str) -> bool {
        self.provider.matches(provider) && self.probe.matches(probe)
    }
}

impl fmt::Display for ProbePattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.provider, self.probe)
    }
}

/// String arguments (see [`Request::strings`]) of a probe, or `None` if nobody asks for it.
#[must_use]
pub fn requested(requests: &[Request], provider: &str, probe: &str) -> Option<u16> {
    let matching = requests.iter().filter(|request| request.probe.matches(provider, probe));
    matching.map(|request| request.strings).reduce(|one, other| one | other)
}

/// Position of the argument that is a probe's key: as the last matching `--key` says, otherwise the first.
#[must_use]
pub fn key_argument(keys: &[KeyArgument], provider: &str, probe: &str) -> u8 {
    keys.iter().rev().find(|key| key.probe.matches(provider, probe)).map_or(0, |key| key.argument)
}

const PROBE_EXAMPLES: &str =
    "'buffer_tracker:*', 'python:function__entry' or 'python:function__entry(arg0:str,arg1:str)'";
const KEY_EXAMPLES: &str = "'PROVIDER:PROBE=argN' such as 'buffer_tracker:beg_*=arg1'";

impl FromStr for ProbePattern {
    type Err = Malformed;

    /// Parses `PROVIDER:PROBE` or `PROVIDER` (all its probes).
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = |problem: String| Malformed::new("probe", text, PROBE_EXAMPLES).because(problem);
        probe(text).map_err(malformed)
    }
}

impl FromStr for Request {
    type Err = Malformed;

    /// Parses `PROVIDER:PROBE`, `PROVIDER` (all its probes), either with `(arg0:str,...)` or `(str,_,str)` behind it.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = |problem: String| Malformed::new("probe", text, PROBE_EXAMPLES).because(problem);
        let (name, arguments) = match text.split_once('(') {
            None => (text, ""),
            Some((name, rest)) => match rest.trim_end().strip_suffix(')') {
                Some(arguments) => (name, arguments),
                None => return Err(malformed("the argument list does not end with ')'".to_owned())),
            },
        };
        let probe = probe(name).map_err(malformed)?;
        let mut strings = 0;
        for (position, argument) in arguments.split(',').map(str::trim).enumerate() {
            if arguments.trim().is_empty() {
                break;
            }
            let string = string_position(position, argument).map_err(malformed)?;
            strings |= string.map_or(0, |position| 1 << position);
        }
        Ok(Request { probe, strings })
    }
}

impl FromStr for KeyArgument {
    type Err = Malformed;

    /// Parses `PROVIDER:PROBE=argN`.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed =
            |problem: String| Malformed::new("argument of a probe", text, KEY_EXAMPLES).because(problem);
        let Some((name, argument)) = text.rsplit_once('=') else {
            return Err(malformed("it has no '='".to_owned()));
        };
        let probe = probe(name).map_err(malformed)?;
        let argument = argument_position(argument.trim()).map_err(malformed)?;
        Ok(KeyArgument { probe, argument })
    }
}

/// Position of a string argument: `argN:str` says it, `str` has it; `_` is no string.
fn string_position(position: usize, text: &str) -> Result<Option<u8>, String> {
    match text.split_once(':') {
        Some((argument, kind)) if kind.trim() == "str" => argument_position(argument.trim()).map(Some),
        Some((_, kind)) => Err(format!("type '{}' is unknown, only str can be asked for", kind.trim())),
        None if text == "_" => Ok(None),
        None if text == "str" => argument_position(&format!("arg{position}")).map(Some),
        None => Err(format!("argument '{text}' is neither argN:str, str nor _")),
    }
}

fn argument_position(text: &str) -> Result<u8, String> {
    let digits = text.strip_prefix("arg").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let position = digits
        .and_then(|digits| digits.parse().ok())
        .filter(|position| usize::from(*position) < MAX_ARGUMENTS);
    position.ok_or_else(|| format!("argument '{text}' is not one of arg0 to arg{}", MAX_ARGUMENTS - 1))
}

fn probe(name: &str) -> Result<ProbePattern, String> {
    let (provider, probe) = name.trim().split_once(':').unwrap_or((name.trim(), "*"));
    if probe.contains(':') {
        return Err("it has more than one ':'".to_owned());
    }
    Ok(ProbePattern { provider: glob(provider)?, probe: glob(probe)? })
}

fn glob(pattern: &str) -> Result<Pattern, String> {
    if pattern.is_empty() {
        return Err("a name is empty (use * for any)".to_owned());
    }
    Pattern::new(pattern).map_err(|error| format!("bad glob: {}", error.msg))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Request {
        text.parse().unwrap()
    }

    fn message<T: FromStr<Err = Malformed> + std::fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err().to_string()
    }

    #[test]
    fn globs_choose_provider_and_probe() {
        let all = request("buffer_tracker:*");
        assert!(all.probe.matches("buffer_tracker", "beg_awe") && !all.probe.matches("python", "beg_awe"));
        let some = request("py*:function__[er]*");
        assert!(some.probe.matches("python", "function__entry") && !some.probe.matches("python", "line"));
        assert_eq!(request("python"), request("python:*"));
        assert_eq!(request("python").probe.to_string(), "python:*");
        assert_eq!(request(" python : * ".replace(" : ", ":").as_str()), request("python:*"));
    }

    #[test]
    fn string_arguments_are_named_or_counted() {
        assert_eq!(request("p:n").strings, 0);
        assert_eq!(request("p:n()").strings, 0);
        assert_eq!(request("p:n(arg0:str,arg1:str)").strings, 0b11);
        assert_eq!(request("p:n( arg11:str )").strings, 1 << 11);
        assert_eq!(request("p:n(str,_,str)").strings, 0b101);
        assert_eq!(request("p(str)").strings, 1);
    }

    #[test]
    fn requests_add_up_and_the_last_key_counts() {
        let requests = [request("p:*"), request("p:n(str)"), request("p:n(_,str)")];
        assert_eq!(requested(&requests, "p", "n"), Some(0b11));
        assert_eq!(requested(&requests, "p", "other"), Some(0));
        assert_eq!(requested(&requests, "q", "n"), None);
        let keys: [KeyArgument; 2] = ["p:*=arg1".parse().unwrap(), "p:n=arg2".parse().unwrap()];
        assert_eq!(["n", "other"].map(|probe| key_argument(&keys, "p", probe)), [2, 1]);
        assert_eq!(key_argument(&keys, "q", "n"), 0);
    }

    #[test]
    fn malformed_requests_say_what_was_expected() {
        for (text, what) in [
            ("", "a name is empty (use * for any)"),
            (":probe", "a name is empty (use * for any)"),
            ("provider:", "a name is empty (use * for any)"),
            ("a:b:c", "it has more than one ':'"),
            ("a:[", "bad glob: invalid range pattern"),
            ("a:b(str", "the argument list does not end with ')'"),
            ("a:b(arg0:u32)", "type 'u32' is unknown, only str can be asked for"),
            ("a:b(arg12:str)", "argument 'arg12' is not one of arg0 to arg11"),
            ("a:b(arg:str)", "argument 'arg' is not one of arg0 to arg11"),
            ("a:b(str,)", "argument '' is neither argN:str, str nor _"),
            ("a:b(_,_,_,_,_,_,_,_,_,_,_,_,str)", "argument 'arg12' is not one of arg0 to arg11"),
        ] {
            assert_eq!(
                message::<Request>(text),
                format!("probe \"{text}\": {what}; expected {PROBE_EXAMPLES}")
            );
        }
        let malformed = "argument of a probe \"a:b\": it has no '='; expected 'PROVIDER:PROBE=argN' such as";
        assert!(message::<KeyArgument>("a:b").starts_with(malformed));
        assert!(message::<KeyArgument>("a:b=seq").contains("argument 'seq' is not one of arg0 to arg11"));
    }
}
