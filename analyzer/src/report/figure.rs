//! Figures as they are written: counts, times.

/// A number and what it counts: `1 event`, `2 events`.
#[must_use]
pub fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Events that gaps tell of. Of damage that was copied it may not be known how many they were.
#[must_use]
pub fn lost(events: u64, gaps: u64) -> String {
    let events = if events > 0 { counted(events, "event") } else { "some events".to_owned() };
    format!("{events} lost while recording, in {}", counted(gaps, "gap"))
}

/// Names that a list has; the rest are counted.
const LISTED: usize = 24;

/// Names with commas between, as many as are read: `a, b, c and 2041 more`.
#[must_use]
pub fn listed<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> String {
    let mut names = names.into_iter();
    let mut list = String::new();
    for name in names.by_ref().take(LISTED) {
        let comma = if list.is_empty() { "" } else { ", " };
        list = list + comma + name.as_ref();
    }
    match names.count() {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

/// How often something happens in a second, with two digits that tell something: `0.21`, `3.50`, `17`, `0.0042`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    let digits = match per_second {
        0.095..9.995 => 2,
        f64::MIN_POSITIVE..0.095 => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "2 to 309")]
            let digits = (1.0 - per_second.log10().floor()) as usize;
            digits
        }
        _ => 0,
    };
    format!("{per_second:.digits$}")
}

/// A latency with four digits and its unit: `15.07 ms`, `-501 ns`.
#[must_use]
pub fn latency(latency_ns: i64) -> String {
    let sign = if latency_ns < 0 { "-" } else { "" };
    format!("{sign}{}", duration(latency_ns.unsigned_abs()))
}

/// A time with four digits and its unit: `50.3 ms`, `999.9 us`, `3.2 s`.
#[must_use]
pub fn duration(duration_ns: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];
    let Some((unit, unit_ns)) = UNITS.into_iter().find(|&(_, unit_ns)| duration_ns >= unit_ns) else {
        return format!("{duration_ns} ns");
    };
    // Rounded down: nothing becomes 1000.0 of a unit.
    let (whole, part) = (duration_ns / unit_ns, duration_ns % unit_ns);
    match whole {
        0..10 => format!("{whole}.{:03} {unit}", part * 1000 / unit_ns),
        10..100 => format!("{whole}.{:02} {unit}", part * 100 / unit_ns),
        _ => format!("{whole}.{} {unit}", part * 10 / unit_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let names = |count: usize| listed((0..count).map(|number| number.to_string()));
        assert_eq!([names(0), names(1), names(2)], ["", "0", "0, 1"]);
        assert!(names(LISTED).ends_with(", 22, 23") && names(LISTED + 7).ends_with(", 22, 23 and 7 more"));
    }

    #[test]
    fn rates_have_digits_that_tell_something() {
        let cases = [(0.0, "0"), (0.0042, "0.0042"), (0.000_01, "0.000010"), (0.2051, "0.21"), (3.5, "3.50")];
        for (per_second, expected) in [&cases[..], &[(9.999, "10"), (17.2, "17"), (61.0, "61")]].concat() {
            assert_eq!(rate(per_second), expected);
        }
    }

    #[test]
    fn durations_have_four_digits() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.000 us"),
            (999_999, "999.9 us"),
            (15_073_166, "15.07 ms"),
            (3_200_000_000, "3.200 s"),
            (123_456_000_000_000, "123456.0 s"),
        ];
        for (duration_ns, expected) in cases {
            assert_eq!(duration(duration_ns), expected);
        }
        assert_eq!(latency(-36_138), "-36.13 us");
        assert_eq!(latency(i64::MIN), "-9223372036.8 s");
    }
}
