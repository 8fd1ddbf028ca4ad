//! Keys: the values that say which events belong together.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// Parts that a key has at most.
pub const MAX_PARTS: usize = 4;

/// A part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyPart {
    /// The key argument of the site: the first, unless the recording said otherwise.
    Seq,
    /// Argument N, from 0.
    Arg(u8),
    /// Process id.
    Pid,
    /// Thread id.
    Tid,
}

/// What a stage's events are matched by: one to [`MAX_PARTS`] parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyParts(pub Vec<KeyPart>);

impl Default for KeyParts {
    fn default() -> Self {
        Self(vec![KeyPart::Seq])
    }
}

/// `seq`, `arg1`, `pid` or `tid`, or several of them with commas between.
impl FromStr for KeyParts {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let part = |part: &str| match part.trim() {
            "seq" => Some(KeyPart::Seq),
            "pid" => Some(KeyPart::Pid),
            "tid" => Some(KeyPart::Tid),
            other => other.strip_prefix("arg")?.parse().ok().filter(|&arg| arg < 12).map(KeyPart::Arg),
        };
        let parts: Option<Vec<KeyPart>> = text.split(',').map(part).collect();
        parts.filter(|parts| parts.len() <= MAX_PARTS).map(Self).ok_or_else(|| Error::Usage {
            what: "key",
            found: text.to_owned(),
            expected: "seq, arg0 to arg11, pid or tid, or up to four of them with commas between".to_owned(),
        })
    }
}

impl fmt::Display for KeyParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, part) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            match part {
                KeyPart::Seq => f.write_str("seq")?,
                KeyPart::Arg(arg) => write!(f, "arg{arg}")?,
                KeyPart::Pid => f.write_str("pid")?,
                KeyPart::Tid => f.write_str("tid")?,
            }
        }
        Ok(())
    }
}

/// The value of a key: one number a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    words: [i64; MAX_PARTS],
    parts: u8,
}

impl Key {
    /// A key of the first [`MAX_PARTS`] numbers of `parts`.
    #[must_use]
    pub fn new(parts: &[i64]) -> Self {
        // Most keys have one part: copying it as a number, not as part of a list, keeps it in a register.
        if let [one] = parts {
            return Self { words: [*one, 0, 0, 0], parts: 1 };
        }
        let mut words = [0; MAX_PARTS];
        let mut count = 0;
        for (word, &part) in words.iter_mut().zip(parts) {
            *word = part;
            count += 1;
        }
        Self { words, parts: count }
    }

    /// The numbers.
    #[must_use]
    pub fn parts(&self) -> &[i64] {
        &self.words[..usize::from(self.parts)]
    }
}

/// The numbers with commas between.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, part) in self.parts().iter().enumerate() {
            if position > 0 {
                f.write_str(",")?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}
