//! Numbers of bytes, and when a new file is begun.

use std::str::FromStr;
use std::time::Duration;

use super::{Malformed, TimeSpan};

/// A number of bytes: `65536`, `64K`, `8M`, `1G`; units are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new("size", text, "a number of bytes such as 64K, 8M or 1G");
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.to_ascii_uppercase().as_str() {
            "" | "B" => 0,
            "K" | "KB" | "KIB" => 10,
            "M" | "MB" | "MIB" => 20,
            "G" | "GB" | "GIB" => 30,
            "T" | "TB" | "TIB" => 40,
            _ => return Err(malformed()),
        };
        let number: u64 = number.parse().map_err(|_| malformed())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(malformed)
    }
}

/// When a new file is begun: after a size or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// After so many bytes.
    Size(u64),
    /// After so much time.
    Time(Duration),
}

impl FromStr for Rotation {
    type Err = Malformed;

    /// A bare number is bytes; times have a unit. `1M` is a mebibyte, `1m` a minute.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let parsed = if text.ends_with(['s', 'm', 'h']) {
            text.parse().map(|TimeSpan(time)| Self::Time(time))
        } else {
            text.parse().map(|Size(size)| Self::Size(size))
        };
        let expected = "a size such as 64M or a time such as 10s or 5m";
        parsed.map_err(|_| Malformed::new("size or time", text, expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, bytes) in [("64k", 65_536), ("8MiB", 8 << 20), ("1GB", 1 << 30), ("12", 12), ("0", 0)] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "M", "1.5M", "-1", "7X", "7MBB", "99999999999T"] {
            let expected = format!("size \"{text}\": expected a number of bytes such as 64K, 8M or 1G");
            assert_eq!(text.parse::<Size>().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_new_file_is_begun_after_a_size_or_a_time() {
        assert_eq!("1M".parse(), Ok(Rotation::Size(1 << 20)));
        assert_eq!("300".parse(), Ok(Rotation::Size(300)));
        assert_eq!("1m".parse(), Ok(Rotation::Time(Duration::from_secs(60))));
        assert_eq!("1m30s".parse(), Ok(Rotation::Time(Duration::from_secs(90))));
        let message = "soon".parse::<Rotation>().unwrap_err().to_string();
        assert_eq!(message, "size or time \"soon\": expected a size such as 64M or a time such as 10s or 5m");
    }
}
