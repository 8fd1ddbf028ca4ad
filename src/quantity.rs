//! Times and sizes as they are written on the command line.

use std::str::FromStr;
use std::time::Duration;

/// A span of time: `10s`, `500ms`, `2m`; a bare number is seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected a time such as 10s, 500ms or 2m".to_owned();
        if let Ok(seconds) = text.parse::<f64>() {
            return Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| wrong());
        }
        let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
        signed.try_into().map(Self).map_err(|_| wrong())
    }
}

/// A number of bytes: `65536`, `64K`, `8M`, `1G`; units are powers of 1024.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected a size such as 64K, 8M or 1G".to_owned();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.to_ascii_uppercase().trim_end_matches('B').trim_end_matches('I') {
            "" => 0,
            "K" => 10,
            "M" => 20,
            "G" => 30,
            "T" => 40,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(wrong)
    }
}

/// When a new file is begun.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rotate {
    Size(u64),
    Time(Duration),
}

impl FromStr for Rotate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A bare number is bytes; times have a unit. "1M" is a mebibyte, "1m" a minute.
        let is_time = text.ends_with(['s', 'm', 'h']);
        let wrong = |_| "expected a size such as 64M or a time such as 10s or 5m".to_owned();
        if is_time {
            return text.parse().map(|Time(time)| Self::Time(time)).map_err(wrong);
        }
        text.parse().map(|Size(size)| Self::Size(size)).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_with_their_units() {
        let time = |text: &str| text.parse::<Time>().map(|time| time.0.as_millis());
        assert_eq!(time("10s"), Ok(10_000));
        assert_eq!(time("500ms"), Ok(500));
        assert_eq!(time("1.5"), Ok(1_500));
        assert_eq!(time("-1s"), Err("expected a time such as 10s, 500ms or 2m".to_owned()));
        let size = |text: &str| text.parse::<Size>().map(|size| size.0);
        assert_eq!(size("64k"), Ok(65_536));
        assert_eq!(size("8MiB"), Ok(8 << 20));
        assert_eq!(size("12"), Ok(12));
        assert_eq!(size("99999999999T"), Err("expected a size such as 64K, 8M or 1G".to_owned()));
        assert!(size("M").is_err());
        assert!(matches!("64M".parse(), Ok(Rotate::Size(0x400_0000))));
        assert!(matches!("5m".parse(), Ok(Rotate::Time(time)) if time.as_secs() == 300));
    }
}
