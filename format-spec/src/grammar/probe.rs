//! Which probes: `-e 'PROVIDER:PROBE'` and `--key 'PROVIDER:PROBE=argN'`, with globs.

use std::fmt;
use std::str::FromStr;

use glob::Pattern;

use super::Malformed;
use crate::limits::{MAX_ARGUMENTS, MAX_STRING_ARGUMENT_BYTES};

/// Probes to record, and which of their arguments are strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Provider and probe.
    pub probe: ProbePattern,
    /// Arguments that are addresses of strings, which are to be recorded instead of the address.
    pub strings: Vec<StringArgument>,
}

/// An argument that is the address of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StringArgument {
    /// Position of the argument, from 0.
    pub position: u8,
    /// Position of the argument that is the string's length in bytes; without, the string ends with NUL.
    pub length: Option<u8>,
    /// Bytes to record; a longer string is cut. At most [`MAX_STRING_ARGUMENT_BYTES`].
    pub max_bytes: u16,
}

impl StringArgument {
    /// Bytes of a string that are recorded where nothing else is asked for.
    pub const DEFAULT_BYTES: u16 = 255;

    /// A string that ends with NUL, of the usual length.
    #[must_use]
    pub fn at(position: u8) -> Self {
        Self { position, length: None, max_bytes: Self::DEFAULT_BYTES }
    }
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

/// String arguments (see [`Request::strings`]) of a probe, or `None` if it is not asked for. Of one argument, the last request
/// that names it counts.
#[must_use]
pub fn requested(requests: &[Request], provider: &str, probe: &str) -> Option<Vec<StringArgument>> {
    let mut matching = requests.iter().filter(|request| request.probe.matches(provider, probe)).peekable();
    matching.peek()?;
    let mut strings: Vec<StringArgument> = Vec::new();
    for string in matching.flat_map(|request| &request.strings) {
        strings.retain(|known| known.position != string.position);
        strings.push(*string);
    }
    Some(strings)
}

/// Position of the argument that is a probe's key: as the last matching `--key` says, otherwise the first.
#[must_use]
pub fn key_argument(keys: &[KeyArgument], provider: &str, probe: &str) -> u8 {
    keys.iter().rev().find(|key| key.probe.matches(provider, probe)).map_or(0, |key| key.argument)
}

const PROBE_EXAMPLES: &str = "'buffer_tracker:*', 'python:function__entry(str,str)', 'app:query(arg2:str:1000)' (at \
                              most 1000 bytes) or 'app:query(str:arg1)' (arg1 is the length)";
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

