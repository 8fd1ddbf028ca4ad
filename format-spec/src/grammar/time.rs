//! Spans of time, and moments in a trace.

use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Malformed;

/// A span of time: `10s`, `500ms`, `1m30s`, `1.5h`; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeSpan(pub Duration);

impl FromStr for TimeSpan {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        span(text).map(Self).ok_or_else(|| Malformed::new("time", text, "a span such as 10s, 500ms or 1m30s"))
    }
}

fn span(text: &str) -> Option<Duration> {
    let is_bare = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let signed: SignedDuration = if is_bare { format!("{text}s").parse() } else { text.parse() }.ok()?;
    signed.try_into().ok()
}

/// A moment that the user names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After the first event, ns.
    Offset(u64),
    /// Wall time, ns since 1970-01-01 UTC.
    Wall(i64),
}

/// An offset, written as a [`TimeSpan`], or RFC 3339: `2026-05-01T12:00:00.5Z`.
impl FromStr for Moment {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let offset = span(text).and_then(|span| u64::try_from(span.as_nanos()).ok()).map(Self::Offset);
        let wall = || text.parse::<Timestamp>().ok();
        let wall_ns = || wall().and_then(|time| i64::try_from(time.as_nanosecond()).ok()).map(Self::Wall);
        offset.or_else(wall_ns).ok_or_else(|| {
            let expected = "an offset from the first event such as 1.5s or 1m30s, or a time such as \
                            2026-05-01T12:00:00.5Z";
            Malformed::new("time", text, expected)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units_or_are_seconds() {
        for (text, ns) in [
            ("10s", 10_000_000_000),
            ("500ms", 500_000_000),
            ("1.5", 1_500_000_000),
            ("7", 7_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1m 30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("0.000000001s", 1),
            ("3us", 3_000),
            ("0s", 0),
        ] {
            assert_eq!(text.parse(), Ok(TimeSpan(Duration::from_nanos(ns))), "{text}");
        }
        for text in ["", ".", "s", "-1s", "-1", "1e3s", "fast", "1s2", "99999999999999999999h"] {
            let expected = format!("time \"{text}\": expected a span such as 10s, 500ms or 1m30s");
            assert_eq!(text.parse::<TimeSpan>().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn moments_are_offsets_or_rfc_3339() {
        for (text, expected) in [
            ("1.5s", Moment::Offset(1_500_000_000)),
            ("1m30s", Moment::Offset(90_000_000_000)),
            ("90", Moment::Offset(90_000_000_000)),
            ("0.000000001s", Moment::Offset(1)),
            ("1970-01-01T00:00:01.5Z", Moment::Wall(1_500_000_000)),
            ("1970-01-01T01:00:01+01:00", Moment::Wall(1_000_000_000)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "s", "-1s", "1e3s", "99999999999999h", "12:00", "2026-05-01"] {
            let message = text.parse::<Moment>().unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("time \"{text}\": expected an offset from the")),
                "{message}"
            );
        }
    }
}
