//! Keys: the values that say which events belong together.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use tracer_format::grammar::Malformed;

use crate::{Error, Result};

/// Numbers that the value of a key has at most: one for the scope, and one for each part.
pub const MAX_WORDS: usize = 4;
/// Arguments that an event has at most.
const MAX_ARGUMENTS: u8 = 12;

/// Within which events one value of a key means the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// One thread.
    Tid,
    /// One process.
    Pid,
    /// The children of one process.
    Ppid,
    /// The whole trace.
    #[default]
    Trace,
}

/// A part of a key, read from an event's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyPart {
    /// The key argument of the site: the first, unless the recording said otherwise.
    Seq,
    /// Argument N, from 0: an integer or a string.
    Arg(u8),
    /// The first argument that is a string.
    Str,
    /// One argument of the begin, and another of the end.
    Crossed {
        /// Argument of the begin, from 0.
        begin: u8,
        /// Argument of the end, from 0.
        end: u8,
    },
}

/// What a stage's events are matched by: the scope and the parts together have one to [`MAX_WORDS`] values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Within which events a value means the same.
    pub scope: Scope,
    /// What else must agree; not empty where the scope is the trace.
    pub parts: Vec<KeyPart>,
}

impl Key {
    /// The key `seq`: the sequence number, over all processes.
    #[must_use]
    pub fn seq() -> Self {
        Self { scope: Scope::Trace, parts: vec![KeyPart::Seq] }
    }

    /// How many numbers a value of the key has.
    #[must_use]
    pub fn words(&self) -> usize {
        usize::from(self.scope != Scope::Trace) + self.parts.len()
    }
}

/// `seq`, `argN`, `str`, `argN=argM`, `pid`, `tid` or `ppid`, or several of them with commas between. Of `tid`, `pid` and
/// `ppid`, the narrowest is the scope.
impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let expected =
                "seq, arg0 to arg11, str, pid, tid or ppid, or up to four of them with commas between";
            Error::Usage(Malformed::new("key", text, expected))
        };
        let mut key = Self { scope: Scope::Trace, parts: Vec::new() };
        let mut words = 0;
        for word in text.split(',') {
            let scope = match word.trim() {
                "tid" => Some(Scope::Tid),
                "pid" => Some(Scope::Pid),
                "ppid" => Some(Scope::Ppid),
                _ => None,
            };
            match scope {
                Some(scope) => key.scope = key.scope.min(scope),
                None => key.parts.push(part(word.trim()).ok_or_else(wrong)?),
            }
            words += 1;
        }
        if words <= MAX_WORDS { Ok(key) } else { Err(wrong()) }
    }
}

fn part(text: &str) -> Option<KeyPart> {
    let arg =
        |text: &str| text.trim().strip_prefix("arg")?.parse().ok().filter(|&arg: &u8| arg < MAX_ARGUMENTS);
    match text {
        "seq" => Some(KeyPart::Seq),
        "str" => Some(KeyPart::Str),
        _ => match text.split_once('=') {
            Some((begin, end)) => Some(KeyPart::Crossed { begin: arg(begin)?, end: arg(end)? }),
            None => Some(KeyPart::Arg(arg(text)?)),
        },
    }
}

impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seq => f.write_str("seq"),
            Self::Arg(arg) => write!(f, "arg{arg}"),
            Self::Str => f.write_str("str"),
            Self::Crossed { begin, end } => write!(f, "arg{begin}=arg{end}"),
        }
    }
}

/// As it is read: the scope first.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match self.scope {
            Scope::Tid => Some("tid"),
            Scope::Pid => Some("pid"),
            Scope::Ppid => Some("ppid"),
            Scope::Trace => None,
        };
        f.write_str(scope.unwrap_or_default())?;
        for (position, part) in self.parts.iter().enumerate() {
            let comma = if position > 0 || scope.is_some() { "," } else { "" };
            write!(f, "{comma}{part}")?;
        }
        Ok(())
    }
}

/// The value of a key: one number for each part, then that of the scope, if it is not the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyValue {
    words: [i64; MAX_WORDS],
    len: u8,
}

impl KeyValue {
    /// A value of the first [`MAX_WORDS`] numbers of `words`.
    #[must_use]
    pub fn new(words: &[i64]) -> Self {
        // Most keys are one number: copying it as a number, not as part of a list, keeps it in a register.
        if let [one] = words {
            return Self { words: [*one, 0, 0, 0], len: 1 };
        }
        let mut value = Self { words: [0; MAX_WORDS], len: 0 };
        for (to, &word) in value.words.iter_mut().zip(words) {
            *to = word;
            value.len += 1;
        }
        value
    }

    /// The numbers.
    #[must_use]
    #[inline]
    pub fn words(&self) -> &[i64] {
        &self.words[..usize::from(self.len)]
    }
}

/// The numbers alone: what is behind them is zero.
impl Hash for KeyValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words().iter().for_each(|&word| state.write_i64(word));
    }
}

/// The numbers with commas between.
impl fmt::Display for KeyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, word) in self.words().iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            write!(f, "{comma}{word}")?;
        }
        Ok(())
    }
}

/// A number that stands for a text (FNV-1a): equal for equal texts; that two of a trace's texts share one is as likely as
/// a memory error.
pub(crate) fn number_of(text: &[u8]) -> i64 {
    let mix = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.iter().fold(0xcbf2_9ce4_8422_2325, mix).cast_signed()
}