    /// Parses `PROVIDER:PROBE`, `PROVIDER` (all its probes), either with `(arg0:str,...)` or `(str,_,str)` behind it, where
    /// `str` may be `str:N`, `str:argN` or `str:argN:N`.
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
        let mut strings = Vec::new();
        for (position, argument) in arguments.split(',').map(str::trim).enumerate() {
            if arguments.trim().is_empty() {
                break;
            }
            strings.extend(string(position, argument).map_err(malformed)?);
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

/// One item of an argument list: `str` at its own place, `argN:str` at another one, `_` is no string.
fn string(position: usize, text: &str) -> Result<Option<StringArgument>, String> {
    if text == "_" {
        return Ok(None);
    }
    let mut parts = text.split(':').map(str::trim).peekable();
    let argument = parts.next_if(|part| *part != "str" && part.starts_with("arg"));
    let position = argument.map_or_else(|| format!("arg{position}"), str::to_owned);
    match parts.next() {
        Some("str") => {}
        Some(kind) if argument.is_some() => {
            return Err(format!("type '{kind}' is unknown, only str can be asked for"));
        }
        _ => return Err(format!("argument '{text}' is neither argN:str, str nor _")),
    }
    let mut string = StringArgument::at(argument_position(&position)?);
    if let Some(length) = parts.next_if(|part| part.starts_with("arg")) {
        string.length = Some(argument_position(length)?);
    }
    if let Some(bytes) = parts.next() {
        string.max_bytes = string_bytes(bytes)?;
    }
    match parts.next() {
        Some(rest) => Err(format!("'{rest}' in '{text}' is one part too many")),
        None if string.length == Some(string.position) => {
            Err(format!("arg{} cannot be the length of itself", string.position))
        }
        None => Ok(Some(string)),
    }
}

/// Bytes of a string that are to be recorded.
fn string_bytes(text: &str) -> Result<u16, String> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let bytes = digits.and_then(|digits| digits.parse().ok());
    let bytes = bytes.filter(|bytes| *bytes != 0 && usize::from(*bytes) <= MAX_STRING_ARGUMENT_BYTES);
    bytes.ok_or_else(|| {
        format!("'{text}' is neither a length in argN nor one of 1 to {MAX_STRING_ARGUMENT_BYTES} bytes")
    })
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
        return Err(match () {
            () if provider == "usdt" => {
                "what bpftrace calls usdt:PATH:PROVIDER:PROBE is -x PATH -e PROVIDER:PROBE"
            }
            () if probe.contains(',') => "it has more than one ':'; -e is given for each probe",
            () => "it has more than one ':'",
        }
        .to_owned());
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

    fn positions(text: &str) -> Vec<u8> {
        request(text).strings.iter().map(|string| string.position).collect()
    }

    #[test]
    fn string_arguments_are_named_or_counted() {
        assert_eq!(positions("p:n"), []);
        assert_eq!(positions("p:n()"), []);
        assert_eq!(positions("p:n(arg0:str,arg1:str)"), [0, 1]);
        assert_eq!(positions("p:n( arg11:str )"), [11]);
        assert_eq!(positions("p:n(str,_,str)"), [0, 2]);
        assert_eq!(request("p(str)").strings, [StringArgument::at(0)]);
    }

    #[test]
    fn strings_have_a_length_of_their_own_and_a_limit() {
        let string = |position, length, max_bytes| StringArgument { position, length, max_bytes };
        for (text, expected) in [
            ("p:n(str:1000)", string(0, None, 1000)),
            ("p:n(_,str:4096)", string(1, None, 4096)),
            ("p:n(arg2:str:1)", string(2, None, 1)),
            ("p:n(str:arg1)", string(0, Some(1), 255)),
            ("p:n(arg2 : str : arg0)", string(2, Some(0), 255)),
            ("p:n(arg1:str:arg2:77)", string(1, Some(2), 77)),
        ] {
            assert_eq!(request(text).strings, [expected], "{text}");
        }
    }

    #[test]
    fn requests_add_up_and_the_last_key_counts() {
        let requests = [request("p:*"), request("p:n(str)"), request("p:n(_,str)"), request("p:n(str:9)")];
        let strings = vec![StringArgument::at(1), StringArgument { max_bytes: 9, ..StringArgument::at(0) }];
        assert_eq!(requested(&requests, "p", "n"), Some(strings), "of one argument, the last counts");
        assert_eq!(requested(&requests, "p", "other"), Some(Vec::new()));
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
            ("a:b,a:c", "it has more than one ':'; -e is given for each probe"),
            ("usdt:/bin/a:b:c", "what bpftrace calls usdt:PATH:PROVIDER:PROBE is -x PATH -e PROVIDER:PROBE"),
            ("a:[", "bad glob: invalid range pattern"),
            ("a:b(str", "the argument list does not end with ')'"),
            ("a:b(arg0:u32)", "type 'u32' is unknown, only str can be asked for"),
            ("a:b(arg12:str)", "argument 'arg12' is not one of arg0 to arg11"),
            ("a:b(arg:str)", "argument 'arg' is not one of arg0 to arg11"),
            ("a:b(str,)", "argument '' is neither argN:str, str nor _"),
            ("a:b(string)", "argument 'string' is neither argN:str, str nor _"),
            ("a:b(str:)", "'' is neither a length in argN nor one of 1 to 4096 bytes"),
            ("a:b(str:0)", "'0' is neither a length in argN nor one of 1 to 4096 bytes"),
            ("a:b(str:+9)", "'+9' is neither a length in argN nor one of 1 to 4096 bytes"),
            ("a:b(str:4097)", "'4097' is neither a length in argN nor one of 1 to 4096 bytes"),
            ("a:b(str:99999999)", "'99999999' is neither a length in argN nor one of 1 to 4096 bytes"),
            ("a:b(str:9:arg1)", "'arg1' in 'str:9:arg1' is one part too many"),
            ("a:b(str:arg12)", "argument 'arg12' is not one of arg0 to arg11"),
            ("a:b(_,str:arg1)", "arg1 cannot be the length of itself"),
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
