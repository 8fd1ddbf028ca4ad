//! Moments as the user writes them.

use std::str::FromStr;

use jiff::Timestamp;
use tracer_format::Trace;

use super::clock::anchors;
use crate::{Error, Result};

/// A moment that the user names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After the first event, ns.
    Offset(u64),
    /// Wall time, ns since 1970-01-01 UTC.
    Wall(i64),
}

/// `1.5s`, `200ms`, `3m` (units ns, us, ms, s, m, h), or RFC 3339: `2026-05-01T12:00:00.5Z`.
impl FromStr for Moment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let offset = parse_duration_ns(text).map(Self::Offset);
        let wall = || text.parse::<Timestamp>().ok();
        let wall_ns = || wall().and_then(|time| i64::try_from(time.as_nanosecond()).ok()).map(Self::Wall);
        offset.or_else(wall_ns).ok_or_else(|| Error::Usage {
            what: "time",
            found: text.to_owned(),
            expected: "an offset from the first event such as 1.5s or 200ms, or a time such as \
                       2026-05-01T12:00:00.5Z"
                .to_owned(),
        })
    }
}

/// Reads a number and a unit; exact, as the digits after the point are not binary.
fn parse_duration_ns(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ns: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = fraction.parse::<u128>().ok()? * u128::from(unit_ns) / scale;
    let whole_ns = whole.parse::<u64>().ok()?.checked_mul(unit_ns)?;
    whole_ns.checked_add(u64::try_from(part).ok()?)
}

/// What `moment` is on the clock of the events; 0 if it is before the clock's start.
///
/// # Errors
/// [`Error::Missing`] for wall time in a trace without clock anchors.
pub(super) fn monotonic_ns(moment: Moment, trace: &Trace<'_>) -> Result<u64> {
    match moment {
        Moment::Offset(offset_ns) => {
            let start_ns = trace.time_range().map_or(0, |(first_ns, _)| first_ns);
            Ok(start_ns.saturating_add(offset_ns))
        }
        Moment::Wall(wall_ns) => {
            let anchors = anchors(trace);
            let after = anchors.partition_point(|anchor| anchor.realtime_ns <= wall_ns);
            let anchor = anchors.get(after.saturating_sub(1)).ok_or(Error::Missing(
                "the trace has no clock anchors, so its wall time is unknown; give an offset such as 1.5s",
            ))?;
            let since = i128::from(wall_ns) - i128::from(anchor.realtime_ns);
            let monotonic = i128::from(anchor.monotonic_ns) + since;
            Ok(u64::try_from(monotonic.max(0)).unwrap_or(u64::MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_offsets_or_rfc_3339() {
        let cases = [
            ("1.5s", Moment::Offset(1_500_000_000)),
            ("200ms", Moment::Offset(200_000_000)),
            ("0s", Moment::Offset(0)),
            ("2m", Moment::Offset(120_000_000_000)),
            ("0.000000001s", Moment::Offset(1)),
            ("1970-01-01T00:00:01.5Z", Moment::Wall(1_500_000_000)),
            ("1970-01-01T01:00:01+01:00", Moment::Wall(1_000_000_000)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Moment>().unwrap(), expected, "{text}");
        }
        for text in ["", "5", "s", "-1s", "1.s", "1e3s", "1 s", "99999999999999999h", "12:00", "2026-05-01"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
