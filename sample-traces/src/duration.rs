//! Times on the command line: `15ms`, `200us`, `1.5s`, `800ns`, `0`.

use std::time::Duration;

/// Longest time accepted, seconds: one day.
const MAX_SECONDS: f64 = 86_400.0;

/// Parses a time: a decimal number with the unit `ns`, `us`, `ms` or `s`; a zero needs none.
///
/// # Errors
/// A text that says what was found and what was expected.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| expected(text))?;
    let seconds = match &text[digits.len()..] {
        "ns" => number / 1e9,
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "" if number == 0.0 => 0.0,
        _ => return Err(expected(text)),
    };
    if !(0.0..=MAX_SECONDS).contains(&seconds) {
        return Err(format!("{text:?} is out of range, expected 0 to {MAX_SECONDS}s"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn expected(text: &str) -> String {
    format!("found {text:?}, expected a time such as 15ms, 200us, 1.5s or 0")
}

/// The text that [`parse`] reads back as the same time.
#[must_use]
pub fn text(time: Duration) -> String {
    format!("{}ns", time.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_decimals_are_read() {
        let cases = [
            ("800ns", 800),
            ("200us", 200_000),
            ("1.5ms", 1_500_000),
            ("2s", 2_000_000_000),
            ("0", 0),
            ("0s", 0),
        ];
        for (given, ns) in cases {
            assert_eq!(parse(given), Ok(Duration::from_nanos(ns)), "{given}");
            assert_eq!(parse(&text(Duration::from_nanos(ns))), Ok(Duration::from_nanos(ns)));
        }
    }

    #[test]
    fn other_texts_are_refused_with_examples() {
        for given in ["", "5", "ms", "5 ms", "5min", "x5ms", "nans", "-1ms", "1e9s", "infs"] {
            let error = parse(given).expect_err(given);
            assert!(error.contains("expected"), "{given}: {error}");
        }
    }
}
