//! Sequence numbers: `--seq 7`, `--seq 5..10`.

use std::ops::RangeInclusive;
use std::str::FromStr;

use super::Malformed;

/// Sequence numbers from the first to the last, both included, as the log prints them: from -2^63 for signed ones to
/// 2^64 - 1 for unsigned ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqRange {
    /// Lowest number.
    pub first: i128,
    /// Highest number.
    pub last: i128,
    /// Whether it was written as one number, not as a range.
    pub is_one_number: bool,
}

/// The numbers that the log can print.
const ALL: SeqRange = SeqRange { first: i64::MIN as i128, last: u64::MAX as i128, is_one_number: false };

/// `N`, `A..B` (both included), `A..` or `..B`.
impl FromStr for SeqRange {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new("sequence numbers", text, "N, A..B (both included), A.. or ..B");
        let number = |text: &str| {
            let number: i128 = text.trim().parse().map_err(|_| malformed())?;
            let fits = (ALL.first..=ALL.last).contains(&number);
            let wide = || malformed().because(format!("{number} does not fit into 64 bits"));
            if fits { Ok(number) } else { Err(wide()) }
        };
        let Some((first, last)) = text.split_once("..") else {
            return number(text).map(|number| Self { first: number, last: number, is_one_number: true });
        };
        let range = Self {
            first: if first.trim().is_empty() { ALL.first } else { number(first)? },
            last: if last.trim().is_empty() { ALL.last } else { number(last)? },
            is_one_number: false,
        };
        if range.first > range.last {
            return Err(malformed().because("the first is above the last"));
        }
        Ok(range)
    }
}

impl SeqRange {
    /// Whether a number is in the range; `bits` as a trace keeps it, `unsigned` as the argument's type says.
    #[must_use]
    pub fn contains(self, bits: i64, unsigned: bool) -> bool {
        let number = if unsigned { i128::from(bits.cast_unsigned()) } else { i128::from(bits) };
        (self.first..=self.last).contains(&number)
    }

    /// Whether bits between these may be in the range, be they of signed or unsigned numbers.
    #[must_use]
    pub fn overlaps(self, bits: RangeInclusive<i64>) -> bool {
        let (low, high) = (i128::from(*bits.start()), i128::from(*bits.end()));
        // Unsigned numbers from 2^63 on have the bits of negative ones.
        let beyond = 1 << 64;
        [0, beyond].iter().any(|shift| low + shift <= self.last && self.first <= high + shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_log_prints_numbers() {
        let range = |text: &str| text.parse::<SeqRange>().map(|range| (range.first, range.last));
        assert_eq!(range("7"), Ok((7, 7)));
        assert_eq!(range("-3..4"), Ok((-3, 4)));
        assert_eq!(range("5.."), Ok((5, u64::MAX.into())));
        assert_eq!(range("..5"), Ok((i64::MIN.into(), 5)));
        assert_eq!(range("18446744073709551615"), Ok((u64::MAX.into(), u64::MAX.into())));
        for (text, problem) in [
            ("5..1", "the first is above the last; "),
            ("x", ""),
            ("", ""),
            ("1..2..3", ""),
            ("18446744073709551616", "18446744073709551616 does not fit into 64 bits; "),
        ] {
            let expected =
                format!("sequence numbers \"{text}\": {problem}expected N, A..B (both included), A.. or ..B");
            assert_eq!(range(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn one_number_means_one_key() {
        let range = |text: &str| text.parse::<SeqRange>().unwrap();
        for (text, signed, unsigned) in [
            ("-1", true, false),
            ("18446744073709551615", false, true),
            ("..-1", true, false),
            ("..", true, true),
        ] {
            assert_eq!(range(text).contains(-1, false), signed, "{text}");
            assert_eq!(range(text).contains(-1, true), unsigned, "{text}");
            assert!(range(text).overlaps(-5..=-1), "{text}");
        }
        assert!(!range("5..9").overlaps(-5..=4));
        assert!(!range("9223372036854775808..").overlaps(0..=i64::MAX));
        assert!(range("9223372036854775808..").overlaps(i64::MIN..=i64::MIN));
    }
}
