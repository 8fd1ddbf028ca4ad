//! `lasting argN us`: an argument that tells how long a stage took, of the one probe that fires when it ends.

use std::fmt;
use std::str::FromStr;

/// Units of time, and how many ns they have; the first is that of an argument without a unit.
const UNITS: [(&str, u64); 4] = [("ns", 1), ("us", 1000), ("ms", 1_000_000), ("s", 1_000_000_000)];
/// Arguments that an event has at most.
const MAX_ARGUMENTS: u8 = 12;

/// The argument that tells how long a stage took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lasting {
    /// The argument, from 0.
    pub arg: u8,
    /// Position of its unit.
    unit: u8,
}

impl Lasting {
    /// When the stage began, ns, if it ended at `end_ns` after `value` units of time; `None` if that is before time began.
    #[must_use]
    pub fn begin_ns(self, end_ns: u64, value: i64) -> Option<u64> {
        let len_ns = u64::try_from(value).ok()?.checked_mul(UNITS[usize::from(self.unit)].1)?;
        end_ns.checked_sub(len_ns)
    }
}

impl FromStr for Lasting {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split_whitespace();
        let arg = words.next().and_then(|word| word.strip_prefix("arg")?.parse().ok());
        let unit = words.next().unwrap_or(UNITS[0].0);
        let unit = (0..).zip(UNITS).find(|(_, (name, _))| *name == unit).map(|(position, _)| position);
        match (arg.filter(|&arg| arg < MAX_ARGUMENTS), unit, words.next()) {
            (Some(arg), Some(unit), None) => Ok(Self { arg, unit }),
            _ => Err(()),
        }
    }
}

/// `arg1 us`.
impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arg{} {}", self.arg, UNITS[usize::from(self.unit)].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, shown, begin_ns) in [
            ("arg1", "arg1 ns", Some(9_999_999_993)),
            ("arg0 us", "arg0 us", Some(9_999_993_000)),
            (" arg11  ms ", "arg11 ms", Some(9_993_000_000)),
            ("arg2 s", "arg2 s", Some(3_000_000_000)),
        ] {
            let lasting: Lasting = text.parse().unwrap();
            assert_eq!(
                (lasting.to_string(), lasting.begin_ns(10_000_000_000, 7)),
                (shown.to_owned(), begin_ns)
            );
        }
        for text in ["", "arg", "arg12", "seq", "arg1 h", "arg1 ns ns", "arg-1"] {
            assert_eq!(text.parse::<Lasting>(), Err(()), "{text}");
        }
        let seconds: Lasting = "arg0 s".parse().unwrap();
        assert_eq!([-1, 11, i64::MAX].map(|value| seconds.begin_ns(10_000_000_000, value)), [None; 3]);
    }
}
