//! Times on the command line, as `tracer` takes them: `15ms`, `200us`, `1.5s`, `800ns`, `0`.

use std::time::Duration;

use tracer_format::grammar::TimeSpan;

/// Longest time accepted: one day.
const MAX: Duration = Duration::from_secs(86_400);

/// Parses a time.
///
/// # Errors
/// A text that says what was found and what was expected.
pub fn parse(text: &str) -> Result<Duration, String> {
    let TimeSpan(time) = text.parse().map_err(|error| format!("{error}"))?;
    if time > MAX {
        return Err(format!("time \"{text}\": expected at most a day"));
    }
    Ok(time)
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
        for given in ["", "ms", "x5ms", "nans", "-1ms", "1e9s", "infs", "25h"] {
            let error = parse(given).expect_err(given);
            assert!(error.contains("expected"), "{given}: {error}");
        }
    }
}
