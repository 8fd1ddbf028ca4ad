//! What tells one trace from another: its bytes.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};
use tracer_format::Known;

/// Digits of a name, four bits each: two of a thousand million million traces have the same one with a chance below 10^-8.
const DIGITS: usize = 32;

/// The name of a trace in a dataset: the first half of its file's SHA-256. The same file has it wherever it lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceName(String);

impl TraceName {
    /// The name of the trace whose file has these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut name = String::with_capacity(DIGITS);
        for byte in &Sha256::digest(bytes)[..DIGITS / 2] {
            write!(name, "{byte:02x}").expect("a String takes all");
        }
        Self(name)
    }

    /// The name that stands in a table.
    pub(super) fn read(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of the recording that a trace is of, or the first of its parts: that of a file which still grows stays the same.
#[must_use]
pub fn recording_of(trace: &Known) -> String {
    format!("{:016x}", trace.trace_ids.first().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_first_half_of_the_sum() {
        assert_eq!(TraceName::of(b"abc").as_str(), "ba7816bf8f01cfea414140de5dae2223");
    }
}
